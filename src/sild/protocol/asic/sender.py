"""Who sent a message, as the message itself says: the only place that needs its content.

A request comes from its client, a response from the provider of its service.
"""

from dataclasses import dataclass

from sild.protocol.errors import InvalidClientIdentifier, InvalidMessage, Malformed
from sild.protocol.ids import ClientId, ServiceId
from sild.protocol.idsxml import read_header_client_id, read_service_id
from sild.protocol.rest.headers import (
    CLIENT,
    DROPPED,
    MESSAGE_ID,
    REPRESENTED_PARTY,
    REQUEST_HASH,
    SECURITY_SERVER,
    SERVICE,
    write_fields,
)
from sild.protocol.rest.message import read_rest_request, read_rest_response
from sild.protocol.safexml import (
    Element,
    children,
    find_child,
    get_child,
    has_name,
    local_name,
    read_xml,
    text_of,
)
from sild.protocol.signature.base64text import encode_base64
from sild.protocol.soap.envelope import SOAP_LIMITS

_SOAP = "{http://schemas.xmlsoap.org/soap/envelope/}"
_XROAD = "{http://x-road.eu/xsd/xroad.xsd}"
_PARTIES = frozenset({CLIENT, SERVICE, SECURITY_SERVER, REPRESENTED_PARTY})
_FIRST_LINES = 2
_STARTS_XML = (b"<", b"\xef\xbb\xbf", b"\xfe\xff", b"\xff\xfe")


class SenderNotStated(InvalidMessage):
    """A SOAP message whose headers do not say who sent it."""


@dataclass(frozen=True, slots=True)
class Parties:
    """Between whom a message went."""

    is_response: bool
    service: ServiceId
    client: ClientId | None
    """Absent from some REST responses."""
    message_id: str | None

    @property
    def sender(self) -> ClientId:
        """Who sent the message, and so must have signed it."""
        if self.client is None or self.is_response:
            return self.service.provider
        return self.client

    def __str__(self) -> str:
        if self.is_response:
            caller = f" to {self.client}" if self.client else ""
            text = f"{self.sender}, as the answer of {self.service}{caller}"
        else:
            text = f"{self.sender}, as a request to {self.service}"
        return text if self.message_id is None else f"{text}, id {self.message_id}"


def get_sender(message: bytes) -> ClientId:
    """Who sent the SOAP or REST message; raises InvalidMessage."""
    return read_parties(message).sender


def read_parties(message: bytes) -> Parties:
    """Between whom the SOAP or REST message went; raises InvalidMessage."""
    try:
        if message.lstrip().startswith(_STARTS_XML):
            return _soap_parties(message)
        return _rest_parties(message)
    except (InvalidClientIdentifier, Malformed) as error:
        if isinstance(error, InvalidMessage):
            raise
        raise InvalidMessage(f"the message does not say who sent it: {error}") from None


def _soap_parties(message: bytes) -> Parties:
    # What was accepted as a message must not be too large to be shown later.
    envelope = read_xml(message, SOAP_LIMITS)
    if not has_name(envelope, _SOAP + "Envelope"):
        raise InvalidMessage(f"a {local_name(envelope)} is no SOAP message")
    try:
        return _header_parties(envelope)
    except (InvalidClientIdentifier, Malformed) as error:
        raise SenderNotStated(f"the message does not say who sent it: {error}") from None


def _header_parties(envelope: Element) -> Parties:
    header = get_child(envelope, _SOAP + "Header")
    bodies = list(children(get_child(envelope, _SOAP + "Body")))
    if len(bodies) != 1:
        raise InvalidMessage("the body of the SOAP message needs exactly one element")
    client = read_header_client_id(get_child(header, _XROAD + "client"))
    service = read_service_id(get_child(header, _XROAD + "service"))
    message_id = find_child(header, _XROAD + "id")
    return Parties(
        is_response=local_name(bodies[0]).endswith("Response"),
        service=service,
        client=client,
        message_id=None if message_id is None else text_of(message_id),
    )


def _rest_parties(message: bytes) -> Parties:
    reduced, message_id = _reduce(message)
    if not message[:1].isdigit():
        request = read_rest_request(reduced)
        return Parties(
            is_response=False,
            service=request.service,
            client=request.client,
            message_id=message_id,
        )
    response = read_rest_response(reduced)
    if response.service is None:
        raise InvalidMessage("the response does not say which service gave it")
    return Parties(
        is_response=True,
        service=response.service,
        client=response.client,
        message_id=message_id,
    )


def _reduce(message: bytes) -> tuple[bytes, str | None]:
    """The REST message with nothing but what says between whom it went, and its id.

    What else is wrong with it is a matter of live messages: whether it was signed like that is
    asked later, as by the reference.
    """
    lines = message.splitlines()
    if len(lines) < _FIRST_LINES:
        raise InvalidMessage("a REST message without its two first lines")
    first, second, *rest = lines
    said: dict[bytes, bytes] = {}
    kept = []
    for line in rest:
        name, colon, value = line.partition(b":")
        lower = name.lower()
        if not colon or lower in DROPPED:
            raise InvalidMessage(f"a REST message may not have the header line {line[:100]!r}")
        said[lower] = value
        if lower in _PARTIES:
            kept.append((name, value))
    if message[:1].isdigit():
        if not said.get(MESSAGE_ID) or not _may_be_base64(said.get(REQUEST_HASH, b"")):
            raise InvalidMessage("the response has no x-road-id or no x-road-request-hash")
        second = b""
        kept.append((REQUEST_HASH, encode_base64(bytes(64))))
    kept.append((MESSAGE_ID, b"-"))
    message_id = said.get(MESSAGE_ID)
    text = None if message_id is None else message_id.decode("utf-8", "replace")
    return b"%b\r\n%b\r\n%b" % (first, second, write_fields(kept)), text


def _may_be_base64(text: bytes) -> bool:
    """Whether the reference would take it for base64: it counts letters, but takes any."""
    letters = text.translate(None, b" \t\r\n")
    return bool(letters) and len(letters) % 4 == 0 and letters.isascii()
