"""`sild security-server`: run a security server, and what is done beside it on its machine."""

import argparse
import sys
from typing import TYPE_CHECKING, Any

from sild.cli import accounts, backup
from sild.cli.describing import Described, add_home, add_openapi

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from sild.components.backup.backups import Backups

_DESCRIPTION = """\
Runs a whole security server in the foreground: a signer that holds the keys, control, which keeps
the global configuration, OCSP responses and the message log up to date and answers the management
API (port 4000), and workers, which exchange messages. Settings are read from HOME/sild.toml and
from the environment, SILD_<SECTION>_<NAME>. Stop it with Ctrl-C or SIGTERM; running messages are
finished first. SIGHUP finishes them, too, and starts its processes anew with the settings of now,
but for how many workers there are.

A new server has no accounts. Make one, start it, and declare what it is to be:

    sild security-server user add admin --role XROAD_SYSTEM_ADMINISTRATOR \\
        --role XROAD_SECURITY_OFFICER --role XROAD_REGISTRATION_OFFICER \\
        --role XROAD_SERVICE_ADMINISTRATOR --home HOME
    sild security-server --home HOME
    sild apply server.yaml --dry-run
"""


def add_parser(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the command."""
    parser = commands.add_parser(
        "security-server",
        help="run a security server",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_home(parser, required=False)
    parser.add_argument(
        "--check", action="store_true", help="print the settings that would be used, and end"
    )
    parser.set_defaults(run=run)
    beside = parser.add_subparsers(title="beside the running server", metavar="ACT")
    add_openapi(beside, _describe)
    accounts.add_parser(beside, accounts.SECURITY)
    backup.add_parser(beside, _open_backups)


def run(asked: argparse.Namespace) -> int:
    """Run the server, or print its settings."""
    from sild.runtime.files import FileError
    from sild.runtime.settings import SettingsError, describe
    from sild.servers.layout import Layout
    from sild.servers.security_server import run_security_server
    from sild.servers.settings import read_server_settings

    if asked.home is None:
        print("sild security-server: --home says where the server is", file=sys.stderr)
        return 2
    try:
        if asked.check:
            print(describe(read_server_settings(Layout(asked.home.absolute()))))
            return 0
        return run_security_server(asked.home)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    except (FileError, OSError) as error:
        print(f"sild: the server is not started: {error}", file=sys.stderr)
        return 1


def _open_backups(asked: argparse.Namespace) -> "AbstractAsyncContextManager[Backups]":
    from sild.servers.server_backups import open_server_backups

    return open_server_backups(asked.home.absolute())


def _describe() -> Described:
    from sild.adminapi.securityserver.additions import ADDITIONS
    from sild.adminapi.securityserver.application import describe_api

    return Described(describe_api(), ADDITIONS)
