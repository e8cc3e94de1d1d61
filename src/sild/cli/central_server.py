"""`sild central-server`: run a Central Server, and what is done beside it on its machine."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sild.cli import backup

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from sild.adminapi.contract import Difference
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
_OPENAPI = """\
Prints the description of the management API, as the server gives it at /api/v1/openapi.yaml.
With --against, prints instead how it differs from a published description: what is missing or
changed, and, with --all, what was added and why. Exit code 1 if anything is missing or changed.
"""


def add_parser(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the command."""
    parser = commands.add_parser(
        "central-server",
        help="run a Central Server",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_home(parser, required=False)
    parser.add_argument(
        "--check", action="store_true", help="print the settings that would be used, and end"
    )
    parser.set_defaults(run=run)
    beside = parser.add_subparsers(title="beside the running server", metavar="ACT")
    _add_openapi(beside)
    _add_user(beside)
    backup.add_parser(beside, _open_backups)


def _add_home(parser: argparse.ArgumentParser, *, required: bool) -> None:
    parser.add_argument(
        "--home",
        type=Path,
        required=required,
        default=argparse.SUPPRESS if required else None,
        help="the directory that holds all of the server",
    )


def _add_openapi(beside: "argparse._SubParsersAction[Any]") -> None:
    parser = beside.add_parser(
        "openapi",
        help="print the description of the management API, or compare it",
        description=_OPENAPI,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of YAML or text")
    parser.add_argument(
        "--against", type=Path, metavar="FILE", help="a published description, JSON or YAML"
    )
    parser.add_argument(
        "--all", action="store_true", help="print additions too, with their reasons"
    )
    parser.set_defaults(run=openapi)


def _add_user(beside: "argparse._SubParsersAction[Any]") -> None:
    parser = beside.add_parser("user", help="add, change, list or remove local accounts")
    acts = parser.add_subparsers(title="acts", metavar="ACT", required=True)
    for act, help_ in (
        ("add", "make an account; its password is asked for, or read from standard input"),
        ("password", "give an account another password"),
        ("roles", "give an account other roles"),
        ("remove", "remove an account"),
        ("list", "list the accounts and their roles"),
    ):
        one = acts.add_parser(act, help=help_)
        _add_home(one, required=True)
        if act != "list":
            one.add_argument("name", help="the account's name")
        if act in ("add", "roles"):
            one.add_argument("--role", action="append", required=True, dest="roles", metavar="ROLE")
        if act == "list":
            one.add_argument("--json", action="store_true", help="print JSON")
        one.set_defaults(run=user, act=act)


def _open_backups(asked: argparse.Namespace) -> "AbstractAsyncContextManager[Backups]":
    from sild.servers.central_backups import open_central_backups

    return open_central_backups(asked.home.absolute())


def run(asked: argparse.Namespace) -> int:
    """Run the server, or print its settings."""
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


def openapi(asked: argparse.Namespace) -> int:
    """Print the description, or how it differs."""
    from sild.adminapi.centralserver.additions import ADDITIONS
    from sild.adminapi.centralserver.application import describe_api
    from sild.adminapi.contract import differences, read_description
    from sild.runtime.yaml import write_yaml

    ours = describe_api()
    if asked.against is None:
        print(json.dumps(ours, indent=2) if asked.json else write_yaml(ours), end="")
        return 0
    try:
        published = read_description(asked.against)
    except (OSError, ValueError) as error:
        print(f"{asked.against} cannot be read: {error}", file=sys.stderr)
        return 2
    found = differences(published, ours, ADDITIONS)
    shown = [each for each in found if asked.all or not each.is_addition]
    _tell(shown, as_json=asked.json)
    return 1 if any(not each.is_addition for each in found) else 0


def _tell(found: "list[Difference]", *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([each.to_json() for each in found], indent=2))
        return
    for each in found:
        print(each)
    wrong = sum(not each.is_addition for each in found)
    print(f"{wrong} missing or changed" if wrong else "nothing is missing or changed")


def user(asked: argparse.Namespace) -> int:
    """Change local accounts."""
    from sild.cli.accounts import change_accounts

    return change_accounts(asked)
