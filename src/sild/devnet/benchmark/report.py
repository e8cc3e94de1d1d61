"""What was measured, for people as tables and for programs as JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sild.devnet.benchmark.figures import (
    CONSUMER,
    NGINX,
    PROVIDER,
    SILD,
    PublishingFigures,
    Results,
    goals,
)

_MIB = 1024 * 1024
_HEADS = (
    "case",
    "who",
    "messages/s",
    "p50 ms",
    "p99 ms",
    "CPU µs/message",
    "memory MiB",
    "of nginx",
)
_ROUND_SECONDS = 5.0
_EVIDENCE_HEADS = ("evidence", "", "records", "seconds", "records/s", "CPU s", "memory MiB")


def to_text(results: Results) -> str:
    """Tables for people."""
    parts = [_path_text(results)] if results.runs else []
    if results.evidence or results.absent:
        parts.append(_evidence_text(results))
    if results.publishing is not None:
        parts.append(_publishing_text(results.publishing))
    return "\n\n".join(parts)


def _path_text(results: Results) -> str:
    parts = [_table([_HEADS, *_rows(results)])]
    parts.append(
        "CPU and memory (PSS) are of all processes of a server, consumer's + provider's; medians"
        " of the runs, of memory the most. Bodies go each way; the log keeps 1 MiB of each."
    )
    parts.append("\n".join(_rest(results)))
    for goal in goals(results):
        verdict = {True: "reached", False: "MISSED", None: "-"}[goal.reached]
        parts.append(f"{verdict:8} {goal.what}: {goal.measured}, wanted {goal.wanted}")
    return "\n\n".join(parts[:3]) + "\n\n" + "\n".join(parts[3:])


def _evidence_text(results: Results) -> str:
    rows: list[Sequence[str]] = [_EVIDENCE_HEADS]
    for (engine, stage), spent in results.evidence.items():
        rows.append(
            (
                engine.value,
                stage,
                f"{spent.records:,}",
                f"{spent.seconds:.1f}",
                f"{spent.rate:,.0f}",
                f"{spent.cpu:.1f}",
                _mib(spent.memory),
            )
        )
    rows += [(engine.value, "not installed", *[""] * 5) for engine in results.absent]
    return (
        f"{_table(rows)}\n\nLogged until all was in the store. CPU and memory (the most) are of the"
        " process that did it, without a database server's."
    )


def _publishing_text(figures: PublishingFigures) -> str:
    seconds = sorted(each.seconds for each in figures.rounds)
    cpu = sorted(each.cpu_seconds for each in figures.rounds)
    goal = "reached" if figures.slowest_seconds < _ROUND_SECONDS else "MISSED"
    return (
        f"publishing global configuration in every version, {len(seconds)} rounds of"
        f" {_mib(figures.published_bytes)} MiB:\n"
        f"  median {seconds[len(seconds) // 2]:.2f} s ({cpu[len(cpu) // 2]:.2f} s of CPU), most"
        f" {figures.slowest_seconds:.2f} s; memory {_mib(figures.rounds[-1].memory_bytes)} MiB"
        f" after the last round, {figures.growth_bytes / 1024**2:+.1f} MiB since halfway, peak"
        f" {_mib(figures.peak_memory_bytes)} MiB\n\n"
        f"{goal:8} a whole country is published in under {_ROUND_SECONDS:g} s"
    )


def _rows(results: Results) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for case in results.cases:
        for who in (SILD, NGINX):
            found = results.find(case, who)
            if found is None:
                continue
            ratio = results.ratio(case) if who == SILD else None
            rows.append(
                (
                    str(case) if who == SILD else "",
                    who,
                    f"{found.rate:,.0f}" if found.rate >= 100 else f"{found.rate:.1f}",
                    f"{found.p50:.1f}",
                    f"{found.p99:.1f}",
                    _both([f"{found.cpu[each]:,.0f}" for each in (CONSUMER, PROVIDER)]),
                    _both([_mib(found.memory[each]) for each in (CONSUMER, PROVIDER)]),
                    "" if ratio is None else f"{ratio:.3f}",
                )
            )
    return rows


def _rest(results: Results) -> list[str]:
    lines = []
    for (key, who), memory in results.idle.items():
        sizes = _both([_mib(memory[each]) for each in (CONSUMER, PROVIDER)])
        lines.append(f"{key.value} {who}: {results.tls[key, who]}; at rest {sizes} MiB")
    return lines


def _both(texts: Sequence[str]) -> str:
    return " + ".join(texts)


def _mib(size: int) -> str:
    return f"{size / _MIB:.0f}"


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            text.ljust(width) if column < 2 else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def to_json(results: Results) -> dict[str, Any]:
    """Everything that was measured, run by run."""
    return {
        "cases": [
            {
                "key": case.key.value,
                "bytes": case.body.size,
                "concurrency": case.concurrency,
                "ratio": results.ratio(case),
                "runs": {
                    who: [asdict(run) for run in results.runs.get((case, who), ())]
                    for who in (SILD, NGINX)
                },
            }
            for case in results.cases
        ],
        "idle": [
            {"key": key.value, "who": who, "memory": dict(memory)}
            for (key, who), memory in results.idle.items()
        ],
        "tls": [
            {"key": key.value, "who": who, "negotiated": text}
            for (key, who), text in results.tls.items()
        ],
        "evidence": [
            {"engine": engine.value, "stage": stage, **asdict(spent), "rate": spent.rate}
            for (engine, stage), spent in results.evidence.items()
        ],
        "publishing": None if results.publishing is None else asdict(results.publishing),
        "absent": [engine.value for engine in results.absent],
        "goals": [asdict(goal) for goal in goals(results)],
    }
