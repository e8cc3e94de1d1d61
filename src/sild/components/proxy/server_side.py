"""The provider's side of an exchange: PR-MESSTRANSP 3.3, step by step.

1. Read the message; as soon as its first part is there, check that the provider is a client of
   this server, that it can sign, and that the other server speaks for the caller.
2. Check that the service exists, speaks this protocol, that the caller may call it, and that it is
   enabled.
3. Verify the signature.
4. Save the request, and only then call the service.
5. Sign the answer, save it, and then send the signature.

An early refusal reads no further: nothing of a body is kept for a caller who may not call. REST and
SOAP differ in how a request is read and a service called: `server_rest` and `server_soap` know it.
"""

import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass

from sild.components.proxy.content import bytes_of
from sild.components.proxy.demand import Demand
from sild.components.proxy.edges import fault_part, fault_response
from sild.components.proxy.exchange import Exchanges
from sild.components.proxy.outgoing import Outgoing
from sild.components.proxy.peer import verify_consumer
from sild.components.proxy.receive import Incoming, Received, receive
from sild.components.proxy.record import Subject, check_loggable, make_record
from sild.components.proxy.server_rest import read_rest_demand
from sild.components.proxy.server_soap import check_original_action, read_soap_demand
from sild.components.proxy.service_call import ServiceAnswer, ServiceCaller
from sild.components.proxy.steps import Steps
from sild.components.proxy.verification import verify_message
from sild.components.proxy.view import SigningKey, View, check_enabled
from sild.model.services import Service
from sild.protocol.errors import (
    InvalidContentType,
    InvalidHttpMethod,
    PeerFault,
    ProtocolError,
    inside,
)
from sild.protocol.transport import headers as names
from sild.protocol.transport.events import End, FaultPart
from sild.protocol.transport.grammar import Direction
from sild.protocol.transport.writer import (
    BOUNDARY_ENTROPY,
    TransportWriter,
    make_boundary,
    write_content_type,
)
from sild.runtime.http_server import HttpServerError, Request, Response

_log = logging.getLogger("sild.proxy")


@dataclass(frozen=True, slots=True)
class _Accepted:
    """A request whose caller may call."""

    view: View
    demand: Demand
    service: Service
    key: SigningKey


class ServerSide:
    """Answers other security servers."""

    def __init__(
        self,
        exchanges: Exchanges,
        services: ServiceCaller,
        meet: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._exchanges = exchanges
        self._services = services
        self._meet = meet

    async def handle(self, request: Request) -> Response:
        """Answer a transport message with a signed one, or a fault; HTTP status 200 for both."""
        received = Received(request.header(names.MESSAGE_TYPE) != names.REST)
        steps = self._exchanges.steps.steps("provider", "soap" if received.is_soap else "rest")
        try:
            response = await self._exchange(request, received, steps)
        except HttpServerError:
            # Nobody waits for an answer, or the request cannot be told from the next.
            received.close()
            steps.close("request broken off")
            raise
        except PeerFault as fault:
            received.close()
            response = self._pass_on(fault, steps)
        except Exception as error:  # noqa: BLE001 - the edge: every error becomes a fault
            received.close()
            log_id = steps.request_id or self._exchanges.clock.uuid()
            response = fault_response(error, steps, log_id)
            steps.close(_code(error))
        except BaseException:
            received.close()
            raise
        return response

    async def _exchange(self, request: Request, received: Received, steps: Steps) -> Response:
        view = self._exchanges.views.current
        incoming = _incoming(request, self._exchanges.settings.server_min_supported_client_version)
        accepted: list[_Accepted] = []

        async def on_head(partial: Received) -> None:
            accepted.append(await self._admit(partial, request, view, steps))

        await receive(incoming, self._exchanges.spool, received, on_head)
        received.signed_parts  # noqa: B018 - raises where the first part is not there
        await self._accept(accepted[0], received, request, steps)
        return await self._answer(accepted[0], received, steps)

    async def _admit(
        self, received: Received, request: Request, view: View, steps: Steps
    ) -> _Accepted:
        """Steps 1 and 2, which need no more than the OCSP parts and the first part."""
        with inside("service_failed"):
            demand: Demand = (
                await read_soap_demand(received, request)
                if received.is_soap
                else read_rest_demand(received)
            )
            steps.request_id = demand.request_id
            steps.title = demand.title
            steps.mark("received", demand.title)
            demand.check_server(view.snapshot.server)
            provider = demand.service.provider
            view.get_client(provider)
            key = view.get_signing_key(provider)
            now = self._exchanges.clock.now()
            chain = request.peer.chain
            authenticated = verify_consumer(chain, received.ocsp, demand.client, view, now)
        self._meet(request.peer.address[0])
        steps.mark("peer authenticated", authenticated.peer.server)
        service = view.get_service(demand.service)
        demand.check_service(service)
        view.check_access(demand.client, demand.call)
        check_enabled(service)
        steps.mark("access granted")
        return _Accepted(view, demand, service, key)

    async def _accept(
        self, accepted: _Accepted, received: Received, request: Request, steps: Steps
    ) -> None:
        """Steps 3 and 4, up to the call."""
        parts, demand, now = received.signed_parts, accepted.demand, self._exchanges.clock.now()
        verified = verify_message(parts, demand.client, accepted.view, now)
        steps.mark("verified", str(verified.proof.member))
        demand.check_request(request)
        check_loggable(received.logged_size, self._exchanges.log)
        record = make_record(_subject(demand, is_response=False), bytes_of(demand.head), parts, now)
        await self._exchanges.log.save(record, received.logged_body)
        steps.mark("saved", "request")

    async def _answer(self, accepted: _Accepted, received: Received, steps: Steps) -> Response:
        """The call, and step 5."""
        demand = accepted.demand
        address = accepted.view.get_address(accepted.service)
        reply = await demand.ask(self._services, accepted.service, address, received)
        try:
            steps.mark("service called", f"HTTP {reply.answer.status}")
            outgoing = Outgoing(_subject(demand, is_response=True), (), reply.head, accepted.key)
            writer, headers = self._opening(reply.original_type)
            content = reply.content
            if not isinstance(content, Sequence):
                pieces = self._exchanges.sender.streamed(outgoing, content, writer, steps)
                stream = _Answer(self, pieces, reply.answer, received, writer, steps)
                return Response(200, b"OK", headers, stream)
            body = await self._exchanges.sender.whole(outgoing, content, writer, steps)
        except BaseException:
            await reply.answer.close()
            raise
        await reply.answer.close()
        received.close()
        steps.close("ok")
        return Response(200, b"OK", headers, body)

    def _opening(self, original_type: bytes | None) -> tuple[TransportWriter, list[names.Field]]:
        boundary = make_boundary(self._exchanges.clock.random_bytes(BOUNDARY_ENTROPY))
        content_type = write_content_type(boundary)
        headers = (
            names.write_response_headers(content_type)
            if original_type is None
            else names.write_soap_response_headers(content_type, original_type)
        )
        return TransportWriter(Direction.RESPONSE, boundary), headers

    def _pass_on(self, fault: PeerFault, steps: Steps) -> Response:
        """The fault of a SOAP service, as it came; it is no message and has no signature."""
        told = "the service answered with the fault %.200s: %.1000s [%s]"
        of_request = {"request": steps.request_id}
        _log.info(told, fault.fault, fault.message, steps.request_id, extra=of_request)
        writer, headers = self._opening(b"text/xml")
        body = writer.write(FaultPart(fault, fault.raw)) + writer.write(End())
        steps.close(f"fault of the service: {fault.fault:.200}")
        return Response(200, b"OK", headers, body)

    def fault_part(self, error: Exception, writer: TransportWriter, steps: Steps) -> bytes:
        """An error as the last part of an answer that has begun."""
        log_id = steps.request_id or self._exchanges.clock.uuid()
        steps.close(_code(error))
        return writer.write(fault_part(error, steps, log_id)) + writer.write(End())


class _Answer:
    """An answer on its way out; it ends the call and lets go of the request whatever happens."""

    def __init__(
        self,
        side: ServerSide,
        pieces: AsyncGenerator[bytes, None],
        answer: ServiceAnswer,
        received: Received,
        writer: TransportWriter,
        steps: Steps,
    ) -> None:
        self._side = side
        self._pieces = pieces
        self._answer = answer
        self._received = received
        self._writer = writer
        self._steps = steps
        self._ended = False

    def __aiter__(self) -> "_Answer":
        return self

    async def __anext__(self) -> bytes:
        if self._ended:
            raise StopAsyncIteration
        try:
            return await self._pieces.__anext__()
        except StopAsyncIteration:
            self._steps.close("ok")
            await self.aclose()
            raise
        except Exception as error:  # noqa: BLE001 - the answer has begun: its end says what failed
            part = self._side.fault_part(error, self._writer, self._steps)
            await self.aclose()
            return part

    async def aclose(self) -> None:
        """End the call to the service and let go of the request's body."""
        self._ended = True
        self._steps.close("answer broken off")
        self._received.close()
        await self._pieces.aclose()
        await self._answer.close()


def _subject(demand: Demand, *, is_response: bool) -> Subject:
    owner = demand.service.provider
    return Subject(demand.query_id, demand.request_id, owner, is_response=is_response)


def _incoming(request: Request, minimum_version: str) -> Incoming:
    if request.method != b"POST":
        message = f"{request.method.decode('latin-1')} is not POST"
        raise InvalidHttpMethod(message)
    names.check_proxy_version(request.header(names.PROXY_VERSION), minimum_version or None)
    check_original_action(request)
    algorithm = names.read_hash_algorithm(request.header(names.HASH_ALGORITHM))
    content_type = request.header(b"content-type")
    if content_type is None:
        message = "the request has no content type"
        raise InvalidContentType(message)
    return Incoming(Direction.REQUEST, content_type.decode("latin-1"), algorithm, request.body)


def _code(error: Exception) -> str:
    return error.staged_code if isinstance(error, ProtocolError) else "internal_error"
