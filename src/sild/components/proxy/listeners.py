"""The listeners: information systems, other security servers, and their OCSP requests."""

import asyncio
from dataclasses import dataclass

from sild.components.proxy.acquaintances import Acquaintances
from sild.components.proxy.client_side import ClientSide
from sild.components.proxy.documents import DocumentRequests
from sild.components.proxy.exchange import Exchanges
from sild.components.proxy.limits import client_listener_limits, server_listener_limits
from sild.components.proxy.server_side import ServerSide
from sild.components.proxy.settings import AntiDosSettings
from sild.protocol.errors import ProtocolError
from sild.protocol.transport.ocsp_exchange import read_ocsp_target, write_ocsp_answer
from sild.protocol.transport.writer import BOUNDARY_ENTROPY, make_boundary
from sild.runtime.http_server import (
    Endpoint,
    Handler,
    HttpServer,
    Limits,
    Request,
    Response,
    serve,
)
from sild.runtime.tls import SwappableContext


@dataclass(frozen=True, slots=True)
class Sides:
    """Both sides of the proxy."""

    client: ClientSide
    server: ServerSide
    documents: DocumentRequests | None = None
    """Signed documents, where messages are logged."""


class CannotListen(Exception):
    """A port is taken, or the address is not this machine's."""


class Listeners:
    """Listens on every port of the proxy."""

    def __init__(
        self,
        exchanges: Exchanges,
        sides: Sides,
        internal: SwappableContext,
        anti_dos: AntiDosSettings | None = None,
        acquaintances: Acquaintances | None = None,
    ) -> None:
        self._exchanges = exchanges
        self._sides = sides
        self._internal = internal
        door = anti_dos or AntiDosSettings()
        is_known = None if acquaintances is None else acquaintances.knows
        self._for_clients = client_listener_limits(exchanges.settings, door)
        self._for_servers = server_listener_limits(exchanges.settings, door, is_known)
        self._servers: list[HttpServer] = []

    async def start_internal(self, *, share_ports: bool) -> None:
        """Listen to information systems; several workers share the ports."""
        settings = self._exchanges.settings
        for port, tls in (
            (settings.client_http_port, None),
            (settings.client_https_port, self._internal),
        ):
            if tls is None and not settings.serve_plain_http:
                continue
            endpoint = Endpoint(settings.connector_host, port, tls, reuse_port=share_ports)
            await self._listen(self._from_client, endpoint, self._for_clients)

    async def start_external(self, context: SwappableContext, *, share_ports: bool) -> None:
        """Listen to other security servers, once there is a certificate to show them."""
        settings = self._exchanges.settings
        for port, tls, handler in (
            (settings.ocsp_responder_port, None, self.ocsp),
            (settings.server_port, context, self._sides.server.handle),
        ):
            endpoint = Endpoint(settings.listen_address, port, tls, reuse_port=share_ports)
            await self._listen(handler, endpoint, self._for_servers)

    async def _listen(self, handler: Handler, endpoint: Endpoint, limits: Limits) -> None:
        try:
            server = await serve(handler, endpoint, limits, self._exchanges.clock)
        except OSError as error:
            where = f"{endpoint.host} port {endpoint.port}"
            raise CannotListen(f"cannot listen on {where}: {error.strerror}") from error
        self._servers.append(server)

    @property
    def connection_count(self) -> int:
        """How many connections are open on all ports."""
        return sum(server.connection_count for server in self._servers)

    async def close(self, grace_seconds: float) -> None:
        """Stop listening, and let running messages end within the grace."""
        async with asyncio.TaskGroup() as tasks:
            for server in self._servers:
                tasks.create_task(server.close(grace_seconds))

    async def _from_client(self, request: Request) -> Response:
        """Answer an information system: a signed document, or a message."""
        documents = self._sides.documents
        if documents is not None and documents.finds(request):
            return await documents.handle(request)
        return await self._sides.client.handle(request)

    async def ocsp(self, request: Request) -> Response:
        """Give the OCSP responses of own certificates (GET), or a sign of life (HEAD)."""
        if request.method == b"HEAD":
            return Response(200, b"OK")
        if request.method != b"GET":
            return Response(405, b"Method Not Allowed", [(b"Allow", b"GET, HEAD")])
        try:
            known = self._exchanges.views.current.ocsp_by_hash
            wanted = read_ocsp_target(request.target)
            responses = [known[each.digest] for each in wanted]
        except ProtocolError as error:
            return _text(500, error.message)
        except KeyError:
            return _text(500, "there is no OCSP response for a certificate that was asked for")
        boundary = make_boundary(self._exchanges.clock.random_bytes(BOUNDARY_ENTROPY))
        content_type, body = write_ocsp_answer(responses, boundary)
        return Response(200, b"OK", [(b"Content-Type", content_type.encode("ascii"))], body)


def _text(status: int, text: str) -> Response:
    headers = [(b"Content-Type", b"text/plain; charset=UTF-8")]
    return Response(status, b"Internal Server Error", headers, text.encode())
