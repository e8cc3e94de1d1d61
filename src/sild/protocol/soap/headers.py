"""The header block of PR-MESS, and those of its extensions for SOAP.

The security-server targeting, represented-party and security-token extensions add a field each.
Fields may come in any order; what is not known is the business of those at the ends.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sild.protocol.errors import (
    DuplicateHeaderField,
    InvalidIdentifier,
    InvalidProtocolVersion,
    InvalidXml,
    MissingHeaderField,
)
from sild.protocol.ids import ClientId, RepresentedParty, SecurityServerId, ServiceId
from sild.protocol.idsxml import NAMESPACE as IDENTIFIERS
from sild.protocol.idsxml import object_type
from sild.protocol.safexml import Element, local_name, qualified, text_of

XROAD = "http://x-road.eu/xsd/xroad.xsd"
REPRESENTATION = "http://x-road.eu/xsd/representation.xsd"
_SECURITY_TOKEN = qualified("http://x-road.eu/xsd/security-token.xsd", "securityToken")

MESSAGE_ID = qualified(XROAD, "id")
REQUEST_HASH = qualified(XROAD, "requestHash")


@dataclass(frozen=True, slots=True)
class SoapHeader:
    """What the header of a message says; values are not trimmed, and empty is not absent.

    Of a security token only the presence is known: it is for the service.
    """

    client: ClientId
    service: ServiceId
    message_id: str
    protocol_version: str
    user_id: str | None = None
    issue: str | None = None
    security_server: SecurityServerId | None = None
    represented_party: RepresentedParty | None = None
    request_hash: str | None = None
    has_security_token: bool = False


def read_header(header: Element) -> SoapHeader:
    """The fields of a SOAP header.

    Raises MissingHeaderField, DuplicateHeaderField, InvalidProtocolVersion, InvalidIdentifier, and
    InvalidXml for an object type that is none or another than the field's.
    """
    values: dict[str, Any] = {}
    for child in header:
        known = _FIELDS.get(child.tag)
        if known is not None:
            name, read = known
            if name in values:
                raise DuplicateHeaderField(f"the SOAP header has two fields {local_name(child)}")
            values[name] = read(child)
        elif child.tag == _SECURITY_TOKEN:
            values["has_security_token"] = True
    for name, field in _MANDATORY:
        if name not in values:
            raise MissingHeaderField(f"the SOAP header has no {field}")
    return SoapHeader(**values)


def _protocol_version(element: Element) -> str:
    version = text_of(element)
    # "any protocols with the same major version number are compatible" -- PR-MESS 2.2
    if not version.startswith("4."):
        raise InvalidProtocolVersion(f"the message protocol {version[:20]!r} is not 4.x")
    return version


_CLIENT_PARTS = ("xRoadInstance", "memberClass", "memberCode", "subsystemCode")
_SERVICE_PARTS = (*_CLIENT_PARTS, "serviceCode", "serviceVersion")
_SERVER_PARTS = (*_CLIENT_PARTS[:3], "serverCode")


def _names(namespace: str, *parts: str) -> Mapping[object, str]:
    return {qualified(namespace, part): part for part in parts}


_CLIENT_NAMES = _names(IDENTIFIERS, *_CLIENT_PARTS)
_SERVICE_NAMES = _names(IDENTIFIERS, *_SERVICE_PARTS)
_SERVER_NAMES = _names(IDENTIFIERS, *_SERVER_PARTS)
_PARTY_NAMES = _names(REPRESENTATION, "partyClass", "partyCode")


def _parts(element: Element, names: Mapping[object, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for child in element:
        part = names.get(child.tag)
        if part is None:
            continue
        if part in found:
            raise DuplicateHeaderField(f"{local_name(element)} has two {part}")
        found[part] = text_of(child)
    return found


def _identifier(
    element: Element, types: tuple[str, ...], names: Mapping[object, str]
) -> tuple[ClientId, dict[str, str]]:
    """The member or subsystem that an identifier begins with, and all its parts."""
    kind = object_type(element)
    if kind not in types:
        raise InvalidXml(f"{local_name(element)} is a {kind}, not a {' or '.join(types)}")
    parts = _parts(element, names)
    client = ClientId(
        _get(parts, "xRoadInstance"),
        _get(parts, "memberClass"),
        _get(parts, "memberCode"),
        parts.get("subsystemCode"),
    )
    return client, parts


def _get(parts: Mapping[str, str], name: str) -> str:
    part = parts.get(name)
    if part is None:
        raise InvalidIdentifier(f"{name} is missing or blank")
    return part


def _client(element: Element) -> ClientId:
    """A member or subsystem: whether there is a subsystem code decides, not the object type."""
    return _identifier(element, ("MEMBER", "SUBSYSTEM"), _CLIENT_NAMES)[0]


def _service(element: Element) -> ServiceId:
    provider, parts = _identifier(element, ("SERVICE",), _SERVICE_NAMES)
    return ServiceId(provider, _get(parts, "serviceCode"), parts.get("serviceVersion"))


def _security_server(element: Element) -> SecurityServerId:
    owner, parts = _identifier(element, ("SERVER",), _SERVER_NAMES)
    return SecurityServerId(owner, _get(parts, "serverCode"))


def _represented_party(element: Element) -> RepresentedParty:
    parts = _parts(element, _PARTY_NAMES)
    if "partyCode" not in parts:
        raise MissingHeaderField("the represented party has no partyCode")
    return RepresentedParty(parts.get("partyClass"), parts["partyCode"])


_MANDATORY = (
    ("protocol_version", "protocolVersion"),
    ("client", "client"),
    ("message_id", "id"),
    ("service", "service"),
)

_FIELDS: Mapping[object, tuple[str, Callable[[Element], object]]] = {
    qualified(XROAD, "client"): ("client", _client),
    qualified(XROAD, "service"): ("service", _service),
    qualified(XROAD, "securityServer"): ("security_server", _security_server),
    qualified(XROAD, "userId"): ("user_id", text_of),
    qualified(XROAD, "issue"): ("issue", text_of),
    qualified(XROAD, "protocolVersion"): ("protocol_version", _protocol_version),
    qualified(REPRESENTATION, "representedParty"): ("represented_party", _represented_party),
    MESSAGE_ID: ("message_id", text_of),
    REQUEST_HASH: ("request_hash", text_of),
}
