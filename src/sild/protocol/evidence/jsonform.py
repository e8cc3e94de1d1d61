"""The one JSON form of evidence: what is hashed must have only one way of being written."""

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from sild.protocol.evidence.errors import MalformedEvidence

_T = TypeVar("_T")
_SIZE_LIMIT = 16_000_000


def write_canonical(members: Mapping[str, Any]) -> bytes:
    """An object with sorted names, nothing between its tokens, in UTF-8."""
    text = json.dumps(members, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return text.encode("utf-8")


def read_object(data: bytes) -> dict[str, Any]:
    """The members of a JSON object, each named once; raises MalformedEvidence."""
    if len(data) > _SIZE_LIMIT:
        raise MalformedEvidence(f"a proof of {len(data)} bytes is too long")
    try:
        found = json.loads(data.decode("utf-8"), object_pairs_hook=_members)
    except (ValueError, RecursionError) as error:
        raise MalformedEvidence(f"a proof cannot be read: {error}") from None
    return as_object(found)


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("an object names a member twice")
    return members


def as_object(value: object) -> dict[str, Any]:
    """A value that must be an object; raises MalformedEvidence."""
    if not isinstance(value, dict):
        raise MalformedEvidence("a proof holds no object where one belongs")
    return value


def take(members: Mapping[str, Any], name: str, kind: type[_T]) -> _T:
    """A member of this type, `bool` being no number; raises MalformedEvidence."""
    value = members.get(name)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise MalformedEvidence(f"a proof has no {name!r} that is of the kind {kind.__name__}")
    if isinstance(value, str) and not _has_bytes(value):
        raise MalformedEvidence(f"a proof has a {name!r} with half a character in it")
    return value


def _has_bytes(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def take_optional(members: Mapping[str, Any], name: str, kind: type[_T]) -> _T | None:
    """A member of this type, or None where it is null; raises MalformedEvidence."""
    return None if name in members and members[name] is None else take(members, name, kind)


def take_bytes(members: Mapping[str, Any], name: str) -> bytes:
    """A member that is bytes in hexadecimal; raises MalformedEvidence."""
    return from_hex(take(members, name, str))


def take_optional_bytes(members: Mapping[str, Any], name: str) -> bytes | None:
    """A member that is bytes in hexadecimal, or null; raises MalformedEvidence."""
    text = take_optional(members, name, str)
    return None if text is None else from_hex(text)


def from_hex(text: object) -> bytes:
    """Bytes from lower-case hexadecimal, the only form that is read; raises MalformedEvidence."""
    try:
        value = bytes.fromhex(text if isinstance(text, str) else "?")
    except ValueError:
        raise MalformedEvidence("a proof holds a digest that is not hexadecimal") from None
    if value.hex() != text:
        raise MalformedEvidence("a proof holds a digest that is not in plain lower case")
    return value


def to_hex(value: bytes | None) -> str | None:
    """Bytes in hexadecimal, or None as it is."""
    return None if value is None else value.hex()


def take_all(members: Mapping[str, Any], name: str, read: Callable[[Any], _T]) -> tuple[_T, ...]:
    """A member that is a list of what is read so; raises MalformedEvidence."""
    return tuple(read(value) for value in take(members, name, list))


def check_members(members: Mapping[str, Any], known: frozenset[str]) -> None:
    """Raise MalformedEvidence for a member that nobody knows: it would be shown and not checked."""
    if unknown := sorted(members.keys() - known):
        raise MalformedEvidence(f"a proof holds {', '.join(map(repr, unknown))}, which is unknown")
