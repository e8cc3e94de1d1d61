"""Whether a value is well-formed ASN.1 (X.690) all the way down, also where nothing reads it.

Readers that take a value apart as a whole refuse it otherwise; what they refuse is no evidence.
"""

from collections.abc import Callable

from asn1crypto import parser

_DEEPEST = 60
_MOST_BYTES = 256 * 1024
_MOST_PARTS = 1000
_UNIVERSAL, _CONSTRUCTED = 0, 1
# Bit and octet strings, externals, sequences and sets.
_MAY_HOLD_VALUES = frozenset({3, 4, 8, 16, 17})
_MORE = 0x80


def is_well_formed(data: bytes) -> bool:
    """Whether this is one value, and so is each that stands in it."""
    if len(data) > _MOST_BYTES:
        return False
    try:
        found = parser.parse(data, strict=True)
        _check(found[0], found[1], found[2], found[4], 0)
    except ValueError:
        return False
    return True


def _check(kind: int, method: int, tag: int, content: bytes, depth: int) -> None:
    if depth > _DEEPEST:
        raise ValueError("too deep")
    if method != _CONSTRUCTED:
        if kind == _UNIVERSAL and not _RULES.get(tag, _is_nothing)(content):
            raise ValueError(f"no value of the type {tag}")
        return
    if kind == _UNIVERSAL and tag not in _MAY_HOLD_VALUES:
        raise ValueError(f"values within the type {tag}")
    rest, parts = content, 0
    while rest:
        parts += 1
        if parts > _MOST_PARTS:
            raise ValueError(f"a value with more than {_MOST_PARTS} parts")
        inner, how, number, header, within, trailer = parser.parse(rest)
        _check(inner, how, number, within, depth + 1)
        rest = rest[len(header) + len(within) + len(trailer) :]


def _is_integer(content: bytes) -> bool:
    """Whether it has no leading byte that says nothing (X.690, 8.3.2)."""
    if len(content) < 2:
        return bool(content)
    return (content[0], content[1] >> 7) not in {(0x00, 0), (0xFF, 1)}


def _are_bits(content: bytes) -> bool:
    if not content or content[0] > 7:
        return False
    return content[0] == 0 or len(content) > 1


def _is_identifier(content: bytes) -> bool:
    """Whether each part ends and has no leading zero (X.690, 8.19.2)."""
    if not content or content[-1] & _MORE:
        return False
    starts = [0, *(place + 1 for place, byte in enumerate(content[:-1]) if not byte & _MORE)]
    return all(content[start] != _MORE for start in starts)


def _is_anything(_content: bytes) -> bool:
    return True


def _is_nothing(_content: bytes) -> bool:
    return False


_RULES: dict[int, Callable[[bytes], bool]] = {
    # Octets, relative identifiers, and strings of characters.
    **dict.fromkeys((4, 7, 12, 13, 18, 19, 20, 21, 22, 25, 26, 27, 28, 30), _is_anything),
    1: lambda content: len(content) == 1,
    2: _is_integer,
    3: _are_bits,
    5: lambda content: not content,
    6: _is_identifier,
    10: _is_integer,
    # Times begin with a year.
    23: lambda content: content[:2].isdigit(),
    24: lambda content: content[:4].isdigit(),
}
