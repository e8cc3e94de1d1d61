"""Whose records share a chain of archives, and to whom these are encrypted."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from sild.components.messagelog.errors import ArchivingFailed
from sild.protocol.ids import ClientId
from sild.runtime.files import FileError, read_bounded

_LARGEST_MAP = 4 * 1024 * 1024


class Grouping(Enum):
    """Which records share a chain of archives; the values are the reference's."""

    NONE = "none"
    MEMBER = "member"
    SUBSYSTEM = "subsystem"


@dataclass(frozen=True, slots=True)
class Group:
    """The records of one chain: of everybody, of a member, or of a subsystem or member itself."""

    grouping: Grouping
    owner: ClientId | None = None

    @classmethod
    def of(cls, client: ClientId, grouping: Grouping) -> "Group":
        """The group that a client's records are in."""
        owners = {Grouping.NONE: None, Grouping.MEMBER: client.member, Grouping.SUBSYSTEM: client}
        return cls(grouping, owners[grouping])

    @property
    def text(self) -> str | None:
        """The group in the names of its archives."""
        return None if self.owner is None else self.owner.short

    @property
    def key(self) -> str:
        """What tells it from all others, in the store."""
        return f"{self.grouping.value}:{self.text or ''}"


@dataclass(frozen=True, slots=True)
class KeyMap:
    """Which keys the archives of a member are encrypted to: those named for it, or the default."""

    keys: Mapping[str, tuple[str, ...]]
    default: tuple[str, ...]

    @classmethod
    def read(cls, path: Path | None, default: str) -> "KeyMap":
        """Read a file of lines `INSTANCE/CLASS/CODE = KEY`; a member may have several.

        Raises ArchivingFailed.
        """
        keys: dict[str, tuple[str, ...]] = {}
        if path is not None:
            try:
                text = read_bounded(path, _LARGEST_MAP).decode("utf-8")
            except (OSError, FileError, UnicodeDecodeError) as error:
                raise ArchivingFailed(f"{path} cannot be read: {error}") from error
            for number, line in enumerate(text.splitlines(), 1):
                _read_line(line, f"{path}, line {number}", keys)
        return cls(keys, (default,) if default else ())

    def of(self, group: Group) -> tuple[str, ...]:
        """The keys of a group; none stands for the key of the server itself."""
        if group.owner is None:
            return self.default
        return self.keys.get(group.owner.member.short, self.default)


def _read_line(line: str, where: str, keys: dict[str, tuple[str, ...]]) -> None:
    line = line.strip()
    if not line or line.startswith("#"):
        return
    member, equals, key = (part.strip() for part in line.rpartition("="))
    if not equals or not member or not key:
        raise ArchivingFailed(f"{where}: write INSTANCE/CLASS/CODE = KEY")
    keys[member] = (*keys.get(member, ()), key)
