"""`sild ctl`: all that a server's management API can do, for people and scripts."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from sild.cli import ctl_calls, ctl_clients, ctl_diagnostics, ctl_keys, ctl_services, ctl_system
from sild.cli.ctl_operations import Argument, Operation
from sild.cli.ctl_server import HELP, NotUnderstood, add_server_options, server_of

if TYPE_CHECKING:
    from sild.apiclient.client import ApiClient

_DESCRIPTION = """\
Speaks to the management API of a Security Server, wherever it is: everything that can be done
there, a command each. What changes nothing shows tables; --json prints what the server answers.

    sild ctl clients list
    sild ctl clients add DEV:GOV:1234:register
    sild ctl descriptions add DEV:GOV:1234:register REST http://10.0.0.2/ --rest-service-code things
    sild ctl services grant DEV:GOV:1234:register:things DEV:COM:5678:shop DEV:authorities
    sild ctl call GET /system/version

See also: sild apply, which makes a whole server what a file says.
"""
_AREAS: Mapping[str, str] = {
    "init": "set a new server up",
    "anchor": "the configuration anchor, by which the server trusts its instance",
    "clients": "members and subsystems that use this server",
    "client-certificates": "TLS certificates of clients' information systems",
    "groups": "local groups of clients",
    "rights": "who may call what, seen from a client",
    "descriptions": "service descriptions: WSDLs, OpenAPI, REST services",
    "services": "services, and who may call them",
    "endpoints": "methods and paths of REST services, and who may call them",
    "tokens": "tokens that hold keys",
    "keys": "keys",
    "csrs": "certificate requests",
    "certificates": "certificates of keys",
    "authorities": "approved certification authorities",
    "timestamping": "time-stamping services",
    "diagnostics": "what works and what does not",
    "alerts": "what is wrong",
    "backups": "backups",
    "maintenance": "maintenance mode",
    "address": "the server's address",
    "tls": "the TLS certificate that clients see",
    "system": "the server's version and such",
    "mail": "notifications by mail",
    "instances": "instances that are known",
    "member-classes": "member classes",
    "members": "members",
    "servers": "security servers of the instance",
    "api-keys": "keys for programs, which only people give out: log in with --user",
    "me": "who you are to the server",
}
OPERATIONS: tuple[Operation, ...] = (
    *ctl_clients.OPERATIONS,
    *ctl_services.OPERATIONS,
    *ctl_keys.OPERATIONS,
    *ctl_system.OPERATIONS,
    *ctl_diagnostics.OPERATIONS,
)
_REFUSED, _NOT_UNDERSTOOD, _UNREACHABLE, _WARNED = 1, 2, 3, 4


def add_parser(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the command."""
    parser = commands.add_parser(
        "ctl",
        help="speak to the management API of a server",
        description=_DESCRIPTION,
        epilog=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    every = _options_of_all()
    areas = parser.add_subparsers(title="areas", metavar="AREA", required=True)
    places = {}
    for name, help_ in _AREAS.items():
        area = areas.add_parser(name, help=help_, description=f"{help_[0].upper()}{help_[1:]}.")
        places[name] = area.add_subparsers(title="acts", metavar="ACT", required=True)
    for operation in OPERATIONS:
        area_name, act = operation.words.split(" ")
        _add_operation(places[area_name], act, operation, every)
    ctl_calls.add_acts(areas, places["api-keys"], every, run)


def _options_of_all() -> argparse.ArgumentParser:
    every = argparse.ArgumentParser(add_help=False)
    every.add_argument("--json", action="store_true", help="print what the server answers")
    add_server_options(every)
    return every


def _add_operation(
    acts: "argparse._SubParsersAction[Any]",
    name: str,
    operation: Operation,
    every: argparse.ArgumentParser,
) -> None:
    parser = acts.add_parser(
        name,
        parents=[every],
        help=operation.help,
        description=f"{operation.help[0].upper()}{operation.help[1:]}: {operation.call}.",
    )
    for argument in operation.arguments:
        _add_argument(parser, argument)
    if operation.saves:
        parser.add_argument(
            "-o", "--output", metavar="FILE", help="where to write it; - is standard output"
        )
    parser.set_defaults(
        run=run, act=lambda client, asked: ctl_calls.operate(client, operation, asked)
    )


def _add_argument(parser: argparse.ArgumentParser, argument: Argument) -> None:
    more: dict[str, Any] = {"help": argument.help}
    destination = ctl_calls.destination_of(argument)
    if argument.secret:
        what = f"{argument.name}-file"
        help_ = f"{argument.help} from this file; else it is asked for"
        parser.add_argument(what, dest=destination, metavar="FILE", help=help_)
        return
    if argument.flag:
        parser.add_argument(argument.name, dest=destination, action="store_true", **more)
        return
    more["type"] = argument.kind
    if argument.choices:
        more["choices"] = argument.choices
    if argument.is_option:
        more["metavar"] = None if argument.choices else argument.key.upper()
        if argument.many:
            more["action"] = "append"
        parser.add_argument(argument.name, dest=destination, **more)
        return
    if argument.many or argument.optional:
        more["nargs"] = "+" if argument.many else "?"
    # Named, as errors would otherwise tell of the destination.
    more["metavar"] = (
        f"{{{','.join(argument.choices)}}}" if argument.choices else argument.name.upper()
    )
    parser.add_argument(destination, **more)


def run(asked: argparse.Namespace) -> int:
    """Speak to the server, and give the exit code."""
    return speak(asked, lambda client: asked.act(client, asked))


def speak(asked: argparse.Namespace, act: "Callable[[ApiClient], Awaitable[int]]") -> int:
    """Do something with a client of the server that is meant; what goes wrong is told."""
    from sild.apiclient.client import ApiClient
    from sild.apiclient.errors import ApiClientError, ApiError, ApiUnreachable
    from sild.apiclient.values import Login
    from sild.runtime.loop import run as run_loop

    async def speaking() -> int:
        server = await asyncio.to_thread(server_of, asked)
        async with ApiClient(server) as client:
            try:
                code: int = await act(client)
            finally:
                if isinstance(server.credentials, Login):
                    await _log_out(client)
        return code

    try:
        return run_loop(speaking())
    except NotUnderstood as error:
        return _say(error, _NOT_UNDERSTOOD)
    except ApiUnreachable as error:
        return _say(error, _UNREACHABLE)
    except ApiError as error:
        if error.warnings:
            _say(error, 0)
            return _say("--ignore-warnings goes on in spite of that", _WARNED)
        return _say(error, _REFUSED)
    except (ApiClientError, OSError) as error:
        return _say(error, _REFUSED)


async def _log_out(client: "ApiClient") -> None:
    from sild.apiclient.errors import ApiClientError

    try:
        await client.log_out()
    except ApiClientError as error:
        print(f"sild: the session goes on until it ends by itself: {error}", file=sys.stderr)


def _say(what: object, code: int) -> int:
    print(f"sild: {what}", file=sys.stderr)
    return code
