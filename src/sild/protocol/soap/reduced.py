"""A SOAP message as it is logged where bodies are not: who asked whom for what, and no more."""

from sild.protocol.algorithms import DigestAlgorithm
from sild.protocol.idsxml import NAMESPACE as IDENTIFIERS
from sild.protocol.idsxml import write_identifier
from sild.protocol.safexml import Element, element, qualified, sub_element, write_xml
from sild.protocol.soap.envelope import SOAP
from sild.protocol.soap.headers import REPRESENTATION, XROAD, SoapHeader
from sild.protocol.soap.message import SoapMessage

_PREFIXES: dict[str | None, str] = {
    "SOAP-ENV": SOAP,
    "xroad": XROAD,
    "id": IDENTIFIERS,
    "repr": REPRESENTATION,
}


def write_reduced(message: SoapMessage) -> bytes:
    """The fields of the message protocol, without other headers, above an empty body element."""
    envelope = element(qualified(SOAP, "Envelope"), namespaces=_PREFIXES)
    _write_header(sub_element(envelope, qualified(SOAP, "Header")), message.header)
    body = sub_element(envelope, qualified(SOAP, "Body"))
    sub_element(body, qualified(XROAD, message.body_name))
    return write_xml(envelope)


def _write_header(parent: Element, header: SoapHeader) -> None:
    write_identifier(parent, qualified(XROAD, "client"), header.client)
    write_identifier(parent, qualified(XROAD, "service"), header.service)
    if header.security_server is not None:
        write_identifier(parent, qualified(XROAD, "securityServer"), header.security_server)
    _write_text(parent, "userId", header.user_id)
    party = header.represented_party
    if party is not None:
        written = sub_element(parent, qualified(REPRESENTATION, "representedParty"))
        if party.party_class is not None:
            sub_element(written, qualified(REPRESENTATION, "partyClass"), party.party_class)
        sub_element(written, qualified(REPRESENTATION, "partyCode"), party.party_code)
    _write_text(parent, "issue", header.issue)
    _write_text(parent, "id", header.message_id)
    if header.request_hash is not None:
        algorithm = {"algorithmId": DigestAlgorithm.SHA512.uri}
        sub_element(parent, qualified(XROAD, "requestHash"), header.request_hash, algorithm)
    _write_text(parent, "protocolVersion", header.protocol_version)


def _write_text(parent: Element, name: str, text: str | None) -> None:
    if text is not None:
        sub_element(parent, qualified(XROAD, name), text)
