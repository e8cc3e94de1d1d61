"""What HTTP headers may say about a SOAP message: its content type, and the SOAPAction."""

import re
from functools import lru_cache

from sild.protocol.errors import InvalidContentType, InvalidSoapAction
from sild.protocol.mime import find_parameter, media_type_of

SOAP_TYPES = frozenset({"text/xml", "application/xop+xml"})

# In all of these but UTF-16 the markup of XML has the bytes of ASCII. Others could make another
# message of the same bytes, for whoever heeds the content type more than the document.
_CHARSETS = frozenset(
    {"", "UTF-8", "UTF8", "UTF-16", "UTF-16LE", "UTF-16BE", "US-ASCII", "ASCII", "LATIN1"}
    | {"ISO-8859-1", "ISO-8859-13", "ISO-8859-15", "WINDOWS-1252", "WINDOWS-1257"}
)


def check_soap_type(content_type: str) -> None:
    """Raise InvalidContentType unless this may be the content type of a SOAP message."""
    _is_wide_type(content_type)


def check_charset(content_type: str, encoding: str) -> None:
    """Raise InvalidContentType unless a document in this encoding may be said to be this."""
    wide = _is_wide_type(content_type)
    if wide is not None and wide != encoding.startswith("UTF-16"):
        raise InvalidContentType(f"{content_type[:100]!r} is said of a document in {encoding}")


@lru_cache(maxsize=128)
def _is_wide_type(content_type: str) -> bool | None:
    media_type = media_type_of(content_type)
    if media_type not in SOAP_TYPES:
        raise InvalidContentType(f"{media_type} is no content type of a SOAP message")
    charset = (find_parameter(content_type, "charset") or "").upper()
    if charset not in _CHARSETS:
        raise InvalidContentType(f"the charset {charset[:40]!r} is not accepted")
    return charset.startswith("UTF-16") if charset else None


def write_soap_type(encoding: str) -> str:
    """The content type of a SOAP message without a package, as peers give it on.

    They say UTF-8 whatever came; here the document's own encoding is said.
    """
    return f"text/xml; charset={encoding}"


_CHARACTERS = r"A-Za-z0-9\-._~!$&'()*+,;=:@/?\[\]\xa1-\xff"
_PART = rf"[{_CHARACTERS}]*+(?:%[0-9A-Fa-f]{{2}}[{_CHARACTERS}]*+)*+"
_URI = re.compile(
    rf"(?:[A-Za-z][A-Za-z0-9+\-.]*:(?=[^#])|(?![^/?#]*:)){_PART}(?:#{_PART})?".encode("latin-1")
)
_NOTHING = frozenset({b"", b'""'})
_ACTION_LIMIT = 4000


def check_soap_action(value: bytes | None) -> None:
    """Raise InvalidSoapAction unless the header is absent, empty, or a quoted URI reference."""
    if value is None or value in _NOTHING:
        return
    quoted = len(value) > 2 and value.startswith(b'"') and value.endswith(b'"')
    if not quoted or len(value) > _ACTION_LIMIT or not _URI.fullmatch(value[1:-1]):
        raise InvalidSoapAction("the SOAPAction header is no URI in quotes")
