"""Who sent a message, as the message itself says: the only place that needs its content.

A request comes from its client, a response from the provider of its service.
"""

from sild.protocol.errors import InvalidClientIdentifier, InvalidMessage, Malformed
from sild.protocol.ids import ClientId
from sild.protocol.idsxml import read_header_client_id, read_service_id
from sild.protocol.rest.message import read_rest_request, read_rest_response
from sild.protocol.safexml import children, get_child, has_name, local_name, read_xml
from sild.protocol.soap.envelope import SOAP_LIMITS

_SOAP = "{http://schemas.xmlsoap.org/soap/envelope/}"
_XROAD = "{http://x-road.eu/xsd/xroad.xsd}"
_STARTS_XML = (b"<", b"\xef\xbb\xbf", b"\xfe\xff", b"\xff\xfe")


def get_sender(message: bytes) -> ClientId:
    """Who sent the SOAP or REST message; raises InvalidMessage."""
    try:
        if message.lstrip().startswith(_STARTS_XML):
            return _soap_sender(message)
        return _rest_sender(message)
    except (InvalidClientIdentifier, Malformed) as error:
        raise InvalidMessage(f"the message does not say who sent it: {error}") from None


def _soap_sender(message: bytes) -> ClientId:
    # What was accepted as a message must not be too large to be shown later.
    envelope = read_xml(message, SOAP_LIMITS)
    if not has_name(envelope, _SOAP + "Envelope"):
        raise InvalidMessage(f"a {local_name(envelope)} is no SOAP message")
    header = get_child(envelope, _SOAP + "Header")
    bodies = list(children(get_child(envelope, _SOAP + "Body")))
    if len(bodies) != 1:
        raise InvalidMessage("the body of the SOAP message needs exactly one element")
    client = read_header_client_id(get_child(header, _XROAD + "client"))
    service = read_service_id(get_child(header, _XROAD + "service"))
    return service.provider if local_name(bodies[0]).endswith("Response") else client


def _rest_sender(message: bytes) -> ClientId:
    if not message[:1].isdigit():
        return read_rest_request(message).client
    service = read_rest_response(message).service
    if service is None:
        raise InvalidMessage("the response does not say which service gave it")
    return service.provider
