"""Messages as they are logged where bodies are not."""

from protocol.soap.envelopes import (
    CLIENT,
    MEMBER,
    NAMESPACES,
    REPRESENTATION,
    SERVICE,
    TOKEN,
    TYPE,
    fields,
    identifier,
    message,
)
from sild.protocol.soap.message import read_soap
from sild.protocol.soap.reduced import write_reduced

EXTENSIONS = {
    "securityServer": identifier("securityServer", "SERVER", **MEMBER, serverCode="ss1"),
    "party": (
        f'<r:representedParty xmlns:r="{REPRESENTATION}"><r:partyClass/><r:partyCode>9</r:partyCode>'
        "</r:representedParty>"
    ),
    "requestHash": '<x:requestHash algorithmId="urn:x">aGFzaA==</x:requestHash>',
    "token": f'<t:securityToken xmlns:t="{TOKEN}">secret</t:securityToken>',
    "other": "<w:Security xmlns:w='urn:w'>secret</w:Security><!-- secret -->",
}


def test_the_body_and_other_headers_are_left_out_and_the_rest_is_said_again():
    for changed in ({}, EXTENSIONS, {"userId": None, "issue": "<x:issue>&lt;&amp;</x:issue>"}):
        for name in ("get", "getResponse"):
            full = read_soap(message(fields(**changed), f"<{name}>secret</{name}>"), TYPE)
            written = write_reduced(full)
            assert b"secret" not in written
            reduced = read_soap(written, TYPE)
            assert reduced.body_name == name
            assert reduced.header == type(full.header)(
                **{
                    slot: getattr(full.header, slot)
                    for slot in full.header.__slots__
                    if slot != "has_security_token"
                }
            )


def test_a_reduced_message_has_this_form():
    text = write_reduced(read_soap(message(f"<x:id>1</x:id>{CLIENT}{SERVICE}<x:protocolVersion>4.0</x:protocolVersion>"), TYPE)).decode()  # fmt: skip
    assert text.startswith('<?xml version="1.0" encoding="UTF-8"?>\n<SOAP-ENV:Envelope ')
    assert text.endswith(
        "<xroad:id>1</xroad:id><xroad:protocolVersion>4.0</xroad:protocolVersion></SOAP-ENV:Header>"
        "<SOAP-ENV:Body><xroad:get/></SOAP-ENV:Body></SOAP-ENV:Envelope>"
    )
    assert NAMESPACES.partition(" ")[0].partition("=")[2] in text
