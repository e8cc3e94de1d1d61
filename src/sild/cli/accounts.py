"""Local accounts, changed beside the running server."""

import argparse
import asyncio
import getpass
import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sild.cli.describing import add_home

if TYPE_CHECKING:
    from sild.components.accounts.accounts import Accounts
    from sild.model.permissions import Role
    from sild.servers.accounts import Act, ToldAct

_LONGEST_LINE = 4096


CENTRAL, SECURITY = "central-server", "security-server"


def add_parser(beside: "argparse._SubParsersAction[Any]", server: str) -> None:
    """Add the command below that of a server, which is called so."""
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
        add_home(one, required=True)
        if act != "list":
            one.add_argument("name", help="the account's name")
        if act in ("add", "roles"):
            one.add_argument("--role", action="append", required=True, dest="roles", metavar="ROLE")
        if act == "list":
            one.add_argument("--json", action="store_true", help="print JSON")
        one.set_defaults(run=change_accounts, act=act, server=server)


def change_accounts(asked: argparse.Namespace) -> int:
    """Do what was asked to a server's accounts; gives the exit code."""
    from sild.model.refusals import Refusal
    from sild.runtime.database import DatabaseError
    from sild.runtime.settings import SettingsError
    from sild.servers.accounts import with_central_accounts, with_server_accounts

    if asked.act != "add" and not asked.home.is_dir():
        print(f"sild: there is no directory {asked.home}", file=sys.stderr)
        return 1
    is_central = asked.server == CENTRAL
    with_accounts = with_central_accounts if is_central else with_server_accounts
    try:
        asyncio.run(with_accounts(asked.home.absolute(), _ACTS[asked.act](asked)))
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    except (Refusal, DatabaseError, OSError, ValueError) as error:
        print(f"sild: {error}", file=sys.stderr)
        return 1
    return 0


def _add(asked: argparse.Namespace) -> "Act":
    from sild.model.audit import AuditEvent

    async def act(accounts: "Accounts", told: "ToldAct") -> None:
        roles = _roles(asked)
        password = _password()
        names = [role.value for role in roles]
        async with told.telling(AuditEvent.ADD_USER, userName=asked.name, roles=names):
            await accounts.add_user(asked.name, password, roles)
        print(f"{asked.name} was added: {', '.join(role.value for role in roles)}")

    return act


def _set_password(asked: argparse.Namespace) -> "Act":
    from sild.model.audit import AuditEvent

    async def act(accounts: "Accounts", told: "ToldAct") -> None:
        password = _password()
        async with told.telling(AuditEvent.SET_USER_PASSWORD, userName=asked.name):
            await accounts.set_password(asked.name, password)
        print(f"{asked.name} has another password; sessions of before end")

    return act


def _set_roles(asked: argparse.Namespace) -> "Act":
    from sild.model.audit import AuditEvent

    async def act(accounts: "Accounts", told: "ToldAct") -> None:
        roles = _roles(asked)
        names = [role.value for role in roles]
        async with told.telling(AuditEvent.EDIT_USER_ROLES, userName=asked.name, roles=names):
            user = await accounts.set_roles(asked.name, roles)
        print(f"{user.name}: {', '.join(sorted(role.value for role in user.roles))}")

    return act


def _remove(asked: argparse.Namespace) -> "Act":
    from sild.model.audit import AuditEvent

    async def act(accounts: "Accounts", told: "ToldAct") -> None:
        async with told.telling(AuditEvent.DELETE_USER, userName=asked.name):
            await accounts.remove_user(asked.name)
        print(f"{asked.name} was removed")

    return act


def _list(asked: argparse.Namespace) -> "Act":
    async def act(accounts: "Accounts", _: "ToldAct") -> None:
        users = [
            (user.name, sorted(role.value for role in user.roles))
            for user in await accounts.users()
        ]
        if asked.json:
            print(json.dumps([{"name": name, "roles": roles} for name, roles in users], indent=2))
            return
        for name, roles in users:
            print(f"{name}: {', '.join(roles)}")

    return act


_ACTS: dict[str, Callable[[argparse.Namespace], "Act"]] = {
    "add": _add,
    "password": _set_password,
    "roles": _set_roles,
    "remove": _remove,
    "list": _list,
}


def _roles(asked: argparse.Namespace) -> list["Role"]:
    from sild.model.permissions import CENTRAL_SERVER, SECURITY_SERVER, Role

    try:
        return [Role(name) for name in asked.roles]
    except ValueError:
        roles = CENTRAL_SERVER if asked.server == CENTRAL else SECURITY_SERVER
        known = ", ".join(role.value for role in roles)
        raise ValueError(f"{asked.roles} are not all roles; there are {known}") from None


def _password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline(_LONGEST_LINE).rstrip("\n")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != password:
        raise ValueError("the two passwords are not the same")
    return password
