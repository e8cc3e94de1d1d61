"""What is told about a part of a backup that does not simply come over."""

from dataclasses import dataclass
from enum import Enum


class FindingKind(Enum):
    """How much it matters."""

    LOST = "lost"
    """It was in use, and the new server would be without it."""
    NOTE = "note"
    """It is no part of what comes over, or has to be done anew; nothing is missed silently."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing of the old server, and what became of it."""

    kind: FindingKind
    what: str
    why: str

    def __str__(self) -> str:
        return f"{self.what}: {self.why}"


def lost(what: str, why: str) -> Finding:
    """Something that is missed."""
    return Finding(FindingKind.LOST, what, why)


def note(what: str, why: str) -> Finding:
    """Something that an administrator should know."""
    return Finding(FindingKind.NOTE, what, why)
