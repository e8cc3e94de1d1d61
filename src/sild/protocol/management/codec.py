"""The requests and their answers as SOAP (PR-MSERV, section 2 and its schema)."""

from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sild.protocol.errors import InvalidRequest, InvalidSoap, InvalidXml
from sild.protocol.ids import ClientId, ServiceId
from sild.protocol.idsxml import read_client_id, read_security_server_id, write_identifier
from sild.protocol.management.requests import REQUEST_CLASSES, ManagementRequest, RequestType
from sild.protocol.safexml import (
    Element,
    Schema,
    XmlLimits,
    children,
    element,
    find_child_text,
    local_name,
    namespace,
    qualified,
    sub_element,
    text_of,
    write_xml,
)
from sild.protocol.soap.envelope import SOAP, read_envelope
from sild.protocol.soap.headers import XROAD
from sild.protocol.soap.message import SoapMessage, check_consistency, read_soap

MANAGEMENT_LIMITS = XmlLimits(size=100_000, depth=20, tags=1000, attributes=10_000, namespaces=100)
"""A request is at most 100,000 bytes, by the reference's own limit, and simple."""

_IDENTIFIERS = "http://x-road.eu/xsd/identifiers"
_PREFIXES: Mapping[str | None, str] = {"SOAP-ENV": SOAP, "id": _IDENTIFIERS, "xroad": XROAD}
_REQUEST_ID = qualified(XROAD, "requestId")
_SCHEMA = "management-requests.xsd"
_LONGEST_TEXT = 255
_LARGEST_ID = 2**31 - 1


@dataclass(frozen=True, slots=True)
class RequestHeader:
    """Who asks whom: the owner of the server, and the provider of the management services."""

    client: ClientId
    provider: ClientId
    message_id: str


def write_request(request: ManagementRequest, header: RequestHeader) -> bytes:
    """The SOAP message of a request; raises InvalidXml for text that XML cannot hold."""
    envelope = element(qualified(SOAP, "Envelope"), namespaces=_PREFIXES)
    written = sub_element(envelope, qualified(SOAP, "Header"))
    write_identifier(written, qualified(XROAD, "client"), header.client)
    service = ServiceId(header.provider, request.type.service_code)
    write_identifier(written, qualified(XROAD, "service"), service)
    sub_element(written, qualified(XROAD, "id"), header.message_id)
    sub_element(written, qualified(XROAD, "protocolVersion"), "4.0")
    body = sub_element(envelope, qualified(SOAP, "Body"))
    asked = sub_element(body, qualified(XROAD, request.type.service_code))
    for name, (field, _, write) in _FIELDS.items():
        value = getattr(request, field, None)
        if value is not None:
            write(asked, qualified(XROAD, name), value)
    return write_xml(envelope)


def read_request_type(message: SoapMessage) -> RequestType:
    """What a message asks for, by its service; raises InvalidRequest for another service."""
    code = message.header.service.service_code
    try:
        return RequestType(code)
    except ValueError:
        raise InvalidRequest(f"unknown service code {code[:20]!r}") from None


def read_request(message: SoapMessage) -> ManagementRequest:
    """The request that a message holds.

    Raises InvalidRequest for an unknown service or an endless text, InvalidSoap for a body against
    the schema, InvalidIdentifier and InvalidClientIdentifier.
    """
    kind = read_request_type(message)
    body = _body_of(message)
    if namespace(body) != XROAD or local_name(body) != kind.service_code:
        raise InvalidSoap(f"the body holds {local_name(body)[:100]!r}, not {kind.service_code}")
    Schema.load(_SCHEMA).check(body, InvalidSoap)
    try:
        return REQUEST_CLASSES[kind](**_values(body))
    except InvalidXml as error:
        raise InvalidSoap(error.message) from None


def _values(body: Element) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for child in children(body):
        if child.tag == _REQUEST_ID:
            raise InvalidSoap("a request may not name its own id")
        field, read, _ = _FIELDS[local_name(child)]
        values[field] = read(child)
    return values


def _body_of(message: SoapMessage) -> Element:
    envelope = read_envelope(message.raw, MANAGEMENT_LIMITS)
    body = None if envelope.body is None else next(children(envelope.body), None)
    if body is None:
        raise InvalidSoap("the SOAP body is empty")
    return body


def write_response(message: SoapMessage, request_id: int) -> bytes:
    """The answer to a request: all that it said, and the id under which it is kept."""
    body = _body_of(message)
    body.tag = qualified(XROAD, message.header.service.service_code + "Response")
    sub_element(body, _REQUEST_ID, str(request_id))
    return write_xml(body.getroottree().getroot())


def read_response(data: bytes, content_type: str, request: bytes) -> int:
    """The id that the answer to a request gives it; `request` is its SOAP message.

    Raises PeerFault for a fault, what `read_soap` raises, InconsistentResponse for the answer to
    another request, and InvalidSoap where there is no id.
    """
    answer = read_soap(data, content_type, MANAGEMENT_LIMITS)
    asked = read_soap(request, "text/xml", MANAGEMENT_LIMITS)
    check_consistency(asked, answer)
    if answer.body_name != asked.body_name + "Response":
        raise InvalidSoap(f"{answer.body_name[:100]!r} is no answer to {asked.body_name}")
    try:
        text = find_child_text(_body_of(answer), _REQUEST_ID)
    except InvalidXml as error:
        raise InvalidSoap(error.message) from None
    number = (text or "").strip()
    if not number.isdecimal() or not number.isascii() or len(number) > len(str(_LARGEST_ID)):
        raise InvalidSoap("the answer to a management request has no request id")
    return int(number)


def _text(field: Element) -> str:
    text = text_of(field)
    if len(text) > _LONGEST_TEXT:
        raise InvalidRequest(f"{local_name(field)} is longer than {_LONGEST_TEXT} characters")
    return text


def _certificate(field: Element) -> bytes:
    try:
        return a2b_base64("".join(text_of(field).split()), strict_mode=True)
    except (Base64Error, ValueError):
        raise InvalidSoap(f"{local_name(field)} is not base64") from None


def _is_true(field: Element) -> bool:
    return text_of(field).strip() in {"true", "1"}


def _write_text(parent: Element, name: str, value: str) -> None:
    sub_element(parent, name, value)


def _write_certificate(parent: Element, name: str, value: bytes) -> None:
    sub_element(parent, name, b2a_base64(value, newline=False).decode("ascii"))


def _write_flag(parent: Element, name: str, value: bool) -> None:
    sub_element(parent, name, "true" if value else "false")


Reading = Callable[[Element], Any]
Writing = Callable[[Element, str, Any], object]

# Each element: the field that holds it, how it is read and how it is written; in the order of the
# schema, in which every request lists those that it has.
_FIELDS: Mapping[str, tuple[str, Reading, Writing]] = {
    "server": ("server", read_security_server_id, write_identifier),
    "client": ("client", read_client_id, write_identifier),
    "subsystemName": ("subsystem_name", _text, _write_text),
    "address": ("address", _text, _write_text),
    "message": ("message", _text, _write_text),
    "authCert": ("certificate", _certificate, _write_certificate),
    "dryRun": ("dry_run", _is_true, _write_flag),
}
