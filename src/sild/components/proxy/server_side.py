"""The provider's side of an exchange: PR-MESSTRANSP 3.3, step by step, for REST.

1. Read the message; as soon as its header part is there, check that the provider is a client of
   this server, that it can sign, and that the other server speaks for the caller.
2. Check that the service exists, is REST, that the caller may call it, and that it is enabled.
3. Verify the signature.
4. Save the request, and only then call the service.
5. Sign the answer, save it, and then send the signature.

An early refusal reads no further: nothing of a body is kept for a caller who may not call.
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass

from sild.components.proxy.edges import fault_part, fault_response
from sild.components.proxy.exchange import Exchanges
from sild.components.proxy.outgoing import Outgoing
from sild.components.proxy.peer import verify_consumer
from sild.components.proxy.receive import SMALL_BODY, Incoming, Received, receive
from sild.components.proxy.record import Subject, check_loggable, make_record
from sild.components.proxy.service_call import ServiceAnswer, ServiceCaller
from sild.components.proxy.steps import Steps
from sild.components.proxy.verification import verify_message
from sild.components.proxy.view import SigningKey, View, check_enabled
from sild.model.access import Call
from sild.model.services import Service, ServiceType
from sild.protocol.errors import (
    InvalidContentType,
    InvalidHttpMethod,
    InvalidRest,
    MissingSoap,
    ProtocolError,
    WrongServiceType,
    inside,
)
from sild.protocol.rest.message import (
    RestRequest,
    build_rest_response,
    read_rest_request,
    request_hash,
)
from sild.protocol.transport import headers as names
from sild.protocol.transport.events import End
from sild.protocol.transport.grammar import Direction
from sild.protocol.transport.writer import (
    BOUNDARY_ENTROPY,
    TransportWriter,
    make_boundary,
    write_content_type,
)
from sild.runtime.http_server import HttpServerError, Request, Response

_BODILESS = frozenset({204, 304})


@dataclass(frozen=True, slots=True)
class _Accepted:
    """A request whose caller may call."""

    view: View
    rest: RestRequest
    service: Service
    key: SigningKey


class ServerSide:
    """Answers other security servers."""

    def __init__(self, exchanges: Exchanges, services: ServiceCaller) -> None:
        self._exchanges = exchanges
        self._services = services

    async def handle(self, request: Request) -> Response:
        """Answer a transport message with a signed one, or a fault; HTTP status 200 for both."""
        steps = self._exchanges.steps.steps("provider")
        received = Received()
        try:
            response = await self._exchange(request, received, steps)
        except HttpServerError:
            # Nobody waits for an answer, or the request cannot be told from the next.
            received.close()
            steps.close("request broken off")
            raise
        except Exception as error:  # noqa: BLE001 - the edge: every error becomes a fault
            received.close()
            log_id = steps.request_id or self._exchanges.clock.uuid()
            response = fault_response(error, log_id)
            steps.close(_code(error))
        except BaseException:
            received.close()
            raise
        return response

    async def _exchange(self, request: Request, received: Received, steps: Steps) -> Response:
        view = self._exchanges.views.current
        incoming = _incoming(request, self._exchanges.settings.server_min_supported_client_version)
        accepted: list[_Accepted] = []

        def on_header(partial: Received) -> None:
            accepted.append(self._admit(partial, request, view, steps))

        await receive(incoming, self._exchanges.spool, received, on_header)
        received.rest_header  # noqa: B018 - raises MissingRest where there is none
        await self._accept(accepted[0], received, request, steps)
        return await self._answer(accepted[0], received, steps)

    def _admit(self, received: Received, request: Request, view: View, steps: Steps) -> _Accepted:
        """Steps 1 and 2, which need no more than the OCSP and header parts."""
        with inside("service_failed"):
            rest = read_rest_request(received.rest_header.part)
            steps.request_id = rest.request_id or ""
            steps.mark("received", f"{rest.verb} {rest.service} for {rest.client}")
            view.get_client(rest.service.provider)
            key = view.get_signing_key(rest.service.provider)
            now = self._exchanges.clock.now()
            chain = request.peer.chain
            authenticated = verify_consumer(chain, received.ocsp, rest.client, view, now)
        steps.mark("peer authenticated", authenticated.peer.server)
        service = view.get_service(rest.service)
        if service.type is ServiceType.WSDL:
            message = f"{service.id} is a SOAP service; it cannot be called by REST"
            raise WrongServiceType(message)
        view.check_access(rest.client, Call(service.id, rest.verb.value, rest.service_path))
        check_enabled(service)
        steps.mark("access granted")
        return _Accepted(view, rest, service, key)

    async def _accept(
        self, accepted: _Accepted, received: Received, request: Request, steps: Steps
    ) -> None:
        """Steps 3 and 4, up to the call."""
        parts, rest, now = received.signed_parts, accepted.rest, self._exchanges.clock.now()
        verified = verify_message(parts, rest.client, accepted.view, now)
        steps.mark("verified", str(verified.proof.member))
        # Peers take the id of the HTTP head into their signed answer, so it must be the signed one.
        if (request.header(names.REQUEST_ID) or b"").decode("latin-1") != rest.request_id:
            message = "the x-road-request-id of the HTTP request is not the one that was signed"
            raise InvalidRest(message)
        check_loggable(received.body_size, self._exchanges.log)
        subject = Subject(
            rest.message_id, rest.request_id or "", rest.service.provider, is_response=False
        )
        record = make_record(subject, rest.part, parts, now)
        await self._exchanges.log.save(record, received.body)
        steps.mark("saved", "request")

    async def _answer(self, accepted: _Accepted, received: Received, steps: Steps) -> Response:
        """The call, and step 5."""
        rest = accepted.rest
        hashed = request_hash(received.rest_header.digest, received.body_digest)
        address = accepted.view.get_address(accepted.service)
        answer = await self._services.call(rest, accepted.service, address, received.body)
        try:
            steps.mark("service called", f"HTTP {answer.status}")
            response = build_rest_response(
                rest, answer.status, answer.reason, answer.headers, hashed
            )
            subject = Subject(
                rest.message_id, rest.request_id or "", rest.service.provider, is_response=True
            )
            outgoing = Outgoing(subject, (), response.part, accepted.key)
            boundary = make_boundary(self._exchanges.clock.random_bytes(BOUNDARY_ENTROPY))
            writer = TransportWriter(Direction.RESPONSE, boundary)
            headers = names.write_response_headers(write_content_type(boundary))
            if rest.verb.value == "HEAD" or answer.status in _BODILESS:
                body: bytes | None = await self._exchanges.sender.whole(
                    outgoing, None, writer, steps
                )
            elif (small := await answer.body.gather(SMALL_BODY)) is not None:
                body = await self._exchanges.sender.whole(outgoing, small, writer, steps)
            else:
                pieces = self._exchanges.sender.streamed(outgoing, answer.body, writer, steps)
                stream = _Answer(self, pieces, answer, received, writer, steps)
                return Response(200, b"OK", headers, stream)
        except BaseException:
            await answer.close()
            raise
        await answer.close()
        received.close()
        steps.close("ok")
        return Response(200, b"OK", headers, body or b"")

    def fault_part(self, error: Exception, writer: TransportWriter, steps: Steps) -> bytes:
        """An error as the last part of an answer that has begun."""
        log_id = steps.request_id or self._exchanges.clock.uuid()
        steps.close(_code(error))
        return writer.write(fault_part(error, log_id)) + writer.write(End())


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
            await self.aclose()
            self._steps.close("ok")
            raise
        except Exception as error:  # noqa: BLE001 - the answer has begun: its end says what failed
            await self.aclose()
            return self._side.fault_part(error, self._writer, self._steps)

    async def aclose(self) -> None:
        """End the call to the service and let go of the request's body."""
        self._ended = True
        self._received.close()
        await self._pieces.aclose()
        await self._answer.close()


def _incoming(request: Request, minimum_version: str) -> Incoming:
    if request.method != b"POST":
        message = f"{request.method.decode('latin-1')} is not POST"
        raise InvalidHttpMethod(message)
    names.check_proxy_version(request.header(names.PROXY_VERSION), minimum_version or None)
    if request.header(names.MESSAGE_TYPE) != names.REST:
        message = "the request is no REST message, and no SOAP message is served by this version"
        raise MissingSoap(message)
    algorithm = names.read_hash_algorithm(request.header(names.HASH_ALGORITHM))
    content_type = request.header(b"content-type")
    if content_type is None:
        message = "the request has no content type"
        raise InvalidContentType(message)
    return Incoming(Direction.REQUEST, content_type.decode("latin-1"), algorithm, request.body)


def _code(error: Exception) -> str:
    return error.staged_code if isinstance(error, ProtocolError) else "internal_error"
