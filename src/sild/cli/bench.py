"""`sild bench`: measure the message path beside its comparison."""

import argparse
from typing import Any


def add_parser(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the command."""
    parser = commands.add_parser(
        "bench", help="measure the message path beside a mutual-TLS chain of nginx"
    )
    parser.set_defaults(run=run)


def run(asked: argparse.Namespace) -> int:
    """Measure."""
    from sild.devnet.bench import run_bench

    return run_bench(asked)
