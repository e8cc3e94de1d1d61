"""What diagnostics say: how each thing stands, and what is wrong with it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from sild.components.diagnostics.advice import advice_on
from sild.protocol.errors import PeerFault, ProtocolError
from sild.protocol.faults import understood
from sild.protocol.globalconf.shared_parameters import CostType
from sild.protocol.ids import ClientId, SecurityServerId


class Standing(Enum):
    """How a thing stands."""

    OK = "OK"
    WAITING = "WAITING"
    """It was not tried yet."""
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong: a code for programs, then what happened and what to do next for people.

    `also` holds what else was found, by its code.
    """

    code: str
    details: tuple[str, ...] = ()
    also: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def trouble_of(error: ProtocolError) -> Trouble:
    """What an error tells an administrator."""
    code = understood(error.fault) if isinstance(error, PeerFault) else error.staged_code
    return Trouble(code, (error.message, advice_on(code)))


@dataclass(frozen=True, slots=True)
class Finding:
    """What a test found; without trouble it went well."""

    trouble: Trouble | None = None

    @property
    def standing(self) -> Standing:
        """How what was tested stands."""
        return Standing.OK if self.trouble is None else Standing.FAIL


@dataclass(frozen=True, slots=True)
class DownloadFinding:
    """What the test of one source of the global configuration found."""

    url: str
    finding: Finding


@dataclass(frozen=True, slots=True)
class Downloads:
    """How the downloads of the global configuration fare."""

    ended: datetime | None
    """When the last one ended, well or not."""
    next_at: datetime | None
    location: str | None = None
    """The source that gave the configuration in use, where one has since the start."""
    error: ProtocolError | None = None
    """What failed in the last one."""


@dataclass(frozen=True, slots=True)
class GlobalConfState:
    """How the global configuration stands."""

    standing: Standing
    updated: datetime
    next_update: datetime
    location: str | None = None
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True)
class ResponderState:
    """How an OCSP responder stands; `asked` is when it was last asked."""

    url: str
    cost: CostType | None
    standing: Standing
    next_update: datetime
    asked: datetime | None = None
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True)
class CaState:
    """The OCSP responders of a CA."""

    distinguished_name: str
    responders: tuple[ResponderState, ...]


@dataclass(frozen=True, slots=True)
class TimestampingState:
    """How a time-stamping service stands; `asked` is when it was last asked or tried."""

    url: str
    cost: CostType | None
    standing: Standing
    asked: datetime
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True)
class AddOns:
    """Which parts of the server are there that others may lack."""

    message_log: bool
    operational_monitoring: bool


@dataclass(frozen=True, slots=True)
class BackupEncryption:
    """Whether backups are encrypted, and for whom beside the server itself."""

    enabled: bool
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MemberKeys:
    """To whom the archives of a member are encrypted."""

    member: ClientId
    keys: tuple[str, ...]
    is_default: bool
    """Whether these are the keys of all members without keys of their own."""


@dataclass(frozen=True, slots=True)
class LogEncryption:
    """What of the message log is encrypted."""

    archives: bool
    database: bool
    grouping: str
    """Of whom an archive is: NONE (of all), MEMBER or SUBSYSTEM."""
    members: tuple[MemberKeys, ...] = ()


@dataclass(frozen=True, slots=True)
class Memory:
    """The memory of the processes on the message path, in bytes."""

    limit: int
    """What the machine or the container has."""
    peak: int
    used: int


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """Memory as it is told; percentages are of the limit."""

    memory: Memory
    threshold: int | None

    @property
    def percent(self) -> int:
        """What is used of the limit."""
        return self.memory.used * 100 // max(self.memory.limit, 1)

    @property
    def is_over(self) -> bool:
        """Whether more is used than the threshold allows."""
        return self.threshold is not None and self.percent > self.threshold


class ServerSide(Enum):
    """On which side of a message this server was."""

    CLIENT = "Client"
    PRODUCER = "Producer"


@dataclass(frozen=True, slots=True)
class TrafficQuery:
    """Of which messages the traffic is asked for, in intervals of so many minutes."""

    since: datetime
    until: datetime
    minutes: int
    side: ServerSide | None = None
    member: ClientId | None = None
    service: tuple[ClientId, str] | None = None
    """Its provider, and its code with its version."""


@dataclass(frozen=True, slots=True)
class TrafficInterval:
    """How many messages went well and how many did not, from a moment on."""

    start: datetime
    succeeded: int
    failed: int


class ProtocolKind(Enum):
    """A message protocol."""

    REST = "REST"
    SOAP = "SOAP"


@dataclass(frozen=True, slots=True)
class ProviderQuestion:
    """A question for the methods of a provider at one security server: who asks, and how."""

    kind: ProtocolKind
    client: ClientId
    provider: ClientId
    server: SecurityServerId
