"""The load generator: so many connections, each with one request at a time, the same for all.

Run as a process of its own: `python -m sild.devnet.benchmark.load`. Each line of its input is an
order, each line of its output what came of it. Connections stay between orders of one address.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, replace
from time import perf_counter

from sild.devnet.benchmark.backend import body_of
from sild.devnet.benchmark.figures import Body, Load, percentile
from sild.devnet.benchmark.letters import Letters
from sild.devnet.benchmark.pipes import read_lines
from sild.runtime.http_client import (
    ClientLimits,
    Framing,
    HttpClientPool,
    RequestHead,
    Target,
)
from sild.runtime.loop import run

_PIECE = 65536
_OK = 200
_HASH_SIZE = 300


@dataclass(frozen=True, slots=True)
class Order:
    """What to send, to whom, and for how long; it ends with the messages under way."""

    host: str
    port: int
    path: str
    headers: dict[str, str]
    size: int
    """Bytes sent, and expected back."""
    concurrency: int
    seconds: float
    messages: int
    """No more than these are begun."""
    soap: str = ""
    """The kind of SOAP messages; empty for REST."""
    soap_header: str = ""


class LoadError(Exception):
    """An answer was not what it should be."""


class _Driver:
    def __init__(self, pool: HttpClientPool, order: Order) -> None:
        self._pool = pool
        self._order = order
        self._target = Target(order.host, order.port)
        headers = [(name.encode(), value.encode()) for name, value in order.headers.items()]
        self._head = RequestHead(b"POST", order.path.encode(), headers, Framing.LENGTH, order.size)
        self._body = body_of(order.size)
        self._letters = Letters(Body(order.soap), order.soap_header) if order.soap else None
        self._left = order.messages
        self.times: list[float] = []

    async def drive(self) -> Load:
        begun = perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(self._order.concurrency):
                tasks.create_task(self._send_until(begun + self._order.seconds))
        seconds = perf_counter() - begun
        times = sorted(self.times)
        p50, p99 = percentile(times, 0.5) * 1000, percentile(times, 0.99) * 1000
        return Load(len(times), seconds, p50, p99)

    async def _send_until(self, end: float) -> None:
        while self._left > 0 and (now := perf_counter()) < end:
            self._left -= 1
            await self._send()
            self.times.append(perf_counter() - now)

    async def _send(self) -> None:
        head, body = self._request()
        async with self._pool.exchange(self._target, head, body) as answer:
            size, begin = 0, b""
            async for piece in answer.body:
                begin = begin or piece
                size += len(piece)
        # A security server adds the hash of the request to an answer; a fault is shorter.
        surplus = size - self._order.size
        is_whole = surplus == 0 if self._letters is None else 0 <= surplus <= _HASH_SIZE
        if answer.status != _OK or not is_whole:
            raise LoadError(f"HTTP {answer.status}, {size} bytes: {begin[:300]!r}")

    def _request(self) -> tuple[RequestHead, bytes | AsyncIterator[bytes]]:
        if self._letters is None:
            return self._head, self._body if len(self._body) <= _PIECE else _pieces(self._body)
        content_type, letter = self._letters.request(self._left)
        return replace(self._head, headers=[(b"Content-Type", content_type)]), letter


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), _PIECE):
        yield body[start : start + _PIECE]


class Generator:
    """Carries out orders."""

    def __init__(self) -> None:
        self._pool: HttpClientPool | None = None
        self._address: tuple[str, int] | None = None

    async def carry_out(self, order: Order) -> dict[str, object]:
        """What came of an order, as JSON: a `Load`, or what failed."""
        try:
            return asdict(await _Driver(self._pool_for(order), order).drive())
        except ExceptionGroup as errors:
            return {"failed": str(errors.exceptions[0])}

    def _pool_for(self, order: Order) -> HttpClientPool:
        address = (order.host, order.port)
        if self._pool is None or address != self._address:
            self.close()
            limits = ClientLimits(idle_keep_seconds=300, connections_per_target=1000)
            self._pool, self._address = HttpClientPool(limits), address
        return self._pool

    def close(self) -> None:
        """Close all connections."""
        if self._pool is not None:
            self._pool.close()


async def _main() -> None:
    generator = Generator()
    async for line in read_lines():
        print(json.dumps(await generator.carry_out(Order(**json.loads(line)))), flush=True)
    generator.close()


if __name__ == "__main__":
    run(_main())
