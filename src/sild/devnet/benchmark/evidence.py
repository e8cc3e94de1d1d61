"""What evidence costs on each engine: drive the stages one after another, and collect figures."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from sild.devnet.benchmark.figures import Engine, Results, Spent
from sild.devnet.benchmark.pipes import Process
from sild.devnet.benchmark.postgres import find_postgres, temporary_postgres
from sild.devnet.benchmark.stages import STAGES
from sild.devnet.errors import DevnetError

Progress = Callable[[str], None]

_SILENCE_SECONDS = 600.0


class EvidenceBench:
    """One measurement of so many records on each engine that is installed."""

    def __init__(
        self, records: int, progress: Progress, engines: Sequence[Engine] = tuple(Engine)
    ) -> None:
        self._records = records
        self._engines = engines
        self._progress = progress

    async def run(self, home: Path, results: Results) -> None:
        """Measure; raises DevnetError where a stage fails."""
        for engine in self._engines:
            place = home / engine.name.lower()
            await asyncio.to_thread(place.mkdir, parents=True)
            async with _database(engine, place) as url:
                if url is None:
                    self._progress(f"{engine.value} is not installed: not measured")
                    results.absent.append(engine)
                    continue
                for stage in STAGES:
                    spent = await self._stage(stage, engine, (str(place), url))
                    results.evidence[engine, stage] = spent

    async def _stage(self, stage: str, engine: Engine, where: tuple[str, str]) -> Spent:
        process = await Process.start("stages", stage, *where, str(self._records))
        try:
            while "told" in (said := await process.read(_SILENCE_SECONDS)):
                self._progress(f"{engine.value}: {said['told']}")
        finally:
            await process.close()
        if "failed" in said:
            raise DevnetError(f"{engine.value}, {stage}: {said['failed']}")
        return Spent(**said)


@asynccontextmanager
async def _database(engine: Engine, place: Path) -> AsyncIterator[str | None]:
    """The address of an empty database; None where the engine is not installed."""
    if engine is Engine.SQLITE:
        yield f"sqlite:///{place / 'messagelog.db'}"
    elif (programs := find_postgres()) is None:
        yield None
    else:
        async with temporary_postgres(programs) as url:
            yield url
