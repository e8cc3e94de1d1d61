"""The multipart form of a signed directory: parts with headers, cut exactly where they lie.

It is small and whole in memory, and the signature covers a range of its bytes, so it is sliced
rather than streamed. Both line ends are read: central servers write CRLF, older sources LF.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sild.protocol.errors import MalformedGlobalConf

_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_LINE_END = re.compile(rb"\r?\n")
_FOLD = re.compile(rb"\r?\n[ \t]+")
_HEADER_NAME = re.compile(r"[!-9;-~]+")
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
_PARAMETER = re.compile(
    r"""\s*;\s*([!-:<-~]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^;"'\s]+))\s*(?=;|\Z)"""
)


@dataclass(frozen=True, slots=True)
class Entity:
    """Headers by lower-case name, and the exact bytes of the body."""

    headers: Mapping[str, str]
    body: bytes

    def get(self, name: str) -> str:
        """The value of a header that must be there."""
        value = self.headers.get(name, "")
        if not value:
            raise MalformedGlobalConf(f"the header {name} is missing")
        return value

    def check(self, name: str, expected: str) -> None:
        """Raise unless the header has exactly this value."""
        if (value := self.get(name)) != expected:
            raise MalformedGlobalConf(f"the header {name} is {value!r} instead of {expected!r}")


@dataclass(frozen=True, slots=True)
class Multipart:
    """The parts of a multipart body, and whether its closing delimiter was there."""

    parts: tuple[Entity, ...]
    closed: bool


def read_entity(data: bytes) -> Entity:
    """Headers, a blank line and a body; headers alone need no blank line."""
    first_line = _LINE_END.match(data)
    if first_line:
        return Entity({}, data[first_line.end() :])
    blank = _BLANK_LINE.search(data)
    head, body = (data[: blank.start()], data[blank.end() :]) if blank else (data, b"")
    return Entity(_read_headers(head), body)


def _read_headers(head: bytes) -> dict[str, str]:
    try:
        text = _FOLD.sub(b" ", head).decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedGlobalConf("a header is not in UTF-8") from None
    headers: dict[str, str] = {}
    for line in re.split(r"\r?\n", text):
        if not line:
            continue
        name, colon, value = line.partition(":")
        key = name.lower()
        if not colon or not _HEADER_NAME.fullmatch(name) or "\r" in value or "\0" in value:
            raise MalformedGlobalConf(f"{line[:80]!r} is not a header")
        if key in headers:
            raise MalformedGlobalConf(f"the header {key} is there twice")
        headers[key] = value.strip()
    return headers


def read_multipart(body: bytes, content_type: str, expected: str) -> Multipart:
    """The parts of a body whose content type, with its boundary, must be the expected one."""
    value, parameters = read_parameters(content_type)
    boundary = parameters.get("boundary", "")
    if value.lower() != expected or not _BOUNDARY.fullmatch(boundary):
        raise MalformedGlobalConf(f"the content type {content_type!r} is not {expected}")
    delimiter = re.compile(
        rb"(?:\A|\r?\n)--" + re.escape(boundary.encode("ascii")) + rb"(--)?[ \t]*(?=\r?\n|\Z)"
    )
    parts: list[Entity] = []
    start: int | None = None
    for found in delimiter.finditer(body):
        if start is not None:
            parts.append(_read_part(body[start : found.start()]))
        if found[1]:
            return Multipart(tuple(parts), closed=True)
        start = found.end()
    if start is not None:
        parts.append(_read_part(body[start:]))
    return Multipart(tuple(parts), closed=False)


def _read_part(data: bytes) -> Entity:
    line_end = _LINE_END.match(data)
    return read_entity(data[line_end.end() :] if line_end else data)


def read_parameters(text: str) -> tuple[str, dict[str, str]]:
    """A header's value and its parameters by lower-case name, in double, single or no quotes."""
    value, semicolon, _ = text.partition(";")
    parameters: dict[str, str] = {}
    position = len(value)
    while semicolon and position < len(text):
        found = _PARAMETER.match(text, position)
        if not found or found[1].lower() in parameters:
            raise MalformedGlobalConf(f"{text[:200]!r} has parameters that cannot be read")
        parameters[found[1].lower()] = next(
            group for group in found.groups()[1:] if group is not None
        )
        position = found.end()
    return value.strip(), parameters


def write_multipart(parts: Iterable[bytes], boundary: str) -> bytes:
    """A multipart body of parts that hold their headers already."""
    delimiter = b"--" + boundary.encode("ascii")
    opened = b"".join(delimiter + b"\r\n" + part + b"\r\n" for part in parts)
    return opened + delimiter + b"--\r\n"


def write_headers(headers: Iterable[tuple[str, str]]) -> bytes:
    """Header lines, each ended by CRLF; raises MalformedGlobalConf for one that would break out."""
    lines: list[str] = []
    for name, value in headers:
        if "\r" in value or "\n" in value or "\0" in value:
            raise MalformedGlobalConf(f"the header {name} cannot hold {value!r}")
        lines.append(f"{name}: {value}\r\n")
    return "".join(lines).encode("utf-8")
