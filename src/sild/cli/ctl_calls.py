"""What `sild ctl` does with a client: the calls of operations, and a few acts that are not one."""

import argparse
import asyncio
import hashlib
import json
import re
import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sild.cli.ctl_operations import Argument, Operation, Values, Where
from sild.cli.ctl_printing import show, to_json
from sild.cli.ctl_server import NotUnderstood, ask_secret, read_secret_file

if TYPE_CHECKING:
    from sild.apiclient.client import ApiClient
    from sild.apiclient.values import Answer, Upload

_LARGEST_UPLOAD = 256 * 1024**2
_NAMES = re.compile(r"\{(\w+)\}")
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_NO_CONTENT = 204
_CALL_HELP = """\
Makes any call of a management API, of a Security Server or a Central Server, and prints what comes
back.

    sild ctl call GET /clients --query member_class=GOV
    sild ctl call PUT /system/server-address --body '{"address": "ss2.example.org"}'
    sild ctl call POST /clients --body @client.json
    sild ctl call POST /token-certificates --octets certificate.pem
"""
_ID_HELP = """\
Prints the identifier of a Security Server, or with --central the instance of a Central Server.
Nothing else is printed, so that scripts can use it.
"""
_FINGERPRINT_HELP = """\
Prints the SHA-256 of the certificate that a server shows, for --fingerprint. Compare it with what
the server's administrators say: whoever answers in its place has another.
"""


def destination_of(argument: Argument) -> str:
    """Where the parser puts an argument."""
    return f"given_{argument.key}"


async def operate(client: "ApiClient", operation: Operation, asked: argparse.Namespace) -> int:
    """Make an operation's call, and show what comes back."""
    values = await asyncio.to_thread(_values, operation, asked)
    try:
        if operation.resolve is not None:
            await operation.resolve(client, values)
        path = _path(operation, values)
        body = _body(operation, values)
    except ValueError as error:
        raise NotUnderstood(str(error)) from error
    query = {
        argument.key: values[argument.key]
        for argument in operation.arguments
        if argument.where is Where.QUERY and values[argument.key] is not None
    }
    upload = await asyncio.to_thread(_upload, operation, values)
    answer = await client.call(operation.method, path, json=body, query=query, upload=upload)
    if operation.saves:
        name = _NAMES.sub(lambda found: str(values[found[1]]), operation.saves)
        return await asyncio.to_thread(_save, answer, asked.output or name)
    _show(answer, operation, as_json=asked.json)
    return 0


def _values(operation: Operation, asked: argparse.Namespace) -> Values:
    values = {}
    for argument in operation.arguments:
        value = getattr(asked, destination_of(argument))
        if argument.secret:
            prompt = f"{argument.key.replace('_', ' ').capitalize()}: "
            value = read_secret_file(Path(value)) if value else ask_secret(prompt)
        elif argument.flag:
            value = value or None
        values[argument.key] = value
    return values


def _path(operation: Operation, values: Values) -> str:
    from sild.apiclient.values import path_of

    # Each name stands for one part, whatever is in it.
    return _NAMES.sub(lambda found: path_of(str(values[found[1]]))[1:], operation.path)


def _body(operation: Operation, values: Values) -> Any:
    if operation.build is not None:
        return operation.build(values)
    fields = {
        argument.key: values[argument.key]
        for argument in operation.arguments
        if argument.where is Where.BODY and values[argument.key] is not None
    }
    takes = any(argument.where is Where.BODY for argument in operation.arguments)
    return {**operation.fixed, **fields} if takes or operation.fixed else None


def _upload(operation: Operation, values: Values) -> "Upload | None":
    from sild.apiclient.values import Form, NamedFile, Octets

    for argument in operation.arguments:
        if argument.where in (Where.OCTETS, Where.FORM):
            path = Path(values[argument.key])
            content = _read(path)
            if argument.where is Where.OCTETS:
                return Octets(content)
            return Form(files={argument.key: NamedFile(path.name, content)})
    return None


def _read(path: Path) -> bytes:
    from sild.runtime.files import FileTooLarge, read_bounded

    try:
        return read_bounded(path, _LARGEST_UPLOAD)
    except (OSError, FileTooLarge) as error:
        raise NotUnderstood(f"{path} cannot be read: {error}") from error


def _save(answer: "Answer", place: str) -> int:
    if place == "-":
        sys.stdout.buffer.write(answer.content)
        sys.stdout.buffer.flush()
        return 0
    Path(place).write_bytes(answer.content)
    print(place)
    return 0


def _show(answer: "Answer", operation: Operation, *, as_json: bool) -> None:
    if not answer.content:
        return
    found = answer.json
    if operation.rows is not None:
        found = operation.rows(found)
    print(to_json(found) if as_json else show(found, operation.columns), end="")


def add_acts(
    areas: "argparse._SubParsersAction[Any]",
    keys: "argparse._SubParsersAction[Any]",
    every: argparse.ArgumentParser,
    run: Callable[[argparse.Namespace], int],
) -> None:
    """Add the acts that are more, or less, than one operation."""
    raw = argparse.RawDescriptionHelpFormatter
    calling = areas.add_parser(
        "call", parents=[every], help="make any call", description=_CALL_HELP, formatter_class=raw
    )
    calling.add_argument("method", choices=_METHODS)
    calling.add_argument("path", help="such as /clients, or all of it: /api/v1/clients")
    calling.add_argument("--query", action="append", default=[], metavar="NAME=VALUE")
    calling.add_argument("--body", metavar="JSON", help="the body, or @FILE, or @- to read it")
    calling.add_argument("--octets", metavar="FILE", help="a file that is the body")
    calling.add_argument("-o", "--output", metavar="FILE", help="where to write the answer")
    calling.set_defaults(run=run, act=_call)
    naming = areas.add_parser(
        "id", parents=[every], help="print the server's identifier", description=_ID_HELP,
        formatter_class=raw,
    )  # fmt: skip
    naming.add_argument("--central", action="store_true", help="the server is a Central Server")
    naming.set_defaults(run=run, act=_id)
    showing = areas.add_parser(
        "fingerprint", help="print the fingerprint of a server's certificate",
        description=_FINGERPRINT_HELP, formatter_class=raw,
    )  # fmt: skip
    showing.add_argument("address", metavar="HOST:PORT", help="such as ss1.example.org:4000")
    showing.set_defaults(run=_fingerprint)
    saving = keys.add_parser(
        "save",
        parents=[every],
        help="make an API key for a program, into a file that is private",
        description="Makes an API key and writes it to a new private file; it is not printed.",
    )
    saving.add_argument("file", metavar="FILE", help="a file that is not there yet")
    saving.add_argument(
        "roles", nargs="+", metavar="ROLE", help="such as XROAD_SERVICE_ADMINISTRATOR"
    )
    saving.set_defaults(run=run, act=_save_key)


async def _call(client: "ApiClient", asked: argparse.Namespace) -> int:
    from sild.apiclient.values import Octets

    query = dict(_pair(each) for each in asked.query)
    body = None if asked.body is None else await asyncio.to_thread(_json_of, asked.body)
    content = await asyncio.to_thread(_read, Path(asked.octets)) if asked.octets else None
    upload = None if content is None else Octets(content)
    answer = await client.call(asked.method, asked.path, json=body, query=query, upload=upload)
    if asked.output:
        return await asyncio.to_thread(_save, answer, asked.output)
    kind = answer.headers.get("content-type", "").partition(";")[0].strip()
    if answer.content and kind == "application/json":
        print(to_json(answer.json) if asked.json else show(answer.json), end="")
    elif answer.content:
        await asyncio.to_thread(_save, answer, "-")
    return 0


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise NotUnderstood(f"{text!r} is no NAME=VALUE")
    return name, value


def _json_of(text: str) -> Any:
    if text == "@-":
        content: str | bytes = sys.stdin.buffer.read(_LARGEST_UPLOAD)
    else:
        content = _read(Path(text[1:])) if text.startswith("@") else text
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise NotUnderstood(f"the body is no JSON: {error}") from error


async def _id(client: "ApiClient", asked: argparse.Namespace) -> int:
    if asked.central:
        status = (await client.call("GET", "/initialization/status")).json
        told = {"id": status.get("instance_identifier") or ""}
    else:
        found = await client.call("GET", "/security-servers", query={"current_server": True})
        (told,) = found.json
    print(to_json(told) if asked.json else f"{told['id']}\n", end="")
    return 0 if told["id"] else 1


def _fingerprint(asked: argparse.Namespace) -> int:
    host, _, port = asked.address.removeprefix("https://").rstrip("/").rpartition(":")
    try:
        pem = ssl.get_server_certificate((host.strip("[]"), int(port)), timeout=10)
    except (OSError, ValueError) as error:
        print(f"sild: {asked.address} shows no certificate: {error}", file=sys.stderr)
        return 3
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest().upper()
    print(":".join(digest[place : place + 2] for place in range(0, len(digest), 2)))
    return 0


async def _save_key(client: "ApiClient", asked: argparse.Namespace) -> int:
    from sild.runtime.files import write_private

    path = Path(asked.file)
    if await asyncio.to_thread(path.exists):
        raise NotUnderstood(f"{path} is there already")
    made = (await client.call("POST", "/api-keys", json=asked.roles)).json
    await asyncio.to_thread(write_private, path, f"{made['key']}\n".encode())
    told = {"id": made["id"], "roles": made["roles"], "file": str(path)}
    print(to_json(told) if asked.json else f"{path}\n", end="")
    return 0
