"""Reads which operations a WSDL 1.1 document offers, under which versions, and where.

Imported documents are not read, as nothing but the document itself is fetched: operations stand in
bindings, and these where the ports are. Schemas of messages do not matter here.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from sild.components.serverconf.described import DescribedService
from sild.components.serverconf.service_errors import InvalidWsdl
from sild.protocol.errors import InvalidXml
from sild.protocol.safexml import (
    Element,
    XmlLimits,
    children,
    has_name,
    local_name,
    qualified,
    read_xml,
)

_WSDL = "http://schemas.xmlsoap.org/wsdl/"
_SOAPS = ("http://schemas.xmlsoap.org/wsdl/soap/", "http://schemas.xmlsoap.org/wsdl/soap12/")
_OVER_HTTP = "http://schemas.xmlsoap.org/soap/http"
_LIMITS = XmlLimits(size=10 * 1024 * 1024)
_LONGEST_TITLE = 255

_Name = tuple[str | None, str]
"""A qualified name: the namespace and the local part."""


def read_wsdl(data: bytes) -> tuple[DescribedService, ...]:
    """The operations of every port that is SOAP over HTTP; raises InvalidWsdl.

    Where several ports offer the same operation, the address is that of the last.
    """
    try:
        root = read_xml(data, _LIMITS)
        if not has_name(root, qualified(_WSDL, "definitions")):
            raise InvalidXml(f"the document is a {local_name(root)[:100]}, not WSDL definitions")
        found = {(each.code, each.version): each for each in _Definitions(root).services()}
    except InvalidXml as error:
        raise InvalidWsdl(error.message, error.message) from error
    for code, count in Counter(each.full_code for each in found.values()).items():
        if count > 1:
            message = f"WSDL violates specification: Duplicate operation with name={code}"
            raise InvalidWsdl(message, message)
    return tuple(found.values())


class _Definitions:
    """The document, its bindings and port types by name."""

    def __init__(self, root: Element) -> None:
        self._root = root
        self._namespace = root.get("targetNamespace")
        self._bindings = self._by_name("binding")
        self._port_types = self._by_name("portType")

    def services(self) -> Iterator[DescribedService]:
        for service in children(self._root, qualified(_WSDL, "service")):
            for port in children(service, qualified(_WSDL, "port")):
                binding = self._bindings.get(_reference(port, "binding"))
                if binding is not None and _is_soap_over_http(binding):
                    yield from self._services_of(binding, _address(port))

    def _services_of(self, binding: Element, url: str | None) -> Iterator[DescribedService]:
        titles = self._titles(binding)
        for operation in _operations(binding):
            name = _attribute(operation, "name")
            yield DescribedService(name, _version(operation), url, titles.get(name))

    def _titles(self, binding: Element) -> dict[str, str]:
        """The titles of a binding's operations, which its port type documents."""
        port_type = self._port_types.get(_reference(binding, "type"))
        titles: dict[str, str] = {}
        seen: set[tuple[str, ...]] = set()
        for operation in () if port_type is None else _operations(port_type):
            name = _attribute(operation, "name")
            overload = (name, *(_name_within(operation, side) for side in ("input", "output")))
            if overload in seen:
                raise InvalidXml(
                    f"WSDL violates specification: Duplicate operation with name={name}"
                )
            seen.add(overload)
            for documentation in children(operation, qualified(_WSDL, "documentation")):
                title = _value(documentation, "title")
                if title:
                    titles[name] = title[:_LONGEST_TITLE]
        return titles

    def _by_name(self, kind: str) -> dict[_Name, Element]:
        return {
            (self._namespace, _attribute(each, "name")): each
            for each in children(self._root, qualified(_WSDL, kind))
        }


def _operations(parent: Element) -> Iterable[Element]:
    return children(parent, qualified(_WSDL, "operation"))


def _is_soap_over_http(binding: Element) -> bool:
    for soap in _SOAPS:
        for each in children(binding, qualified(soap, "binding")):
            return each.get("transport") == _OVER_HTTP
    return False


def _address(port: Element) -> str | None:
    for soap in _SOAPS:
        for each in children(port, qualified(soap, "address")):
            return (each.get("location") or "").strip() or None
    return None


def _version(operation: Element) -> str | None:
    return _value(operation, "version") or None


def _value(parent: Element, name: str) -> str | None:
    """The text of the first child of this name, in whatever namespace."""
    for child in children(parent):
        if local_name(child) == name:
            return (child.text or "").strip()
    return None


def _name_within(operation: Element, side: str) -> str:
    for each in children(operation, qualified(_WSDL, side)):
        return each.get("name") or ""
    return ""


def _attribute(element: Element, name: str) -> str:
    value = (element.get(name) or "").strip()
    if not value:
        raise InvalidXml(f"a {local_name(element)} has no {name}")
    return value


def _reference(element: Element, name: str) -> _Name:
    prefix, colon, local = _attribute(element, name).rpartition(":")
    namespace = element.nsmap.get(prefix if colon else None)
    if colon and namespace is None:
        raise InvalidXml(f"the prefix {prefix[:100]!r} of a {name} is not declared")
    return namespace, local
