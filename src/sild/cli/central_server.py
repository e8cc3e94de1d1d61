"""`sild central-server`: run a Central Server, and what is done beside it on its machine."""

import argparse
import sys
from typing import TYPE_CHECKING, Any

from sild.cli import accounts, backup
from sild.cli.describing import Described, add_home, add_openapi

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from sild.components.backup.backups import Backups

_DESCRIPTION = """\
Runs a whole Central Server in the foreground: a signer that holds the keys of the global
configuration, and the server itself: the management API (port 4000), the registration service
(4001), the management service (4002), and the global configuration for all who ask (80 and 443).
Settings are read from HOME/sild.toml and from the environment, SILD_<SECTION>_<NAME>.
Stop it with Ctrl-C or SIGTERM.

A new server has no accounts. Make one, then start it:

    sild central-server user add admin --role XROAD_SYSTEM_ADMINISTRATOR \\
        --role XROAD_SECURITY_OFFICER --role XROAD_REGISTRATION_OFFICER --home HOME
    sild central-server --home HOME
"""


def add_parser(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the command."""
    parser = commands.add_parser(
        "central-server",
        help="run a Central Server",
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
    accounts.add_parser(beside, accounts.CENTRAL)
    backup.add_parser(beside, _open_backups)


def _open_backups(asked: argparse.Namespace) -> "AbstractAsyncContextManager[Backups]":
    from sild.servers.central_backups import open_central_backups

    return open_central_backups(asked.home.absolute())


def run(asked: argparse.Namespace) -> int:
    """Run the server, or print its settings."""
    from sild.runtime.files import FileError
    from sild.runtime.settings import SettingsError, describe
    from sild.servers.central_layout import CentralLayout
    from sild.servers.central_server import run_central_server
    from sild.servers.central_settings import read_central_settings

    if asked.home is None:
        print("sild central-server: --home says where the server is", file=sys.stderr)
        return 2
    try:
        if asked.check:
            print(describe(read_central_settings(CentralLayout(asked.home.absolute()))))
            return 0
        return run_central_server(asked.home)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    except (FileError, OSError) as error:
        print(f"sild: the server is not started: {error}", file=sys.stderr)
        return 1


def _describe() -> Described:
    from sild.adminapi.centralserver.additions import ADDITIONS
    from sild.adminapi.centralserver.application import describe_api

    return Described(describe_api(), ADDITIONS)
