"""`sild bench`: the two-server path beside a two-hop mutual-TLS chain of nginx, and evidence."""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sild.devnet.benchmark.evidence import EvidenceBench
from sild.devnet.benchmark.figures import COMPARED, COMPARED_CONCURRENCY, RATIO_CASE, Body, Case
from sild.devnet.benchmark.nginx import find_nginx
from sild.devnet.benchmark.publishing import measure_publishing
from sild.devnet.benchmark.report import to_json, to_text
from sild.devnet.benchmark.runs import Bench, Extent
from sild.devnet.errors import DevnetError
from sild.model.tokens import KeyAlgorithm

FULL = Extent(runs=5, seconds=2.0, warm_seconds=0.5, rest_seconds=3.0, large_runs=3)
QUICK = Extent(runs=2, seconds=1.5, warm_seconds=0.5, rest_seconds=1.0, large_runs=1)
_KEYS = (KeyAlgorithm.RSA_2048, KeyAlgorithm.EC_P256)
_CONCURRENCIES = (1, 16, 64)
ALL_CASES = tuple(
    case
    for key in _KEYS
    for case in (
        *(
            Case(key, body, concurrency)
            for body in (Body.SMALL, Body.LARGE)
            for concurrency in _CONCURRENCIES
        ),
        *(Case(key, body, COMPARED_CONCURRENCY) for pair in COMPARED for body in reversed(pair)),
    )
)
QUICK_CASES = (
    Case(KeyAlgorithm.RSA_2048, Body.SMALL, 1),
    RATIO_CASE,
    Case(KeyAlgorithm.RSA_2048, Body.LARGE, 1),
    *(
        Case(KeyAlgorithm.RSA_2048, body, COMPARED_CONCURRENCY)
        for pair in COMPARED
        for body in reversed(pair)
    ),
    Case(KeyAlgorithm.EC_P256, Body.SMALL, 64),
)
EVIDENCE = "evidence"
"""The word for what is measured without a message path."""
EVIDENCE_RECORDS, EVIDENCE_RECORDS_QUICK = 10_000, 500
PUBLISHING = "publishing"
"""The word for what a Central Server with a whole country does."""
PUBLISHING_ROUNDS, PUBLISHING_ROUNDS_QUICK = 20, 4
_LONGEST_SECONDS = 1200.0
_LONGEST_EVIDENCE_SECONDS = 3600.0


def chosen(cases: Sequence[Case], words: Sequence[str]) -> tuple[Case, ...]:
    """The cases whose names have all of these words."""
    wanted = [word.lower() for text in words for word in text.split()]
    return tuple(
        case for case in cases if all(word in str(case).lower().split() for word in wanted)
    )


def run_bench(asked: argparse.Namespace) -> int:
    """Measure, and print what was measured; gives the exit code."""
    extent = QUICK if asked.quick else FULL
    cases, beside = _wanted(asked)
    if not cases and not beside.records and not beside.rounds:
        names = "\n  ".join([*map(str, ALL_CASES), EVIDENCE, PUBLISHING])
        print(f"no case has all these words; the cases are\n  {names}", file=sys.stderr)
        return 2
    if asked.runs is not None:
        extent = replace(extent, runs=asked.runs, large_runs=min(asked.runs, extent.large_runs))
    if cases and find_nginx() is None:
        print("nginx is not installed (apt-get install nginx): no comparison", file=sys.stderr)
    bench = Bench(extent, cases, _tell)
    try:
        with tempfile.TemporaryDirectory(prefix="sild-bench-") as home:
            asyncio.run(_bounded(bench, Path(home), asked.workers, beside))
    except (DevnetError, TimeoutError, ExceptionGroup) as error:
        failed = first_of(error)
        if not isinstance(failed, DevnetError | TimeoutError):
            raise
        print(f"the benchmark failed: {str(failed) or 'it took too long'}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(to_text(bench.results))
    if asked.json is not None:
        asked.json.write_text(json.dumps(to_json(bench.results), indent=1) + "\n")
    return 0


def _wanted(asked: argparse.Namespace) -> "tuple[tuple[Case, ...], Beside]":
    """The cases of the message path, and what is measured beside it."""
    cases, everything = ALL_CASES, Beside(EVIDENCE_RECORDS, PUBLISHING_ROUNDS)
    if asked.quick:
        cases = QUICK_CASES
        everything = Beside(EVIDENCE_RECORDS_QUICK, PUBLISHING_ROUNDS_QUICK)
    if not asked.only:
        return cases, everything
    if asked.only == [EVIDENCE]:
        return (), replace(everything, rounds=0)
    if asked.only == [PUBLISHING]:
        return (), replace(everything, records=0)
    return chosen(ALL_CASES, asked.only), Beside(0, 0)


def first_of(error: BaseException) -> BaseException:
    """The error itself, or of a group the first that happened."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@dataclass(frozen=True, slots=True)
class Beside:
    """How much is measured beside the message path: records of evidence, rounds of publishing."""

    records: int
    rounds: int


async def _bounded(bench: Bench, home: Path, workers: int, beside: Beside) -> None:
    async with asyncio.timeout(_LONGEST_SECONDS):
        await bench.run(home, workers)
    if beside.records:
        async with asyncio.timeout(_LONGEST_EVIDENCE_SECONDS):
            await EvidenceBench(beside.records, _tell).run(home / EVIDENCE, bench.results)
    if beside.rounds:
        async with asyncio.timeout(_LONGEST_SECONDS):
            place = home / PUBLISHING
            bench.results.publishing = await measure_publishing(place, beside.rounds, _tell)
