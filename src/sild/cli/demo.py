"""`sild demo`: a whole ecosystem on this machine, and its story."""

import argparse
from pathlib import Path
from typing import Any

_DESCRIPTION = """\
Brings up a test CA with OCSP responder and time-stamping authority, a Central Server,
and the security servers of three organisations on loopback addresses; sends requests
through, shows what happens at each step, and what refusal looks like. It then stays up, printing
commands to try, until Ctrl-C.
"""


def add_parser(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the command."""
    parser = commands.add_parser(
        "demo",
        help="bring up a whole ecosystem on this machine and tell its story",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--once", action="store_true", help="end after the story")
    parser.add_argument(
        "--base-port", type=int, default=18080, metavar="PORT", help="look for free ports from here"
    )
    parser.add_argument(
        "--dir", type=Path, help="keep everything here, for the next time (default: temporary)"
    )
    parser.set_defaults(run=run)


def run(asked: argparse.Namespace) -> int:
    """Tell the story."""
    from sild.devnet.demo import run_demo

    return run_demo(asked.dir, base_port=asked.base_port, once=asked.once)
