"""What the XML documents of PR-GCONF have in common: their root, schema, identifiers and values."""

import base64
import binascii
from collections.abc import Iterator
from contextlib import contextmanager

from sild.protocol.errors import (
    IncorrectCertificate,
    InvalidClientIdentifier,
    InvalidIdentifier,
    InvalidXml,
    ProtocolError,
)
from sild.protocol.idsxml import NAMESPACE as IDENTIFIERS
from sild.protocol.pki.certificate import Certificate, read_certificate
from sild.protocol.safexml import (
    Element,
    Schema,
    XmlLimits,
    child_text,
    element,
    find_child_text,
    has_name,
    qualified,
    read_xml,
    sub_element,
    text_of,
    write_xml,
)

XROAD = "http://x-road.eu/xsd/xroad.xsd"

# Room for 20,000 members and 10,000 security servers.
LIMITS = XmlLimits(size=32_000_000, depth=20, tags=2_000_000, attributes=1_000_000)
_LARGEST_INTEGER = 2**31 - 1
_REASONS = (InvalidXml, InvalidIdentifier, InvalidClientIdentifier, IncorrectCertificate)


@contextmanager
def refusing(error: type[ProtocolError], what: str) -> Iterator[None]:
    """Turn what reading XML, identifiers and certificates raises into one error."""
    try:
        yield
    except _REASONS as reason:
        raise error(f"{what}: {reason.message}") from None


def read_document(data: bytes, root_name: str, schema: str) -> Element:
    """The root of a document that fits its schema; raises InvalidXml."""
    root = read_xml(data, LIMITS)
    if not has_name(root, qualified(XROAD, root_name)):
        raise InvalidXml(f"the document is no {root_name}")
    Schema.load(schema).check(root)
    return root


def new_document(root_name: str) -> Element:
    """An empty document with the prefixes that the children need."""
    return element(qualified(XROAD, root_name), namespaces={"id": IDENTIFIERS, "xroad": XROAD})


def write_document(root: Element, schema: str) -> bytes:
    """The bytes of a document, which must fit the schema that its readers hold it to."""
    document = write_xml(root)
    Schema.load(schema).check(read_xml(document, LIMITS))
    return document


def bytes_of(holder: Element) -> bytes:
    """What the base64 text of an element says."""
    try:
        return base64.b64decode("".join(text_of(holder).split()), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidXml("a value is not base64") from None


def certificate_of(holder: Element) -> Certificate:
    """The certificate that an element holds: central servers publish DER and PEM."""
    return read_certificate(bytes_of(holder))


def integer_of(parent: Element, name: str) -> int:
    """A positive number in a child, small enough to be seconds."""
    text = child_text(parent, name).strip()
    # The schema allows numbers of any length.
    value = int(text) if len(text.lstrip("+-")) <= len(str(_LARGEST_INTEGER)) else 0
    if not 0 < value <= _LARGEST_INTEGER:
        raise InvalidXml(f"{name} is {text[:20]}, which is no possible number")
    return value


def is_true(parent: Element, name: str) -> bool:
    """Whether an optional boolean child is there and true."""
    return (find_child_text(parent, name) or "").strip() in {"true", "1"}


def add_base64(parent: Element, name: str, content: bytes) -> None:
    """Add a child with the content in base64."""
    sub_element(parent, name, base64.b64encode(content).decode("ascii"))
