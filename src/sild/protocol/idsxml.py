"""Identifiers as XML: their parts in order, and `id:objectType` saying what they name."""

from collections.abc import Callable

from sild.protocol.errors import InvalidClientIdentifier, InvalidXml
from sild.protocol.ids import (
    ClientId,
    GlobalGroupId,
    LocalGroupId,
    SecurityServerId,
    ServiceId,
    SubjectId,
)
from sild.protocol.safexml import (
    Element,
    child_text,
    find_child_text,
    local_name,
    qualified,
    sub_element,
)

NAMESPACE = "http://x-road.eu/xsd/identifiers"
_TYPE = qualified(NAMESPACE, "objectType")

Identifier = ClientId | ServiceId | SecurityServerId | GlobalGroupId | LocalGroupId


def object_type(element: Element) -> str:
    """What an identifier says that it names, such as SUBSYSTEM; raises InvalidXml."""
    value = element.get(_TYPE)
    if value not in _READERS:
        raise InvalidXml(f"{local_name(element)} has the object type {value!r}")
    return value


def _check_type(element: Element, *accepted: str) -> str:
    found = object_type(element)
    if found not in accepted:
        raise InvalidXml(f"{local_name(element)} is a {found}, not a {' or '.join(accepted)}")
    return found


def _get(element: Element, name: str) -> str:
    return child_text(element, qualified(NAMESPACE, name))


def _find(element: Element, name: str) -> str | None:
    return find_child_text(element, qualified(NAMESPACE, name))


def _member_or_subsystem(element: Element) -> ClientId:
    return ClientId(
        _get(element, "xRoadInstance"),
        _get(element, "memberClass"),
        _get(element, "memberCode"),
        _find(element, "subsystemCode"),
    )


def read_client_id(element: Element) -> ClientId:
    """A member or subsystem; raises InvalidXml, InvalidIdentifier, InvalidClientIdentifier.

    The object type and the subsystem code must agree.
    """
    found = _check_type(element, "MEMBER", "SUBSYSTEM")
    client = _member_or_subsystem(element)
    if client.is_subsystem != (found == "SUBSYSTEM"):
        raise InvalidClientIdentifier(f"{local_name(element)} is a {found} by type, not by parts")
    return client


def read_header_client_id(element: Element) -> ClientId:
    """A member or subsystem in a message header, where only the subsystem code decides."""
    _check_type(element, "MEMBER", "SUBSYSTEM")
    return _member_or_subsystem(element)


def read_service_id(element: Element) -> ServiceId:
    """A service; raises InvalidXml, InvalidIdentifier."""
    _check_type(element, "SERVICE")
    return ServiceId(
        _member_or_subsystem(element),
        _get(element, "serviceCode"),
        _find(element, "serviceVersion"),
    )


def read_security_server_id(element: Element) -> SecurityServerId:
    """A security server; raises InvalidXml, InvalidIdentifier."""
    _check_type(element, "SERVER")
    owner = ClientId(
        _get(element, "xRoadInstance"), _get(element, "memberClass"), _get(element, "memberCode")
    )
    return SecurityServerId(owner, _get(element, "serverCode"))


def read_group_id(element: Element) -> GlobalGroupId | LocalGroupId:
    """A global or local group; raises InvalidXml, InvalidIdentifier."""
    if _check_type(element, "GLOBALGROUP", "LOCALGROUP") == "LOCALGROUP":
        return LocalGroupId(_get(element, "groupCode"))
    return GlobalGroupId(_get(element, "xRoadInstance"), _get(element, "groupCode"))


_READERS: dict[str, Callable[[Element], Identifier]] = {
    "MEMBER": read_client_id,
    "SUBSYSTEM": read_client_id,
    "SERVICE": read_service_id,
    "SERVER": read_security_server_id,
    "GLOBALGROUP": read_group_id,
    "LOCALGROUP": read_group_id,
}


def read_identifier(element: Element) -> Identifier:
    """An identifier of whatever type it says; raises InvalidXml, InvalidIdentifier."""
    return _READERS[object_type(element)](element)


def read_subject_id(element: Element) -> SubjectId:
    """A client or group, to whom rights are given; raises InvalidXml, InvalidIdentifier."""
    found = read_identifier(element)
    if not isinstance(found, SubjectId):
        raise InvalidXml(f"{local_name(element)} names {found}, which has no rights")
    return found


def write_identifier(parent: Element, name: str, identifier: Identifier) -> Element:
    """A new last child of this qualified name; the parent should declare a prefix."""
    kind, parts = _described(identifier)
    written = sub_element(parent, name, attributes={_TYPE: kind})
    for part, text in parts:
        if text is not None:
            sub_element(written, qualified(NAMESPACE, part), text)
    return written


def _described(identifier: Identifier) -> tuple[str, list[tuple[str, str | None]]]:
    match identifier:
        case ClientId():
            kind = "SUBSYSTEM" if identifier.is_subsystem else "MEMBER"
            return kind, _client_parts(identifier)
        case ServiceId(provider, code, version):
            service: list[tuple[str, str | None]] = [("serviceCode", code)]
            return "SERVICE", [*_client_parts(provider), *service, ("serviceVersion", version)]
        case SecurityServerId(owner, code):
            return "SERVER", [*_client_parts(owner), ("serverCode", code)]
        case GlobalGroupId(instance, code):
            return "GLOBALGROUP", [("xRoadInstance", instance), ("groupCode", code)]
        case LocalGroupId(code):
            return "LOCALGROUP", [("groupCode", code)]


def _client_parts(client: ClientId) -> list[tuple[str, str | None]]:
    return [
        ("xRoadInstance", client.instance),
        ("memberClass", client.member_class),
        ("memberCode", client.member_code),
        ("subsystemCode", client.subsystem_code),
    ]
