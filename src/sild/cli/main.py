"""The command line: its parser, and the exit code of what was asked for."""

import argparse
import os
import sys
from collections.abc import Sequence

from sild import __version__
from sild.cli import (
    apply,
    archive,
    bench,
    central_server,
    certificate,
    completion,
    configuration,
    ctl,
    demo,
    evidence,
    import_backup,
    keys,
    log,
    security_server,
    verify,
    verify_archive,
    verify_proof,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code: 0 done, 1 failed, 2 not understood."""
    parser = _parser()
    completion.complete(parser)
    asked = parser.parse_args(arguments)
    if not hasattr(asked, "run"):
        parser.print_help(sys.stderr)
        return 2
    try:
        code: int = asked.run(asked)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever reads, such as `head`, has read enough; what is left is for nobody.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


def _parser() -> argparse.ArgumentParser:
    """The parser; each command's sub-parser sets `run`, a function of the parsed arguments."""
    parser = argparse.ArgumentParser(
        prog="sild", description="An X-Road-compatible secure data exchange layer."
    )
    parser.add_argument("--version", action="version", version=f"sild {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for command in (
        demo,
        security_server,
        central_server,
        apply,
        ctl,
        import_backup,
        certificate,
        keys,
        configuration,
        verify,
        verify_archive,
        archive,
        verify_proof,
        evidence,
        log,
        bench,
        completion,
    ):
        command.add_parser(commands)
    return parser
