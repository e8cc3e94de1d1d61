"""The hash of a request, written into the header of a response that otherwise keeps its bytes.

The document has been parsed already, so that its markup is known to be well-formed and without a
DTD: a few expressions are enough to find the places that the parser has counted.
"""

import re
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass

from sild.protocol.algorithms import DigestAlgorithm
from sild.protocol.errors import InvalidSoap

_SPACE = " \t\r\n"
_MARKUP = re.compile(
    r"<(?:!--.*?-->|!\[CDATA\[.*?\]\]>|\?.*?\?>"
    r"|(?P<close>/)?(?P<name>[^ \t\r\n/>]++)"
    r"(?P<attributes>(?:[^\"'/>]++|\"[^\"]*+\"|'[^']*+')*+)(?P<empty>/)?>)",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(
    r"(?P<name>[^ \t\r\n=]++)[ \t\r\n]*+=[ \t\r\n]*+(?P<value>\"[^\"]*+\"|'[^']*+')"
)


@dataclass(frozen=True, slots=True)
class HeaderPlaces:
    """Which element child of the envelope the header is, and which of the header these are."""

    header: int
    message_id: int
    request_hash: int | None


@dataclass(frozen=True, slots=True)
class _Child:
    """Where an element stands in the text."""

    start: int
    end: int
    name: str
    attributes: str


def write_request_hash(data: bytes, places: HeaderPlaces, request_digest: bytes) -> bytes:
    """The document with a request hash right behind the message id, and no other in its header."""
    codec = _codec(data)
    text = data.decode(codec)
    found = list(_header_children(text, places.header))
    message_id = _get(found, places.message_id, "id")
    indent = _space_before(text, message_id.start)
    hash_element = _request_hash(message_id, request_digest)
    edits = [(message_id.end, message_id.end, text[indent : message_id.start] + hash_element)]
    if places.request_hash is not None:
        old = _get(found, places.request_hash, "requestHash")
        edits.append((_space_before(text, old.start), old.end, ""))
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text.encode(codec)


def _codec(data: bytes) -> str:
    """A codec that gives the markup of the document as text, and every byte back."""
    start = data[:2]
    if start == b"\xff\xfe" or start[1:] == b"\x00":
        return "utf-16-le"
    if start == b"\xfe\xff" or start[:1] == b"\x00":
        return "utf-16-be"
    return "latin-1"


def _header_children(text: str, header: int) -> Iterator[_Child]:
    """The element children of that element child of the envelope."""
    depth = place = 0
    opened: re.Match[str] | None = None
    for tag in _MARKUP.finditer(text):
        is_end, name, _, is_empty = tag.groups()
        if name is None:
            continue
        if not is_end:
            if depth == 2 and place == header:
                opened = tag
            depth += 1
        if is_end or is_empty:
            depth -= 1
            if depth == 2 and opened is not None:
                yield _Child(opened.start(), tag.end(), opened["name"], opened["attributes"])
            place += depth == 1
            if place > header:
                return


def _get(found: list[_Child], place: int, local_name: str) -> _Child:
    child = found[place] if place < len(found) else None
    if child is None or child.name.rpartition(":")[2] != local_name:
        raise InvalidSoap(f"cannot find where {local_name} stands in the SOAP header")
    return child


def _space_before(text: str, position: int) -> int:
    """Where the white space begins that stands before this position."""
    return len(text[:position].rstrip(_SPACE))


def _request_hash(message_id: _Child, request_digest: bytes) -> str:
    """The element, in the form of peers: with the prefix and the attributes of the message id."""
    name = message_id.name.removesuffix("id") + "requestHash"
    attributes = "".join(
        f" {attribute['name']}={attribute['value']}"
        for attribute in _ATTRIBUTE.finditer(message_id.attributes)
        if attribute["name"] != "algorithmId"
    )
    algorithm = f' algorithmId="{DigestAlgorithm.SHA512.uri}"'
    return f"<{name}{attributes}{algorithm}>{b64encode(request_digest).decode()}</{name}>"
