"""How a declared server is made true, what is told meanwhile, and what was done."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Protocol, TypeAlias

from sild.runtime.clock import Clock, SystemClock


class Happening(Enum):
    """What an event tells of."""

    DONE = "done"
    WOULD = "would"
    """A dry run would have changed this."""
    WAITS = "waits"
    """Someone else has to do something first."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, in words: `add the client DEV:GOV:1234:register`."""

    happening: Happening
    what: str


Tell: TypeAlias = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class CertificateOrder:
    """A certificate that is wanted: `csr` is a PEM request, `member` whom it is for."""

    usage: str
    member: str
    server: str
    key_id: str
    csr: bytes

    @property
    def name(self) -> str:
        """A name for files, the same for the same key."""
        code = self.server.split(":")[-1]
        words = (code, self.usage.lower(), *self.member.split(":")[1:], self.key_id[:8])
        return "-".join("".join(c if c.isalnum() else "_" for c in word) for word in words)


class Certifier(Protocol):
    """Whoever gives certificates for requests."""

    async def certify(self, order: CertificateOrder) -> bytes | None:
        """Give the certificate, PEM or DER, or None while there is none."""

    def wanted(self, order: CertificateOrder) -> str:
        """Say what a person has to do meanwhile."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to go about it; times are seconds.

    Files in a declaration are relative to `folder`. `before_look` is awaited before each look
    again whether what is waited for has come.
    """

    folder: Path
    certifier: Certifier | None = None
    dry_run: bool = False
    wait: bool = True
    timeout: float = 600.0
    poll: float = 0.25
    longest_poll: float = 15.0
    prune: bool = False
    """Unregister and delete clients that are not declared."""
    calls_at_once: int = 8
    before_look: Callable[[], Awaitable[None]] | None = None
    clock: Clock = field(default_factory=SystemClock)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was changed, or would be, in words and in order."""

    changes: tuple[str, ...]
    dry_run: bool = False

    @property
    def changed(self) -> bool:
        """Whether there was any difference."""
        return bool(self.changes)
