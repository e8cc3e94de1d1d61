"""Identifiers as XML that the reference's own tests read."""

import pytest

from sild.protocol.errors import InvalidClientIdentifier
from sild.protocol.ids import ClientId, GlobalGroupId, SecurityServerId, ServiceId
from sild.protocol.idsxml import read_header_client_id, read_identifier
from sild.protocol.safexml import read_xml


@pytest.mark.parametrize(
    ("name", "identifier"),
    [
        ("clientid", ClientId("EE", "COMPANY", "FOOBAR")),
        ("globalgroupid", GlobalGroupId("EE", "perearstid")),
        (
            "securityserverid",
            SecurityServerId(ClientId("EE", "BUSINESS", "123456789"), "bambi"),
        ),
        ("serviceid", ServiceId(ClientId("EE", "BUSINESS", "JODA"), "getState")),
    ],
)
def test_an_identifier_is_read(vectors, name, identifier):
    data = (vectors / "identifiers" / f"{name}.xml").read_bytes()
    assert read_identifier(read_xml(data)) == identifier


def test_a_member_with_a_subsystem_code_is_refused_outside_message_headers(vectors):
    root = read_xml((vectors / "identifiers" / "invalid-clientid-member.xml").read_bytes())
    with pytest.raises(InvalidClientIdentifier):
        read_identifier(root)
    assert read_header_client_id(root) == ClientId("EE", "COMPANY", "FOOBAR", "SUBSYSTEM")
