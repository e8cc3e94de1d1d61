"""What diagnostics need of the rest of the security server."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sild.components.diagnostics.report import Section
from sild.components.diagnostics.values import (
    AddOns,
    BackupEncryption,
    Downloads,
    LogEncryption,
    Memory,
    TrafficInterval,
    TrafficQuery,
)
from sild.model.tokens import Token
from sild.protocol.errors import ProtocolError
from sild.protocol.globalconf.lookup import GlobalConf
from sild.runtime.http_client_types import Target


class Tokens(Protocol):
    """The signer's tokens; its own client satisfies this."""

    async def tokens(self) -> tuple[Token, ...]:
        """Every token with its keys and certificates; raises RpcError where the signer is away."""
        ...


class World(Protocol):
    """The global configuration."""

    def global_conf(self) -> GlobalConf:
        """What is valid now; raises GlobalConfError where nothing is."""
        ...


@dataclass(frozen=True, slots=True)
class Tried:
    """What a source of the global configuration gave: nothing wrong, or what was."""

    url: str
    error: ProtocolError | None = None


class Configuration(World, Protocol):
    """The global configuration, where it comes from, and how its downloads fare."""

    def find_conf(self) -> GlobalConf | None:
        """The last that was accepted, expired or not."""
        ...

    def downloads(self) -> Downloads:
        """How the downloads fare."""
        ...

    async def try_sources(self) -> Sequence[Tried]:
        """Download from every source, over HTTP and HTTPS, and keep nothing.

        Raises GlobalConfError where there is no anchor to begin with.
        """
        ...


class Stamping(Protocol):
    """The time-stamping services of this server."""

    async def urls(self) -> Sequence[str]:
        """The addresses of those that it uses; raises GlobalConfError."""
        ...


class Machine(Protocol):
    """The machine and the processes on it."""

    async def memory(self) -> Memory:
        """What the processes on the message path use."""
        ...

    def facts(self) -> Sequence[Section]:
        """What a support case asks of a machine: versions, processes, what was set."""
        ...


class Protection(Protocol):
    """What the settings say of parts and of encryption."""

    def add_ons(self) -> AddOns:
        """Which parts are there."""
        ...

    def backups(self) -> BackupEncryption:
        """Whether backups are encrypted."""
        ...

    async def message_log(self) -> LogEncryption:
        """What of the message log is encrypted; raises OSError, ValueError."""
        ...


class Traffic(Protocol):
    """How many messages there were."""

    async def intervals(self, query: TrafficQuery) -> Sequence[TrafficInterval]:
        """The intervals with messages in them; none where nobody counts."""
        ...


class Registering(Protocol):
    """The registration service of the Central Server."""

    async def try_out(self) -> None:
        """Ask it something that it must refuse; raises ProtocolError where it was not reached."""
        ...


class OwnProxy(Protocol):
    """The proxy of this very server."""

    def own_proxy(self) -> Target:
        """Where it takes messages, with the internal TLS identity."""
        ...


class BackupWork(Protocol):
    """Backups and restorations."""

    def running_since(self) -> datetime | None:
        """Since when one runs."""
        ...
