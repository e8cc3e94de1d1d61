"""The report of a support case: named sections, each with its value or why there is none."""

import dataclasses
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from enum import Enum

from sild.protocol.errors import ProtocolError

_LOG = logging.getLogger(__name__)

Section = tuple[str, Callable[[], Awaitable[object]]]
"""A name, and what finds out its value."""


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """A section that was found out, or why it was not."""

    name: str
    value: object = None
    error: str | None = None


async def gather(sections: Sequence[Section]) -> tuple[Found, ...]:
    """Find out each section by itself: one that fails costs no other."""
    return tuple([await _find_out(name, find) for name, find in sections])


async def _find_out(name: str, find: Callable[[], Awaitable[object]]) -> Found:
    try:
        return Found(name, await find())
    except Exception as error:  # noqa: BLE001 - a report of what is broken must not break
        _LOG.warning("the report goes without %s: %s", name, error)
        said = error.message if isinstance(error, ProtocolError) else type(error).__name__
        return Found(name, error=said)


def write_report(sections: Sequence[Found]) -> bytes:
    """The report as JSON that people can read, too."""
    told = [_told(section) for section in sections]
    text = json.dumps(told, ensure_ascii=False, indent=2, default=_plain)
    return text.encode("utf-8", "replace")


def _told(section: Found) -> dict[str, object]:
    if section.error is not None:
        return {"name": section.name, "errorMessage": section.error}
    return {"name": section.name, "value": section.value}


def _plain(value: object) -> object:
    """What JSON has for a value that it does not know."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        moment = value.astimezone(UTC).isoformat(timespec="milliseconds")
        return moment.replace("+00:00", "Z")
    if dataclasses.is_dataclass(value):
        named = ((each.name, getattr(value, each.name)) for each in dataclasses.fields(value))
        return {name: each for name, each in named if each is not None}
    return str(value)
