"""Ports at which a server answers ASGI applications: opened as one, closed as one."""

import asyncio
import errno
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from sild.runtime.asgi import AsgiApp, asgi_handler
from sild.runtime.clock import Clock
from sild.runtime.http_server import Admission, Endpoint, HttpServer, Limits, serve
from sild.runtime.tls import (
    AnyCertificate,
    SwappableContext,
    TlsIdentity,
    TlsPolicy,
    server_context,
)

_CONNECTIONS = 2000
API_CONNECTIONS = 500
"""How many a management API answers at once."""


class CannotListen(Exception):
    """A port is taken or forbidden, or the address is not this machine's."""

    @classmethod
    def at(cls, host: str, port: int, error: OSError) -> Self:
        """Say what stands against listening at a port, and what helps."""
        message = f"cannot listen on {host} port {port}: {error.strerror}"
        if error.errno == errno.EACCES:
            message += "; ports below 1024 take CAP_NET_BIND_SERVICE, or set others in [listeners]"
        return cls(message)


@dataclass(frozen=True, slots=True)
class Door:
    """One port: what answers there, over what; port 0 is none."""

    port: int
    app: AsgiApp
    tls: SwappableContext | None = None
    connections: int = _CONNECTIONS


class Doors:
    """The ports of one server on one address."""

    def __init__(self, host: str, clock: Clock) -> None:
        self._host = host
        self._clock = clock
        self._servers: list[HttpServer] = []

    async def open(self, doors: Iterable[Door]) -> None:
        """Listen at each; raises CannotListen."""
        for door in doors:
            if door.port:
                await self._listen(door)

    async def _listen(self, door: Door) -> None:
        scheme = "http" if door.tls is None else "https"
        limits = Limits(connections=door.connections, admission=Admission())
        endpoint = Endpoint(self._host, door.port, door.tls)
        try:
            server = await serve(asgi_handler(door.app, scheme), endpoint, limits, self._clock)
        except OSError as error:
            raise CannotListen.at(self._host, door.port, error) from error
        self._servers.append(server)

    async def close(self, grace: float) -> None:
        """Stop listening; running requests end within the grace, in seconds."""
        async with asyncio.TaskGroup() as tasks:
            for server in self._servers:
                tasks.create_task(server.close(grace))


def door_context(identity: TlsIdentity) -> ssl.SSLContext:
    """How a door shows itself: who asks is authenticated by what is inside.

    A certificate is told of where one is shown.
    """
    return server_context(TlsPolicy(), identity, AnyCertificate.WANTED)
