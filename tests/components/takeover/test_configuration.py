"""The rows of the old server as values, and what becomes of those that cannot be."""

import io
from datetime import UTC, datetime

import pytest

from components.takeover.builders import COLUMNS, MOMENT, identifier, plain_dump, rows
from pki_builder import TestCa
from sild.components.takeover.bundle import TABLES
from sild.components.takeover.configuration import read_configuration
from sild.components.takeover.dump import DumpLimits, read_dump
from sild.components.takeover.errors import BackupUnreadable
from sild.components.takeover.findings import FindingKind
from sild.model.services import (
    AccessRight,
    Client,
    ClientStatus,
    ConnectionType,
    Endpoint,
    LocalGroup,
    Service,
    ServiceType,
)
from sild.protocol.ids import ClientId, GlobalGroupId, LocalGroupId, SecurityServerId, ServiceId

CERTIFICATE = TestCa.create().certificate.der
OWNER = ClientId("DEV", "COM", "1234")
OWN = OWNER.subsystem("Own")
OTHER = ClientId("DEV", "GOV", "9", "Other sub")
CHANGED = datetime.fromisoformat(MOMENT).replace(tzinfo=UTC)


def read(**tables):
    """The configuration of the usual rows, some tables replaced."""
    dump = plain_dump({**rows(CERTIFICATE), **tables})
    return read_configuration(read_dump(io.BytesIO(dump), TABLES, DumpLimits()))


def changed(table, key, **values):
    """The usual rows of a table, one with other values."""
    found = [dict(zip(COLUMNS[table], row, strict=True)) for row in rows(CERTIFICATE)[table]]
    return {
        table: [tuple({**row, **(values if row["id"] == key else {})}.values()) for row in found]
    }


def lost(taken):
    return [each for each in taken.findings if each.kind is FindingKind.LOST]


def test_the_server_and_its_clients_come_over():
    taken = read()
    assert taken.server == SecurityServerId(OWNER, "SS0")
    assert taken.clients == (
        Client(OWNER, ClientStatus.REGISTERED, ConnectionType.SSLNOAUTH),
        Client(OWN, ClientStatus.REGISTERED, ConnectionType.NOSSL, (CERTIFICATE,)),
    )
    assert lost(taken) == []


def test_services_come_over_with_their_parameters():
    rest, openapi, wsdl = read().descriptions
    assert (rest.provider, rest.type, rest.disabled_notice) == (OWN, ServiceType.REST, None)
    assert rest.refreshed == CHANGED
    assert rest.services == (
        Service(
            ServiceId(OWN, "rest"), ServiceType.REST, "https://is.test/api", 60, verify_tls=False
        ),
    )
    assert openapi.disabled_notice == "later\tor never"
    assert openapi.services[0].timeout_seconds == 17
    assert openapi.services[0].verify_tls
    assert [service.id.service_version for service in wsdl.services] == ["v1", "v2"]
    assert wsdl.services[0].title == "A title"
    assert wsdl.refreshed is None


def test_endpoints_groups_and_rights_come_over():
    taken = read()
    made = Endpoint(OWN, "pets", "POST", "/pets")
    assert {each.endpoint: each.generated for each in taken.endpoints} == {
        Endpoint(OWN, "rest"): True,
        Endpoint(OWN, "rest", "GET", "/a/*"): False,
        Endpoint(OWN, "pets"): True,
        made: True,
        Endpoint(OWN, "getRandom"): True,
    }
    (group,) = taken.groups
    assert group.group == LocalGroup(OWN, "friends", frozenset({OTHER}), "Füür")
    assert group.added == {OTHER: datetime(2023, 1, 2, 3, 4, 5, tzinfo=UTC)}
    assert {each.right: each.granted for each in taken.rights} == {
        AccessRight(Endpoint(OWN, "rest"), OTHER): CHANGED,
        AccessRight(Endpoint(OWN, "rest", "GET", "/a/*"), LocalGroupId("friends")): CHANGED,
        AccessRight(Endpoint(OWN, "getRandom"), GlobalGroupId("DEV", "everyone")): CHANGED,
        AccessRight(made, OWNER): CHANGED,
    }


def test_time_stamping_services_come_over_in_their_order():
    table = [(9, "B", "http://b.test", 1, "FREE"), (3, None, "http://a.test", 1, "PAID")]
    assert [(each.name, each.url) for each in read(tsp=table).timestamping] == [
        ("", "http://a.test"),
        ("B", "http://b.test"),
    ]


def test_what_has_no_place_is_told():
    notes = [each.what for each in read().findings if each.kind is FindingKind.NOTE]
    assert "1 API keys" in notes
    assert "the message log" in notes
    assert "digest" not in " ".join(notes)


@pytest.mark.parametrize(
    ("tables", "what"),
    [
        (changed("service", 40, url="ftp://is.test"), "service 'rest'"),
        (changed("service", 40, url=None), "service 'rest'"),
        (changed("service", 40, servicecode="a/b"), "service 'a/b'"),
        (changed("service", 42, serviceversion="v:1"), "service 'getRandom'"),
        (changed("servicedescription", 30, url="ftp://is.test"), "service description"),
        (changed("endpoint", 51, method="BREW"), "endpoint BREW"),
        (changed("endpoint", 51, path="x" * 300), "endpoint GET"),
        (changed("endpoint", 51, servicecode="gone"), "of DEV/COM/1234/Own/gone"),
        (changed("localgroup", 60, groupcode="a:b"), "local group 'a:b'"),
        (changed("certificate", 20, data=b"junk"), "a TLS certificate"),
        ({"localgroup": [], "groupmember": []}, "a right of"),
    ],
)
def test_what_cannot_be_here_is_lost_and_the_rest_comes(tables, what):
    taken = read(**tables)
    assert any(what in each.what for each in lost(taken))
    assert len(taken.clients) == 2


def test_rights_to_what_was_lost_are_lost():
    taken = read(**changed("endpoint", 51, path="no slash"))
    assert len(taken.rights) == 3
    assert any("its endpoint did not come over" in each.why for each in lost(taken))


@pytest.mark.parametrize(("seconds", "becomes"), [(0, 1000), (5000, 1000), (None, 60), (1, 1)])
def test_a_time_out_beyond_the_limits_becomes_the_longest(seconds, becomes):
    taken = read(**changed("service", 40, timeout=seconds))
    assert taken.descriptions[0].services[0].timeout_seconds == becomes
    assert lost(taken) == []


@pytest.mark.parametrize(
    "tables",
    [
        {"serverconf": []},
        {"serverconf": [(1, "SS0", 10), (2, "SS1", 10)]},
        {"serverconf": [(1, None, 10)]},
        {"serverconf": [(1, "SS0", None)]},
        {"serverconf": [(1, "SS0", 11)]},
        changed("client", 11, identifier=1),
        changed("client", 11, identifier=99),
        changed("client", 11, identifier=None),
        changed("client", 11, clientstatus="odd"),
        changed("client", 11, isauthentication="odd"),
        changed("servicedescription", 30, client_id=99),
        changed("servicedescription", 30, type="odd"),
        changed("servicedescription", 30, disabled="maybe"),
        changed("servicedescription", 30, refresheddate="yesterday"),
        changed("service", 40, servicedescription_id=99),
        changed("service", 40, timeout="long"),
        changed("endpoint", 50, client_id=99),
        changed("accessright", 80, subjectid=99),
        changed("accessright", 80, rightsgiven=None),
        changed("groupmember", 70, groupmemberid=99),
        changed("certificate", 20, data="odd"),
        changed("identifier", 2, membercode=None),
        changed("identifier", 2, membercode=" "),
        {
            "accessright": [(80, 6, MOMENT, 11, 50)],
            "identifier": [*rows()["identifier"], identifier(6, ("DEV",), "SERVER")],
        },
    ],
)
def test_a_database_that_contradicts_itself_is_refused(tables):
    with pytest.raises(BackupUnreadable):
        read(**tables)


@pytest.mark.parametrize("table", sorted(TABLES - {"apikey", "uiuser"}))
def test_a_database_without_one_of_its_tables_is_refused(table):
    tables = {name: content for name, content in rows(CERTIFICATE).items() if name != table}
    found = read_dump(io.BytesIO(plain_dump(tables)), TABLES, DumpLimits())
    with pytest.raises(BackupUnreadable, match=table):
        read_configuration(found)
