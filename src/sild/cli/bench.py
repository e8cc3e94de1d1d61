"""`sild bench`: measure the message path beside its comparison."""

import argparse
from pathlib import Path
from typing import Any

_DESCRIPTION = """\
Brings up two security servers with a service behind them, and beside them a chain of two nginx
with mutual TLS, of the same version and suite. Drives both in the same way, in turn, and prints
messages per second, latency, CPU time a message and memory, as medians and ratios of medians.
Then, on each database engine that is installed, logs, time-stamps, archives and verifies 10,000
messages (500 with --quick). Last, publishes the global configuration of 3,000 members again and
again. Takes some minutes; nothing else should run on the machine.
"""


def add_parser(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the command."""
    parser = commands.add_parser(
        "bench",
        help="measure the message path beside a mutual-TLS chain of nginx, and evidence",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="some cases, two short runs of each")
    parser.add_argument("--runs", type=_count, metavar="N", help="how often each case is run")
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="WORD",
        help="only the cases whose names have all these words, such as: RSA-2048 1 kB x64;"
        " evidence for the message log alone, publishing for the Central Server",
    )
    parser.add_argument(
        "--workers", type=_count, default=1, metavar="N", help="processes on a server's path"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every run here")
    parser.set_defaults(run=run)


def _count(text: str) -> int:
    count = int(text)
    if not 1 <= count <= 100:
        raise ValueError(text)
    return count


def run(asked: argparse.Namespace) -> int:
    """Measure."""
    from sild.devnet.bench import run_bench

    return run_bench(asked)
