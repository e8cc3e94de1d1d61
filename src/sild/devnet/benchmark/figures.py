"""What was measured, and what is made of it: medians, ratios, goals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from statistics import median

from sild.model.tokens import KeyAlgorithm

SILD, NGINX = "sild", "nginx"
CONSUMER, PROVIDER = "consumer", "provider"
_MIB = 1024 * 1024


class Body(Enum):
    """What is sent each way."""

    SMALL = "1 kB"
    LARGE = "10 MB"
    REST = "REST 4 kB"
    SOAP = "SOAP 4 kB"
    REST_LONG = "REST 44 kB"
    SOAP_PACKAGE = "SOAP with two attachments"

    @property
    def size(self) -> int:
        """Bytes, each way: of a SOAP message all that is posted."""
        return _SIZES[self]

    @property
    def is_soap(self) -> bool:
        """Whether it is sent as a SOAP message."""
        return self in (Body.SOAP, Body.SOAP_PACKAGE)


_SIZES = {
    Body.SMALL: 1000,
    Body.LARGE: 10_000_000,
    Body.REST: 4000,
    Body.SOAP: 4000,
    Body.REST_LONG: 44_000,
    Body.SOAP_PACKAGE: 44_000,
}


@dataclass(frozen=True, slots=True)
class Case:
    """One way to drive both contestants."""

    key: KeyAlgorithm
    body: Body
    concurrency: int

    def __str__(self) -> str:
        return f"{self.key.value} {self.body.value} x{self.concurrency}"


@dataclass(frozen=True, slots=True)
class Load:
    """What the load generator saw in one run: messages, seconds, milliseconds."""

    messages: int
    seconds: float
    p50: float
    p99: float

    @property
    def rate(self) -> float:
        """Messages per second."""
        return self.messages / self.seconds


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one contestant; by server CPU seconds and bytes of memory (PSS)."""

    load: Load
    cpu: Mapping[str, float]
    memory: Mapping[str, int]

    def cpu_per_message(self, server: str) -> float:
        """Microseconds of all processes of a server for one message there and back."""
        return self.cpu[server] * 1e6 / self.load.messages


@dataclass(frozen=True, slots=True)
class Summary:
    """The medians of a contestant's runs of a case."""

    rate: float
    p50: float
    p99: float
    cpu: Mapping[str, float]
    """Microseconds per message."""
    memory: Mapping[str, int]
    """The most of any run."""


class Engine(Enum):
    """Where the message log keeps its records."""

    SQLITE = "SQLite"
    POSTGRESQL = "PostgreSQL"


@dataclass(frozen=True, slots=True)
class Spent:
    """What one stage in the life of so many message records took, of one process."""

    records: int
    seconds: float
    cpu: float
    """Seconds; those of a database server are not in it."""
    memory: int
    """The most bytes at once; a database server's are not in it."""

    @property
    def rate(self) -> float:
        """Records per second."""
        return self.records / self.seconds


@dataclass(frozen=True, slots=True)
class RoundFigures:
    """What one round took, and the process's memory after it."""

    seconds: float
    cpu_seconds: float
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class PublishingFigures:
    """All rounds in their order, and what they have in common."""

    rounds: tuple[RoundFigures, ...]
    peak_memory_bytes: int
    published_bytes: int
    """The size of what one round publishes."""

    @property
    def slowest_seconds(self) -> float:
        """The longest round."""
        return max(each.seconds for each in self.rounds)

    @property
    def growth_bytes(self) -> int:
        """How much more memory there is in use at the end than halfway."""
        return self.rounds[-1].memory_bytes - self.rounds[len(self.rounds) // 2].memory_bytes


@dataclass(slots=True)
class Results:
    """All runs, by case and contestant, the memory of servers at rest by key, and evidence."""

    runs: dict[tuple[Case, str], list[Run]] = field(default_factory=dict)
    idle: dict[tuple[KeyAlgorithm, str], Mapping[str, int]] = field(default_factory=dict)
    tls: dict[tuple[KeyAlgorithm, str], str] = field(default_factory=dict)
    evidence: dict[tuple[Engine, str], Spent] = field(default_factory=dict)
    """By engine and stage, in their order."""
    absent: list[Engine] = field(default_factory=list)
    """Engines that are not installed."""
    publishing: PublishingFigures | None = None
    """What rounds of generating global configuration took."""

    def add(self, case: Case, contestant: str, run: Run) -> None:
        """Keep a run."""
        self.runs.setdefault((case, contestant), []).append(run)

    @property
    def cases(self) -> tuple[Case, ...]:
        """The cases that were run, in their order."""
        return tuple(dict.fromkeys(case for case, _ in self.runs))

    def find(self, case: Case, contestant: str) -> Summary | None:
        """The medians of a contestant, if it ran."""
        runs = self.runs.get((case, contestant))
        return summary(runs) if runs else None

    def ratio(self, case: Case) -> float | None:
        """Our rate by that of the comparison: a ratio of medians."""
        ours, theirs = self.find(case, SILD), self.find(case, NGINX)
        return ours.rate / theirs.rate if ours and theirs else None

    def share_of_rest(self, soap: Body, rest: Body) -> float | None:
        """Our rate by SOAP as a share of that by REST in the same runs: the least of the keys."""
        shares = [
            mine.rate / other.rate
            for case in self.cases
            if case.body is soap
            and (mine := self.find(case, SILD))
            and (other := self.find(Case(case.key, rest, case.concurrency), SILD))
        ]
        return min(shares, default=None)


def summary(runs: Sequence[Run]) -> Summary:
    """The medians of some runs."""
    servers = tuple(runs[0].cpu)
    return Summary(
        median(run.load.rate for run in runs),
        median(run.load.p50 for run in runs),
        median(run.load.p99 for run in runs),
        {server: median(run.cpu_per_message(server) for run in runs) for server in servers},
        {server: max(run.memory[server] for run in runs) for server in servers},
    )


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value below which a share of the ordered values lies, the nearest that occurred."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure that is wanted; `reached` is None where it was not measured."""

    what: str
    wanted: str
    measured: str
    reached: bool | None


COMPARED = ((Body.SOAP, Body.REST), (Body.SOAP_PACKAGE, Body.REST_LONG))
"""SOAP messages, and bodies of REST messages of the same size."""
COMPARED_CONCURRENCY = 64
WANTED_OF_REST = 0.7
RATIO_CASE = Case(KeyAlgorithm.RSA_2048, Body.SMALL, 64)
WANTED_RATIO = 0.08
IDLE_LIMIT, LOADED_LIMIT = 150 * _MIB, 300 * _MIB


def goals(results: Results) -> tuple[Goal, ...]:
    """What is wanted of a two-server path, beside what was measured."""
    ratio = results.ratio(RATIO_CASE)
    idle = [
        size for (_, who), each in results.idle.items() if who == SILD for size in each.values()
    ]
    loaded = [
        size
        for (_, who), runs in results.runs.items()
        if who == SILD
        for run in runs
        for size in run.memory.values()
    ]
    return (
        Goal(
            f"share of the nginx chain's rate, {RATIO_CASE}",
            f"at least {WANTED_RATIO}",
            "not measured" if ratio is None else f"{ratio:.3f}",
            None if ratio is None else ratio >= WANTED_RATIO,
        ),
        _memory_goal("memory of a server at rest", idle, IDLE_LIMIT),
        _memory_goal("memory of a server under load", loaded, LOADED_LIMIT),
        *(_soap_goal(results, soap, rest) for soap, rest in COMPARED),
    )


def _soap_goal(results: Results, soap: Body, rest: Body) -> Goal:
    share = results.share_of_rest(soap, rest)
    return Goal(
        f"share of the rate of {rest.value}, {soap.value} x{COMPARED_CONCURRENCY}",
        f"at least {WANTED_OF_REST}",
        "not measured" if share is None else f"{share:.2f}",
        None if share is None else share >= WANTED_OF_REST,
    )


def _memory_goal(what: str, sizes: Sequence[int], limit: int) -> Goal:
    wanted = f"at most {limit // _MIB} MiB"
    if not sizes:
        return Goal(what, wanted, "not measured", None)
    return Goal(what, wanted, f"{max(sizes) / _MIB:.0f} MiB", max(sizes) <= limit)
