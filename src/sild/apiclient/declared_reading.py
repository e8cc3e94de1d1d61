"""Reading a declaration: what is wrong with a file is told with the place in it."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from sild.apiclient.apply_errors import DeclarationError
from sild.apiclient.declared import (
    AUTHENTICATION,
    SIGNING,
    SOFTWARE_TOKEN,
    DeclaredClient,
    DeclaredKey,
    DeclaredServer,
    DeclaredToken,
    OpenApiService,
    RestService,
    Service,
)
from sild.runtime.files import FileTooLarge, read_bounded
from sild.runtime.yaml import YamlError, read_yaml

_LARGEST_FILE = 4 * 1024**2
_TOLD = re.compile(r"^(?P<what>.*?)(?: - at (?:key in )?`\$(?P<place>[^`]*)`)?$", re.DOTALL)


def read_declared_file(path: Path) -> DeclaredServer:
    """Read a declaration; raises DeclarationError."""
    try:
        text = read_bounded(path, _LARGEST_FILE).decode()
    except (OSError, FileTooLarge, UnicodeDecodeError) as error:
        raise DeclarationError(f"{path} cannot be read: {error}") from error
    try:
        return read_declared(read_yaml(text))
    except (DeclarationError, YamlError, ValueError) as error:
        raise DeclarationError(f"{path}: {error}") from error


def read_declared(value: Any) -> DeclaredServer:
    """Read a declaration from values as JSON has them; raises DeclarationError."""
    try:
        declared = msgspec.convert(value, DeclaredServer)
    except (msgspec.ValidationError, RecursionError) as error:
        raise DeclarationError(_told(str(error))) from error
    check_declared(declared)
    return declared


def _told(message: str) -> str:
    found = _TOLD.match(message)
    if found is None or not found["place"]:
        return message
    hint = "; write it in quotes" if message.startswith("Expected `str`, got `") else ""
    return f"{found['place'].lstrip('.')}: {found['what']}{hint}"


def check_declared(declared: DeclaredServer) -> None:
    """Check that the parts fit together; raises DeclarationError."""
    instance = declared.owner.split(":")[0]
    _check_unique("tokens", (token.id for token in declared.tokens))
    for token in declared.tokens:
        _check_token(token)
    _check_unique("clients", (client.id for client in declared.clients))
    for client in declared.clients:
        if client.id.split(":")[0] != instance:
            raise DeclarationError(f"clients: {client.id} is of another instance than the owner")
        _check_client(client)


def _check_token(token: DeclaredToken) -> None:
    place = f"tokens: {token.id}"
    keys = token.keys or ()
    _check_unique(f"{place}: keys", (key.label for key in keys if key.label is not None))
    for key in keys:
        if key.usage == AUTHENTICATION and token.id != SOFTWARE_TOKEN:
            raise DeclarationError(f"{place}: an authentication key is on the software token")
        if key.usage == AUTHENTICATION and key.member is not None:
            raise DeclarationError(f"{place}: an authentication key is the owner's")


def _check_client(client: DeclaredClient) -> None:
    place = f"clients: {client.id}"
    if client.id.count(":") == 2 and (client.services or client.groups or client.name):
        raise DeclarationError(f"{place}: a member has no services, groups or name, subsystems do")
    _check_unique(f"{place}: groups", (group.code for group in client.groups))
    _check_unique(f"{place}: services", (_name_of(service) for service in client.services))
    groups = {group.code for group in client.groups}
    for service in client.services:
        where = f"{place}: services: {_name_of(service)}"
        for subject in _subjects(service):
            if ":" not in subject and subject not in groups:
                raise DeclarationError(f"{where}: there is no local group {subject} here")
        if isinstance(service, RestService | OpenApiService):
            endpoints = (f"{each.method} {each.path}" for each in service.endpoints)
            _check_unique(f"{where}: endpoints", endpoints)
        else:
            _check_unique(f"{where}: services", (each.code for each in service.services))


def _name_of(service: Service) -> str:
    return service.code if isinstance(service, RestService | OpenApiService) else service.url


def _subjects(service: Service) -> Iterator[str]:
    yield from service.access
    parts = (
        service.endpoints if isinstance(service, RestService | OpenApiService) else service.services
    )
    for part in parts:
        yield from part.access


def _check_unique(place: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise DeclarationError(f"{place}: {name} stands here twice")
        seen.add(name)


def keys_of(declared: DeclaredServer, token: DeclaredToken) -> tuple[DeclaredKey, ...]:
    """The keys of a token, those that stand in the file by being left out among them."""
    if token.keys is not None or token.id != SOFTWARE_TOKEN:
        return token.keys or ()
    elsewhere = {
        key.member or declared.owner
        for other in declared.tokens
        for key in other.keys or ()
        if key.usage == SIGNING
    }
    members = dict.fromkeys((declared.owner, *(member_of(each.id) for each in declared.clients)))
    signing = (DeclaredKey(SIGNING, member=each) for each in members if each not in elsewhere)
    return (DeclaredKey(AUTHENTICATION), *signing)


def member_of(client: str) -> str:
    """The member of a member or subsystem."""
    return ":".join(client.split(":")[:3])
