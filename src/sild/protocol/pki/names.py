"""Distinguished names: as Java prints them, as they are compared, and built for requests."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from asn1crypto import core

from sild.protocol.errors import IncorrectCertificate
from sild.protocol.pki import der

# The attribute types that RFC 2253 names; all others are written as dotted numbers.
_KEYWORDS = {
    "2.5.4.3": "CN",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.9": "STREET",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "0.9.2342.19200300.100.1.1": "UID",
    "0.9.2342.19200300.100.1.25": "DC",
}
# What certificate profiles and people write in subjects, beyond RFC 2253.
_TYPES = {keyword: oid for oid, keyword in _KEYWORDS.items()} | {
    "SERIALNUMBER": "2.5.4.5",
    # A surname elsewhere; the reference's Estonian profile means, and Java reads, this.
    "SN": "2.5.4.5",
    "SURNAME": "2.5.4.4",
    "BUSINESSCATEGORY": "2.5.4.15",
    "ORGANIZATIONIDENTIFIER": "2.5.4.97",
    "EMAILADDRESS": "1.2.840.113549.1.9.1",
}
_ESCAPED = frozenset(',=+<>#;"\\')
# The kinds of string by their tags; those of the 1980s are read as Java does.
_ENCODINGS = {
    0x0C: "utf-8",
    0x13: "ascii",
    0x14: "latin-1",
    0x16: "ascii",
    0x1B: "ascii",
    0x1C: "utf-32-be",
    0x1E: "utf-16-be",
}


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of a name: its type, its DER, and its text if it is one."""

    oid: str
    value: bytes
    text: str | None


def read_name(name: bytes) -> list[list[Attribute]]:
    """The relative names of a name, in their order; raises IncorrectCertificate."""
    try:
        return [[_attribute(part) for part in der.parts_of(rdn)] for rdn in der.parts_of(name)]
    except (ValueError, TypeError, IndexError) as error:
        raise IncorrectCertificate(f"a distinguished name cannot be read: {error}") from None


def _attribute(part: bytes) -> Attribute:
    oid, value = der.parts_of(part)
    encoding = _ENCODINGS.get(value[0])
    text = None if encoding is None else der.contents_of(value).decode(encoding)
    return Attribute(core.ObjectIdentifier.load(oid, strict=True).dotted, value, text)


def name_text(name: bytes) -> str:
    """A name as RFC 2253 text, last relative name first, as Java's X500Principal prints it."""
    return ",".join("+".join(map(_attribute_text, rdn)) for rdn in reversed(read_name(name)))


def _attribute_text(attribute: Attribute) -> str:
    keyword = _KEYWORDS.get(attribute.oid)
    if keyword is None or attribute.text is None:
        return f"{keyword or attribute.oid}=#{attribute.value.hex()}"
    return f"{keyword}={_escaped(attribute.text)}"


def _escaped(text: str) -> str:
    body = text.strip(" ")
    start = len(text) - len(text.lstrip(" ")) if body else len(text)
    end = len(text) - start - len(body)
    inner = "".join("\\00" if c == "\0" else f"\\{c}" if c in _ESCAPED else c for c in body)
    return "\\ " * start + inner + "\\ " * end


def name_key(name: bytes) -> bytes:
    """What two names have in common if they are the same name, by RFC 5280, 7.1.

    Case, repeated spaces and the kind of string do not matter.
    """
    return repr(_relative_keys(name)).encode()


def backward_name_key(name: bytes) -> bytes:
    """The key of the name written backwards, as Java programs do that go by its RFC 2253 text."""
    return repr(_relative_keys(name)[::-1]).encode()


def _relative_keys(name: bytes) -> list[list[tuple[str, str]]]:
    return [sorted(map(_attribute_key, rdn)) for rdn in read_name(name)]


def _attribute_key(attribute: Attribute) -> tuple[str, str]:
    if attribute.text is None:
        return attribute.oid, f"#{attribute.value.hex()}"
    text = unicodedata.normalize("NFKC", attribute.text)
    return attribute.oid, " ".join(text.split()).casefold()


def find_attribute(name: bytes, keyword: str) -> str | None:
    """The text of an attribute, such as `CN` or `serialNumber`.

    Of several, the one in the last relative name, which is the first in the text form and the one
    that the reference takes. Raises IncorrectCertificate, also for an attribute that is no text.
    """
    oid = _TYPES[keyword.upper()]
    for rdn in reversed(read_name(name)):
        for attribute in rdn:
            if attribute.oid == oid:
                if attribute.text is None:
                    raise IncorrectCertificate(f"the {keyword} of a distinguished name is no text")
                return attribute.text
    return None


_PRINTABLE_TYPES = frozenset({"2.5.4.5", "2.5.4.6"})
_IA5_TYPES = frozenset({"0.9.2342.19200300.100.1.25", "1.2.840.113549.1.9.1"})
_PRINTABLE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 '()+,-./:=?")
_VALUE_LIMIT = 1024


def write_name(fields: Iterable[tuple[str, str]]) -> bytes:
    """The DER of a name with one attribute in each relative name, in the given order.

    Fields are pairs of a keyword (`CN`, `serialNumber`, ...) and a value. Raises
    IncorrectCertificate for an unknown keyword and for a value that is blank or too long.
    """
    return der.sequence(*(_relative_name(keyword, value) for keyword, value in fields))


def _relative_name(keyword: str, value: str) -> bytes:
    oid = _TYPES.get(keyword.upper())
    if oid is None:
        raise IncorrectCertificate(f"{keyword} is no attribute of a subject")
    if not value.strip() or len(value) > _VALUE_LIMIT:
        raise IncorrectCertificate(f"the value of {keyword} is blank or too long")
    if oid in _PRINTABLE_TYPES and _PRINTABLE.issuperset(value):
        text = der.tagged(0x13, value.encode("ascii"))
    elif oid in _IA5_TYPES and value.isascii():
        text = der.tagged(0x16, value.encode("ascii"))
    else:
        text = der.tagged(0x0C, value.encode())
    return der.set_of(der.sequence(der.identifier(oid), text))


_COMMON_NAME = re.compile(r"(?:^|,)CN=((?:\\.|[^,\\])+)", re.DOTALL)


def common_name(text: str) -> str:
    """The common name in what `name_text` gave, as people write it; without one all of it."""
    found = _COMMON_NAME.search(text)
    return re.sub(r"\\(.)", r"\1", found[1]) if found else text
