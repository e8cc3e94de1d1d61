"""The consumer's side of an exchange: PR-MESSTRANSP 3.2, step by step, for REST.

1. Read who calls what, and check that this connection may speak for the caller.
2. Find the provider's security servers and connect to one that proves who it is.
3. Sign the request, save it, and then send the signature.
4. Receive the response and verify its signature.
5. Check that it answers this request.
6. Save it, and only then give it to the caller.
"""

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass

from sild.components.proxy.callers import check_caller
from sild.components.proxy.edges import rest_error_response
from sild.components.proxy.exchange import Exchanges, SpoolStream
from sild.components.proxy.outgoing import Outgoing
from sild.components.proxy.peers import Peers, http_problems
from sild.components.proxy.receive import SMALL_BODY, Incoming, Received, receive
from sild.components.proxy.record import Subject, check_loggable, make_record
from sild.components.proxy.routing import Routing
from sild.components.proxy.steps import Steps
from sild.components.proxy.verification import verify_message
from sild.components.proxy.view import View
from sild.protocol.algorithms import DigestAlgorithm
from sild.protocol.errors import HttpError, InvalidContentType, InvalidMessage, inside
from sild.protocol.rest.message import (
    RestRequest,
    RestResponse,
    build_rest_request,
    check_response_belongs,
    read_rest_response,
    request_hash,
)
from sild.protocol.transport import headers as names
from sild.protocol.transport.grammar import Direction
from sild.protocol.transport.writer import (
    BOUNDARY_ENTROPY,
    TransportWriter,
    make_boundary,
    write_content_type,
)
from sild.runtime.files import SpooledBytes
from sild.runtime.http_client import ClientResponse, Connection, RequestHead
from sild.runtime.http_server import HttpServerError, Request, Response

_ANSWERED = frozenset({200, 500})
_BODILESS = frozenset({204, 304})
_DIGEST = DigestAlgorithm.SHA512


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request that was read and whose caller was checked."""

    view: View
    rest: RestRequest
    subject: Subject
    steps: Steps


class _RequestBody:
    """The request's body on its way out, with what its hash needs to know in the end."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._digest = _DIGEST.new()
        self.size = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._request.body:
            self._digest.update(chunk)
            self.size += len(chunk)
            yield chunk

    @property
    def digest(self) -> bytes | None:
        """The digest of the body; a body of no bytes is no body."""
        return self._digest.digest() if self.size else None


class ClientSide:
    """Answers information systems."""

    def __init__(
        self, exchanges: Exchanges, peers: Peers, routing: Routing, own_certificate: bytes | None
    ) -> None:
        self._exchanges = exchanges
        self._peers = peers
        self._routing = routing
        self._own_certificate = own_certificate

    async def handle(self, request: Request) -> Response:
        """Carry a REST request to its provider, and the answer back."""
        exchanges = self._exchanges
        steps = exchanges.steps.steps("consumer")
        try:
            response = await self._exchange(request, steps)
        except HttpServerError:
            # Nobody waits for an answer, or the request cannot be told from the next.
            steps.close("request broken off")
            raise
        except Exception as error:  # noqa: BLE001 - the edge: every error becomes an answer
            accept = request.header(b"accept")
            text = accept.decode("latin-1") if accept else None
            log_id = steps.request_id or exchanges.clock.uuid()
            return rest_error_response(error, text, log_id, steps.close)
        steps.close("ok")
        return response

    async def _exchange(self, request: Request, steps: Steps) -> Response:
        asked = self._ask(request, steps)
        rest, view = asked.rest, asked.view
        route = self._routing.route(view.conf, rest.service.provider, rest.security_server)
        key = view.get_signing_key(rest.client)
        outgoing = Outgoing(asked.subject, view.own_ocsp, rest.part, key)
        received = Received()
        try:
            with http_problems("the provider's security server"):
                async with await self._peers.connect(route, view) as connection:
                    steps.mark("connected", connection.target.host)
                    body_digest = await self._send(connection, outgoing, request, received, steps)
            _check_saved(outgoing)
            steps.mark("received")
            expected = request_hash(_DIGEST.digest(rest.part), body_digest)
            response = await self._accept(asked, received, expected)
            return _answer(request, response, received)
        except BaseException:
            received.close()
            raise

    async def _send(
        self,
        connection: Connection,
        outgoing: Outgoing,
        request: Request,
        received: Received,
        steps: Steps,
    ) -> bytes | None:
        """Send the request, receive the answer; gives the digest of the body, if there was one."""
        sender = self._exchanges.sender
        writer, head = self._opening(outgoing.subject.request_id, request)
        small = await request.body.gather(SMALL_BODY)
        if small is None:
            stream = _RequestBody(request)
            pieces = sender.streamed(outgoing, stream, writer, steps)
            async with aclosing(pieces), connection.exchange(head, pieces) as answer:
                await self._receive(answer, received)
            return stream.digest
        body = await sender.whole(outgoing, small or None, writer, steps)
        async with connection.exchange(head, body) as answer:
            steps.mark("answered")
            await self._receive(answer, received)
        return _DIGEST.digest(small) if small else None

    def _ask(self, request: Request, steps: Steps) -> _Asked:
        exchanges = self._exchanges
        view = exchanges.views.current
        view.check_authentication()
        request_id = exchanges.clock.uuid()
        steps.request_id = request_id
        rest = build_rest_request(
            request.method,
            request.target,
            request.headers,
            request_id,
            view.conf.instance,
            exchanges.clock.uuid,
        )
        client = view.get_client(rest.client)
        if exchanges.settings.verify_client_cert:
            check_caller(client, request.peer, self._own_certificate)
        steps.mark("accepted", f"{rest.verb} {rest.service} for {rest.client}")
        subject = Subject(rest.message_id, request_id, rest.client, is_response=False)
        return _Asked(view, rest, subject, steps)

    async def _receive(self, answer: ClientResponse, received: Received) -> None:
        if answer.status not in _ANSWERED:
            message = f"the provider's security server answered with HTTP status {answer.status}"
            raise HttpError(message)
        content_type = answer.header(b"content-type")
        if content_type is None:
            message = "the provider's security server answered without a content type"
            raise InvalidContentType(message)
        name = answer.header(names.HASH_ALGORITHM)
        # Only an answer that is nothing but a fault does without.
        is_fault = name is None and not content_type.startswith(b"multipart/")
        algorithm = None if is_fault else names.read_hash_algorithm(name)
        incoming = Incoming(
            Direction.RESPONSE, content_type.decode("latin-1"), algorithm, answer.body
        )
        await receive(incoming, self._exchanges.spool, received, lambda _: None)
        if received.fault is not None:
            raise received.fault.fault

    def _opening(self, request_id: str, request: Request) -> tuple[TransportWriter, RequestHead]:
        boundary = make_boundary(self._exchanges.clock.random_bytes(BOUNDARY_ENTROPY))
        headers = names.write_rest_request_headers(
            write_content_type(boundary), request_id, request.header(b"content-type") or b""
        )
        return TransportWriter(Direction.REQUEST, boundary), RequestHead(b"POST", b"/", headers)

    async def _accept(self, asked: _Asked, received: Received, expected: str) -> RestResponse:
        exchanges, steps = self._exchanges, asked.steps
        parts = received.signed_parts
        with inside("service_failed"):
            response = read_rest_response(received.rest_header.part)
        now = exchanges.clock.now()
        verified = verify_message(parts, asked.rest.service.provider, asked.view, now)
        steps.mark("verified", str(verified.proof.member))
        check_response_belongs(asked.rest, response, expected)
        check_loggable(received.body_size, exchanges.log)
        subject = Subject(
            asked.subject.query_id, asked.subject.request_id, asked.rest.client, is_response=True
        )
        record = make_record(subject, response.part, parts, now)
        await exchanges.log.save(record, received.body)
        steps.mark("saved", "response")
        return response


def _check_saved(outgoing: Outgoing) -> None:
    """Return if the request was signed and saved; its end is not sent when an answer comes."""
    if not outgoing.is_saved:
        with inside("service_failed"):
            message = "the provider's security server answered before the request was signed"
            raise InvalidMessage(message)


def _answer(request: Request, response: RestResponse, received: Received) -> Response:
    headers = list(response.headers)
    reason = response.reason.encode("latin-1", "replace")
    body = received.body
    if request.method == b"HEAD" or response.status in _BODILESS:
        received.close()
        return Response(response.status, reason, headers)
    if isinstance(body, SpooledBytes):
        return Response(response.status, reason, headers, SpoolStream(body), length=body.size)
    return Response(response.status, reason, headers, body or b"")
