"""`sild bench`: the two-server path beside a two-hop mutual-TLS chain of nginx, and evidence."""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sild.devnet.benchmark.evidence import EvidenceBench
from sild.devnet.benchmark.figures import COMPARED, COMPARED_CONCURRENCY, RATIO_CASE, Body, Case
from sild.devnet.benchmark.nginx import find_nginx
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
    extent, cases = (QUICK, QUICK_CASES) if asked.quick else (FULL, ALL_CASES)
    records = EVIDENCE_RECORDS_QUICK if asked.quick else EVIDENCE_RECORDS
    if asked.only == [EVIDENCE]:
        cases = ()
    elif asked.only:
        records, cases = 0, chosen(ALL_CASES, asked.only)
    if not cases and not records:
        names = "\n  ".join([*map(str, ALL_CASES), EVIDENCE])
        print(f"no case has all these words; the cases are\n  {names}", file=sys.stderr)
        return 2
    if asked.runs is not None:
        extent = replace(extent, runs=asked.runs, large_runs=min(asked.runs, extent.large_runs))
    if cases and find_nginx() is None:
        print("nginx is not installed (apt-get install nginx): no comparison", file=sys.stderr)
    bench = Bench(extent, cases, _tell)
    try:
        with tempfile.TemporaryDirectory(prefix="sild-bench-") as home:
            asyncio.run(_bounded(bench, Path(home), asked.workers, records))
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


def first_of(error: BaseException) -> BaseException:
    """The error itself, or of a group the first that happened."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


async def _bounded(bench: Bench, home: Path, workers: int, records: int) -> None:
    async with asyncio.timeout(_LONGEST_SECONDS):
        await bench.run(home, workers)
    if records:
        async with asyncio.timeout(_LONGEST_EVIDENCE_SECONDS):
            await EvidenceBench(records, _tell).run(home / EVIDENCE, bench.results)
