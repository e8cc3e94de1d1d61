"""What control and the supervisor ask of a worker."""

from dataclasses import dataclass
from typing import Protocol

from sild.components.proxy.tally import Counted, Durations


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """How a worker fares."""

    generation: int
    ready: bool
    """Whether it can exchange messages: configured, certified, and the configuration valid."""
    spooled_bytes: int
    tasks: int
    """Of the event loop: one for each accepted connection, those of exchanges, and a few more."""
    accepted_connections: int
    opened_connections: int
    """Those that rest in a pool among them."""
    busy_connections: int
    """Of the opened ones those that do not rest."""


@dataclass(frozen=True, slots=True)
class WorkerMeasures:
    """What a worker has counted since it began, and what it holds, in bytes."""

    counted: tuple[Counted, ...]
    durations: tuple[Durations, ...]
    resident_bytes: int
    peak_bytes: int


class WorkerCalls(Protocol):
    """What control and the supervisor may ask of a worker."""

    async def status(self) -> WorkerStatus:
        """How it fares."""
        ...

    async def measures(self) -> WorkerMeasures:
        """What it has counted."""
        ...

    async def reload(self) -> None:
        """Look at the snapshot and the global configuration now."""
        ...

    async def reload_internal_tls(self) -> None:
        """Show another internal certificate from now on."""
        ...
