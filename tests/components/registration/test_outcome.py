import pytest

from components.registration.builders import conf_of
from management_builder import OTHER, SERVER, SERVICES
from pki_builder import TestCa
from sild.components.registration.outcome import find_changed_server
from sild.protocol.globalconf.private_parameters import ManagementService
from sild.protocol.globalconf.shared_parameters import SecurityServer
from sild.protocol.ids import ClientId, SecurityServerId

CA = TestCa.create()
OURS = CA.issue_auth("SS1").certificate
ANOTHER = CA.issue_auth("SS1", number=5).certificate
CHANGED = SecurityServerId(OTHER, "SS1")


def conf(*servers):
    listed = [SecurityServer(server, "x.org", (der.sha256,)) for server, der in servers]
    return conf_of(ManagementService("https://x/", None, SERVICES), listed)


def test_a_server_whose_certificate_another_owner_has_is_that_owners():
    assert find_changed_server(SERVER, [OURS.der], conf((CHANGED, OURS))) == CHANGED


@pytest.mark.parametrize(
    "servers",
    [
        [],
        [(SERVER, OURS)],
        [(SERVER, ANOTHER), (CHANGED, OURS)],
        [(CHANGED, ANOTHER)],
        [(SecurityServerId(OTHER, "SS2"), OURS)],
        [(SecurityServerId(SERVER.owner, "SS2"), OURS)],
        [(SecurityServerId(ClientId("XX", "COM", "M2"), "SS1"), OURS)],
    ],
)
def test_in_all_other_cases_the_server_stays_what_it_is(servers):
    assert find_changed_server(SERVER, [OURS.der], conf(*servers)) is None
