"""`sild security-server`: run a security server."""

import argparse
import sys
from pathlib import Path
from typing import Any

_DESCRIPTION = """\
Runs a whole security server in the foreground: a signer that holds the keys, control, which keeps
the global configuration, OCSP responses and the message log up to date, and workers, which exchange
messages. Settings are read from HOME/sild.toml and from the environment, SILD_<SECTION>_<NAME>.
Stop it with Ctrl-C or SIGTERM; running messages are finished first.
"""


def add_parser(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the command."""
    parser = commands.add_parser(
        "security-server",
        help="run a security server",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--home", type=Path, required=True, help="the directory that holds all of the server"
    )
    parser.add_argument(
        "--check", action="store_true", help="print the settings that would be used, and end"
    )
    parser.set_defaults(run=run)


def run(asked: argparse.Namespace) -> int:
    """Run the server, or print its settings."""
    from sild.runtime.settings import SettingsError, describe
    from sild.servers.layout import Layout
    from sild.servers.security_server import read_server_settings, run_security_server

    try:
        if asked.check:
            print(describe(read_server_settings(Layout(asked.home.absolute()))))
            return 0
        return run_security_server(asked.home)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
