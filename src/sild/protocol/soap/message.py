"""A SOAP message: its exact bytes beside what they say.

The bytes are what is signed, hashed, logged and passed on; nothing of them is ever written anew,
but for the hash of the request that goes into a response.
"""

from binascii import Error as Base64Error
from binascii import a2b_base64
from dataclasses import dataclass, field

from sild.protocol.errors import (
    InconsistentHeaders,
    InconsistentResponse,
    InvalidBody,
    MissingBody,
    MissingHeader,
)
from sild.protocol.safexml import Element, XmlLimits, children, local_name
from sild.protocol.soap.envelope import SOAP_LIMITS, read_envelope
from sild.protocol.soap.fault import fault_in
from sild.protocol.soap.headers import MESSAGE_ID, REQUEST_HASH, SoapHeader, read_header
from sild.protocol.soap.http_headers import check_charset, check_soap_type
from sild.protocol.soap.requesthash import HeaderPlaces, write_request_hash


@dataclass(frozen=True, slots=True)
class SoapMessage:
    """A request or response: `raw` is the exact bytes, a byte-order mark among them.

    `encoding` is what the document is read in; `body_name` is the local name of the only element
    in the body.
    """

    raw: bytes
    content_type: str
    encoding: str
    header: SoapHeader
    body_name: str
    places: HeaderPlaces = field(repr=False, compare=False)

    @property
    def is_response(self) -> bool:
        """Whether the body says that this is a response."""
        return self.body_name.endswith("Response")

    @property
    def is_request(self) -> bool:
        """Whether the body does not say that this is a response."""
        return not self.is_response


def read_soap(data: bytes, content_type: str, limits: XmlLimits = SOAP_LIMITS) -> SoapMessage:
    """The message that a SOAP document holds.

    Raises InvalidContentType; InvalidSoap and what is below it; InvalidXml and InvalidIdentifier
    for identifiers; and the PeerFault that the document holds instead of a message.
    """
    check_soap_type(content_type)
    envelope = read_envelope(data, limits)
    if envelope.body is not None and (fault := fault_in(envelope.body)) is not None:
        fault.raw = data
        raise fault
    # Not asked of faults: peers say UTF-8 of them whatever the service wrote.
    check_charset(content_type, envelope.encoding)
    if envelope.header is None:
        raise MissingHeader("the SOAP envelope has no header")
    header = read_header(envelope.header)
    body_name = _body_name(envelope.body)
    if not body_name.startswith(header.service.service_code):
        raise InconsistentHeaders(
            f"the body holds {body_name[:100]!r}, the service is {header.service}"
        )
    places = _places(envelope.header_place, envelope.header)
    return SoapMessage(data, content_type, envelope.encoding, header, body_name, places)


def _body_name(body: Element | None) -> str:
    if body is None:
        raise MissingBody("the SOAP envelope has no body")
    elements = children(body)
    only, second = next(elements, None), next(elements, None)
    if only is None or second is not None:
        raise InvalidBody("the SOAP body does not hold exactly one element")
    return local_name(only)


def _places(header_place: int, header: Element) -> HeaderPlaces:
    names = [child.tag for child in children(header)]
    request_hash = names.index(REQUEST_HASH) if REQUEST_HASH in names else None
    return HeaderPlaces(header_place, names.index(MESSAGE_ID), request_hash)


def check_consistency(request: SoapMessage, response: SoapMessage) -> None:
    """Raise InconsistentResponse unless the response repeats what the request's header says.

    The security server and the protocol version may differ.
    """
    asked, answered = request.header, response.header
    for what, one, other in (
        ("client", asked.client, answered.client),
        ("service", asked.service, answered.service),
        ("userId", asked.user_id, answered.user_id),
        ("representedParty", asked.represented_party, answered.represented_party),
        ("issue", asked.issue, answered.issue),
        ("id", asked.message_id, answered.message_id),
    ):
        if one != other:
            raise InconsistentResponse(f"the {what} of the response is not that of the request")


def check_request_hash(request_digest: bytes, response: SoapMessage) -> None:
    """Raise InconsistentResponse unless the response holds this SHA-512 of the request's bytes."""
    said = response.header.request_hash
    if said is None:
        raise InconsistentResponse("the response has no request hash")
    try:
        digest = a2b_base64(said.encode("ascii", "replace"))
    except Base64Error:
        digest = b""
    if digest != request_digest:
        raise InconsistentResponse("the request hash of the response is not that of the request")


def with_request_hash(response: SoapMessage, request_digest: bytes) -> bytes:
    """The bytes of a service's response with the SHA-512 of the request in place of its own.

    All else keeps its bytes.
    """
    return write_request_hash(response.raw, response.places, request_digest)
