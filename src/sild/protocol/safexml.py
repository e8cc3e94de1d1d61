"""Safe parsing, canonicalisation, schemas and namespaces: the only module that names lxml.

Trees are lxml's own elements. They are read here and nowhere else, so that every document that
crosses a boundary has been refused a DTD and kept within its limits.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from threading import Lock
from typing import TYPE_CHECKING, Self

from lxml import etree
from lxml.etree import _Element as Element

from sild.protocol.errors import InvalidXml, ProtocolError

if TYPE_CHECKING:
    from lxml.etree._docloader import _InputDocument

__all__ = [
    "Element",
    "Schema",
    "XmlLimits",
    "canonical",
    "child_text",
    "children",
    "element",
    "encoding_of",
    "find_child",
    "find_child_text",
    "get_child",
    "has_name",
    "local_name",
    "namespace",
    "qualified",
    "read_xml",
    "sub_element",
    "text_of",
    "write_xml",
]

_XML = "http://www.w3.org/XML/1998/namespace"
_DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'
_ENCODINGS = frozenset(
    {"UTF-8", "UTF8", "UTF-16", "UTF-16LE", "UTF-16BE", "US-ASCII", "ASCII"}
    | {"ISO-8859-1", "ISO-8859-13", "ISO-8859-15", "WINDOWS-1252", "WINDOWS-1257"}
)
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""A character that no document of XML 1.0 can hold."""
_STARTS_WITH_DOCTYPE = re.compile(rb"[^<]*(?:<\?[^<>]*>[^<]*)?<!DOCTYPE")
# In UTF-16 of either byte order.
_WIDE_XMLNS = b"x\0m\0l\0n\0s"
# Above this, libxml2 wants to be told that a large document is meant.
_LARGE = 10_000_000


@dataclass(frozen=True, slots=True)
class XmlLimits:
    """How much of a document is read: bytes, levels, tags, attributes, declared namespaces.

    All but levels are counted before parsing, by `<`, `=` and `xmlns`, so text that holds many of
    these is counted too. What is going to be canonicalised needs a low limit of namespaces: each
    element then costs as much as the square of those in scope.
    """

    size: int = 10_000_000
    depth: int = 100
    tags: int = 400_000
    attributes: int = 400_000
    namespaces: int = 400_000


_DEFAULT_LIMITS = XmlLimits()


def read_xml(data: bytes, limits: XmlLimits = _DEFAULT_LIMITS) -> Element:
    """The root element of a document without a DTD, within the limits; raises InvalidXml."""
    if len(data) > limits.size:
        raise InvalidXml(f"a document of {len(data)} bytes is over the limit of {limits.size}")
    tags = data.count(b"<")
    if tags > limits.tags:
        raise InvalidXml(f"a document with {tags} tags is over the limit of {limits.tags}")
    if data.count(b"=") > limits.attributes:
        raise InvalidXml(f"a document has more than {limits.attributes} attributes")
    if data.count(b"xmlns") + data.count(_WIDE_XMLNS) > limits.namespaces:
        raise InvalidXml(f"a document declares more than {limits.namespaces} namespaces")
    # Not the guard itself, which is below: it saves what reading an internal subset may cost.
    if _STARTS_WITH_DOCTYPE.match(data):
        raise InvalidXml("a document type declaration is not allowed")
    try:
        root = etree.fromstring(data, _parser(len(data) > _LARGE))
    except (etree.LxmlError, ValueError) as error:
        raise InvalidXml(f"not well-formed XML: {error}") from None
    _check_document(root)
    # Elements so deep have as many start tags, and end tags but for the innermost.
    if tags > 2 * limits.depth and _depth_test(limits.depth)(root):
        raise InvalidXml(f"elements are nested more than {limits.depth} levels deep")
    return root


def _check_document(root: Element) -> None:
    document = root.getroottree().docinfo
    if document.doctype or document.internalDTD is not None:
        raise InvalidXml("a document type declaration is not allowed")
    if (document.encoding or "UTF-8").upper() not in _ENCODINGS:
        raise InvalidXml(f"the encoding {document.encoding!r} is not accepted")


def encoding_of(element: Element) -> str:
    """The encoding that its document was read in, by byte-order mark, declaration or default."""
    return (element.getroottree().docinfo.encoding or "UTF-8").upper()


def _parser(large: bool) -> etree.XMLParser:
    # One for each document: parsers are locked while they work, and threads would wait.
    return etree.XMLParser(
        resolve_entities=False,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        no_network=True,
        huge_tree=large,
        collect_ids=False,
    )


@lru_cache(maxsize=16)
def _depth_test(depth: int) -> etree.XPath:
    return etree.XPath(f"boolean({'/*' * (depth + 1)})")


def canonical(
    element: Element,
    *,
    exclusive: bool = False,
    with_comments: bool = False,
    inclusive_prefixes: Collection[str] = (),
) -> bytes:
    """The canonical form of a subtree in the context of its document.

    Inclusive canonicalisation (C14N 1.0) gives the apex all namespaces in scope and the `xml:`
    attributes of its ancestors; exclusive canonicalisation only the namespaces that it uses and
    those of the inclusive prefixes.
    """
    borrowed = () if exclusive else tuple(_inherited_xml_attributes(element).items())
    # lxml canonicalises a subtree as if it had no parents but for their namespaces.
    for name, value in borrowed:
        element.set(name, value)
    try:
        return etree.tostring(
            element,
            method="c14n",
            exclusive=exclusive,
            with_comments=with_comments,
            inclusive_ns_prefixes=list(inclusive_prefixes) if exclusive else None,
        )
    except etree.LxmlError as error:
        raise InvalidXml(f"cannot be canonicalised: {error}") from None
    finally:
        for name, _ in borrowed:
            del element.attrib[name]


def _inherited_xml_attributes(element: Element) -> dict[str, str]:
    prefix = f"{{{_XML}}}"
    found: dict[str, str] = {}
    for ancestor in element.iterancestors():
        for name, value in ancestor.items():
            if name.startswith(prefix) and name not in element.attrib:
                found.setdefault(name, value)
    return found


def write_xml(element: Element, *, declaration: bool = True) -> bytes:
    """The element in UTF-8, behind an XML declaration."""
    body = etree.tostring(element, encoding="UTF-8", xml_declaration=False, with_tail=False)
    return _DECLARATION + body if declaration else body


def qualified(namespace: str, name: str) -> str:
    """A name in a namespace, as trees hold it: {namespace}name."""
    return f"{{{namespace}}}{name}"


def element(
    name: str,
    text: str | None = None,
    attributes: Mapping[str, str] | None = None,
    namespaces: Mapping[str | None, str] | None = None,
) -> Element:
    """A new element; a text that XML cannot hold raises InvalidXml."""
    return _filled(etree.Element(name, nsmap=_prefixes(namespaces)), text, attributes)


def sub_element(
    parent: Element,
    name: str,
    text: str | None = None,
    attributes: Mapping[str, str] | None = None,
) -> Element:
    """A new last child of the parent; a text that XML cannot hold raises InvalidXml."""
    return _filled(etree.SubElement(parent, name), text, attributes)


def _prefixes(namespaces: Mapping[str | None, str] | None) -> dict[str | None, str]:
    return dict(namespaces or {})


def _filled(new: Element, text: str | None, attributes: Mapping[str, str] | None) -> Element:
    try:
        new.text = text
        for name, value in (attributes or {}).items():
            new.set(name, value)
    except ValueError:
        raise InvalidXml(f"{local_name(new)} holds a character that XML does not allow") from None
    return new


def local_name(element: Element) -> str:
    """The name of an element without its namespace."""
    return etree.QName(element).localname


def namespace(element: Element) -> str | None:
    """The namespace of an element."""
    return etree.QName(element).namespace


def has_name(element: Element, name: str) -> bool:
    """Whether an element has this qualified name."""
    return element.tag == name


def children(parent: Element, name: str = "*") -> Iterator[Element]:
    """The child elements of this qualified name, or all child elements."""
    return parent.iterchildren(name)


def find_child(parent: Element, name: str) -> Element | None:
    """The only child element of this qualified name; raises InvalidXml where there are several."""
    first: Element | None = None
    for child in parent.iterchildren(name):
        if first is not None:
            raise InvalidXml(f"{local_name(parent)} has more than one {local_name(child)}")
        first = child
    return first


def get_child(parent: Element, name: str) -> Element:
    """The only child element of this qualified name; raises InvalidXml unless there is one."""
    child = find_child(parent, name)
    if child is None:
        raise InvalidXml(f"{local_name(parent)} has no {name.rpartition('}')[2]}")
    return child


def text_of(element: Element) -> str:
    """The whole text of an element that has no child elements; comments do not cut it short."""
    if not len(element):
        return element.text or ""
    if next(element.iterchildren("*"), None) is not None:
        raise InvalidXml(f"{local_name(element)} holds elements where text belongs")
    # A comment or processing instruction has text of its own, which is not the element's.
    return (element.text or "") + "".join(child.tail or "" for child in element)


def find_child_text(parent: Element, name: str) -> str | None:
    """The text of the only child of this qualified name."""
    child = find_child(parent, name)
    return None if child is None else text_of(child)


def child_text(parent: Element, name: str) -> str:
    """The text of the only child of this qualified name; raises InvalidXml where it is missing."""
    return text_of(get_child(parent, name))


@dataclass(frozen=True, slots=True)
class Schema:
    """One of the XML schemas that come with this package, by its path under `schemas`."""

    name: str
    _schema: etree.XMLSchema = field(repr=False, compare=False)

    @classmethod
    def load(cls, name: str) -> Self:
        """The schema of this name, such as `hashchain.xsd`, read once."""
        return cls(name, _load_schema(name))

    def check(self, element: Element, error: type[ProtocolError] = InvalidXml) -> None:
        """Raise the given error unless the element, as the root of a document, fits the schema."""
        if not self._schema.validate(element):
            entries = list(self._schema.error_log)
            reason = entries[0].message if entries else "no reason known"
            # A reason quotes the value that it refuses, however long that is.
            raise error(f"not valid by {self.name}: {reason[:_LONGEST_REASON]}")


_LONGEST_REASON = 300


class _PackagedSchemas(etree.Resolver):
    """Gives imported and included schemas from the package, and nothing from elsewhere."""

    def resolve(
        self, system_url: str | None, public_id: str | None, context: object
    ) -> "_InputDocument | None":
        del public_id
        name = (system_url or "").removeprefix(_SCHEMA_BASE)
        return self.resolve_string(_schema_text(name), context, base_url=_SCHEMA_BASE + name)


_SCHEMA_BASE = "schema:///"


def _schema_text(name: str) -> bytes:
    return resources.files("sild.protocol").joinpath("schemas", *name.split("/")).read_bytes()


# libxml2 prepares the types of schemas with the first that is read, and cannot have two threads
# read one at that moment.
_ONE_READER = Lock()


def _load_schema(name: str) -> etree.XMLSchema:
    with _ONE_READER:
        return _read_schema(name)


@lru_cache(maxsize=64)
def _read_schema(name: str) -> etree.XMLSchema:
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    parser.resolvers.add(_PackagedSchemas())
    return etree.XMLSchema(
        etree.fromstring(_schema_text(name), parser, base_url=_SCHEMA_BASE + name)
    )
