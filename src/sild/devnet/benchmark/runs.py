"""Drive both contestants in turn: for each key, bring them up, and run every case on each."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from sild.devnet.benchmark.figures import NGINX, SILD, Body, Case, Load, Results, Run
from sild.devnet.benchmark.letters import soap_path
from sild.devnet.benchmark.load import Order
from sild.devnet.benchmark.nginx import ChainPlan, NginxChain, find_nginx
from sild.devnet.benchmark.pipes import Process
from sild.devnet.benchmark.processes import cpu_seconds, family, memory_bytes
from sild.devnet.benchmark.servers import ServerPair, ServersPlan
from sild.devnet.benchmark.tls import negotiated
from sild.devnet.ecosystem import Ecosystem
from sild.devnet.errors import DevnetError
from sild.model.tokens import KeyAlgorithm
from sild.runtime.clock import SystemClock

Progress = Callable[[str], None]

_CHAIN_HOSTS = ("127.0.0.33", "127.0.0.34")
_BACKEND_HOST = "127.0.0.35"
_START_SECONDS = 120.0
_SILENCE_SECONDS = 120.0
_UNLIMITED = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is run: seconds a run, seconds before it that do not count, and how often."""

    runs: int
    seconds: float
    warm_seconds: float
    rest_seconds: float
    """How long servers are left alone before their memory at rest is looked at."""
    large_runs: int
    """How often cases with large bodies are run: they take long, and vary little."""
    large_messages: int = 4
    """Messages of such a run, at most: so many, or one for each connection."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """Somebody who carries messages: where to, with what, and which processes it takes."""

    name: str
    host: str
    port: int
    path: str
    headers: Mapping[str, str]
    soap_path: str | None
    """Where SOAP messages are posted; None where each kind has a path of the backend."""
    pids: Mapping[str, int]

    def order(self, case: Case, seconds: float, messages: int) -> Order:
        """What the load generator is told to send."""
        body = case.body
        path = f"{self.path}/{body.size}"
        headers = {"Content-Type": "application/octet-stream", **self.headers}
        soap = header = ""
        if body.is_soap:
            path = self.soap_path or soap_path(body)
            soap, header = body.value, ServerPair.soap_header(body)
        return Order(
            self.host,
            self.port,
            path,
            headers,
            body.size,
            case.concurrency,
            seconds,
            messages,
            soap,
            header,
        )

    def memory(self) -> dict[str, int]:
        """The memory of all processes of each server."""
        return {server: memory_bytes(family(pid)) for server, pid in self.pids.items()}

    def cpu(self) -> dict[str, float]:
        """The CPU time that all processes of each server have used."""
        return {server: cpu_seconds(family(pid)) for server, pid in self.pids.items()}


class Bench:
    """One measurement: what to run, and the results so far."""

    def __init__(self, extent: Extent, cases: Sequence[Case], progress: Progress) -> None:
        self._extent = extent
        self._cases = cases
        self._progress = progress
        self._clock = SystemClock()
        self.results = Results()

    async def run(self, home: Path, workers: int) -> None:
        """Run all cases; raises DevnetError where a message fails."""
        for key in dict.fromkeys(case.key for case in self._cases):
            cases = [case for case in self._cases if case.key is key]
            async with self._contestants(home / key.value, key, workers) as contestants:
                await self._rest(key, contestants)
                for number in range(self._extent.runs):
                    self._progress(f"{key.value}: run {number + 1} of {self._extent.runs}")
                    await self._run(number, cases, contestants)

    async def _run(
        self, number: int, cases: Sequence[Case], contestants: Sequence[Contestant]
    ) -> None:
        # Whoever is first has the machine as the one before left it.
        order = contestants if number % 2 == 0 else contestants[::-1]
        for case in cases:
            if case.body is Body.LARGE and number >= self._extent.large_runs:
                continue
            for contestant in order:
                self.results.add(case, contestant.name, await self._measure(contestant, case))

    @asynccontextmanager
    async def _contestants(
        self, home: Path, key: KeyAlgorithm, workers: int
    ) -> AsyncIterator[list[Contestant]]:
        async with AsyncExitStack() as opened:
            self._generator = await self._process(opened, "load")
            backend = await self._process(opened, "backend", _BACKEND_HOST)
            address = f"{_BACKEND_HOST}:{await backend.read(_START_SECONDS)}"
            plan = ServersPlan(home / "servers", key, workers)
            eco = await opened.enter_async_context(Ecosystem(ServerPair.plan(plan)))
            pair = ServerPair(eco)
            await pair.offer(address)
            tls = await negotiated(*pair.tls_address)
            self.results.tls[key, SILD] = str(tls)
            found = [
                Contestant(SILD, pair.host, pair.port, pair.path, pair.headers, "/", pair.pids)
            ]
            if (program := find_nginx()) is not None:
                chain_plan = ChainPlan(home / "nginx", _CHAIN_HOSTS, address, key, tls, workers)
                chain = await NginxChain.start(program, chain_plan, self._clock)
                opened.push_async_callback(chain.close)
                self.results.tls[key, NGINX] = str(await negotiated(*chain.tls_address))
                found.append(Contestant(NGINX, chain.host, chain.port, "", {}, None, chain.pids))
            yield found

    async def _process(self, opened: AsyncExitStack, *module: str) -> Process:
        process = await Process.start(*module)
        opened.push_async_callback(process.close)
        return process

    async def _rest(self, key: KeyAlgorithm, contestants: Sequence[Contestant]) -> None:
        await asyncio.sleep(self._extent.rest_seconds)
        for contestant in contestants:
            self.results.idle[key, contestant.name] = contestant.memory()

    async def _measure(self, contestant: Contestant, case: Case) -> Run:
        extent = self._extent
        messages = _UNLIMITED
        if case.body is Body.LARGE:
            messages = max(extent.large_messages, case.concurrency)
        else:
            warm = contestant.order(case, extent.warm_seconds, messages)
            await self._send(contestant, case, warm)
        before = contestant.cpu()
        order = contestant.order(case, extent.seconds, messages)
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(self._send(contestant, case, order))
            looking = tasks.create_task(self._look(contestant, extent.seconds * 0.7))
        after = contestant.cpu()
        cpu = {server: after[server] - before[server] for server in before}
        middle, end = looking.result(), contestant.memory()
        memory = {server: max(middle[server], end[server]) for server in end}
        return Run(sending.result(), cpu, memory)

    async def _look(self, contestant: Contestant, seconds: float) -> dict[str, int]:
        await asyncio.sleep(seconds)
        return contestant.memory()

    async def _send(self, contestant: Contestant, case: Case, order: Order) -> Load:
        answer = await self._generator.ask(asdict(order), order.seconds + _SILENCE_SECONDS)
        if "failed" in answer:
            raise DevnetError(f"{contestant.name}, {case}: {answer['failed']}")
        return Load(**answer)
