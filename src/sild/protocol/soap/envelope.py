"""The SOAP 1.1 envelope: parsed once, safely, with one header and one body at most."""

from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from dataclasses import dataclass

from sild.protocol.errors import InvalidSoap, InvalidXml
from sild.protocol.safexml import Element, XmlLimits, encoding_of, has_name, qualified, read_xml

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
_ENVELOPE, _HEADER, _BODY = (qualified(SOAP, name) for name in ("Envelope", "Header", "Body"))
_MARKS_OF_UTF_16 = (BOM_UTF16_LE, BOM_UTF16_BE)

SOAP_LIMITS = XmlLimits(size=32 * 1024 * 1024, depth=200, tags=1_000_000, attributes=1_000_000)


@dataclass(frozen=True, slots=True)
class Envelope:
    """What an envelope holds, and the encoding that it was read in.

    `header_place` counts the element children of the envelope before the header.
    """

    header: Element | None
    header_place: int
    body: Element | None
    encoding: str


def read_envelope(data: bytes, limits: XmlLimits = SOAP_LIMITS) -> Envelope:
    """The parts of an envelope; raises InvalidSoap for what is none, and for unsafe XML.

    The encoding is what XML itself says: a byte-order mark, the declaration, or else UTF-8. The
    content type that came with the document is not signed and so has no voice in what it says.
    """
    try:
        root = read_xml(data, limits)
    except InvalidXml as error:
        raise InvalidSoap(error.message) from None
    if not has_name(root, _ENVELOPE):
        raise InvalidSoap("not a SOAP 1.1 envelope")
    found: dict[object, Element] = {}
    place = header_place = 0
    for child in root:
        name = child.tag
        if name in (_HEADER, _BODY):
            if name in found:
                raise InvalidSoap("a SOAP envelope with several headers or bodies")
            found[name] = child
            if name == _HEADER:
                header_place = place
        place += isinstance(name, str)
    # Without a declaration the parser keeps to itself what a byte-order mark said.
    encoding = "UTF-16" if data.startswith(_MARKS_OF_UTF_16) else encoding_of(root)
    return Envelope(found.get(_HEADER), header_place, found.get(_BODY), encoding)
