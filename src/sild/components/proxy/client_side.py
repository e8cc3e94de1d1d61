"""The consumer's side of an exchange: PR-MESSTRANSP 3.2, step by step.

1. Read who calls what, and check that this connection may speak for the caller.
2. Find the provider's security servers and connect to one that proves who it is.
3. Sign the request, save it, and then send the signature.
4. Receive the response and verify its signature.
5. Check that it answers this request.
6. Save it, and only then give it to the caller.

REST and SOAP differ in how a request is read, an answer judged and an error told: `client_rest`,
`client_soap` and `edges` know these.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from sild.components.proxy.callers import Callers, OwnCertificate, log_certificate
from sild.components.proxy.client_rest import ask_by_rest
from sild.components.proxy.client_soap import ask_by_soap
from sild.components.proxy.content import bytes_of
from sild.components.proxy.edges import Refusal, refuse_by_rest, refuse_by_soap
from sild.components.proxy.exchange import Exchanges
from sild.components.proxy.outgoing import Outgoing
from sild.components.proxy.peers import PeerConnection, Peers, http_problems
from sild.components.proxy.question import Asking, Question
from sild.components.proxy.receive import Incoming, Received, receive
from sild.components.proxy.record import Subject, check_loggable, make_record
from sild.components.proxy.routing import Routing
from sild.components.proxy.steps import Steps
from sild.components.proxy.verification import verify_message
from sild.components.proxy.view import View
from sild.protocol.errors import HttpError, InvalidContentType, InvalidMessage, inside
from sild.protocol.transport import headers as names
from sild.protocol.transport.grammar import Direction
from sild.protocol.transport.writer import (
    BOUNDARY_ENTROPY,
    TransportWriter,
    make_boundary,
    write_content_type,
)
from sild.runtime.http_client import ClientResponse, HttpClientError, RequestHead
from sild.runtime.http_server import HttpServerError, Request, Response

_ANSWERED = frozenset({200, 500})


@dataclass(frozen=True, slots=True)
class _Interface:
    """How one message protocol reads requests and tells errors."""

    protocol: str
    ask: Callable[[Asking], Awaitable[Question]]
    refuse: Callable[[Refusal], Response]


_REST = _Interface("rest", ask_by_rest, refuse_by_rest)
_SOAP = _Interface("soap", ask_by_soap, refuse_by_soap)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request that was read and whose caller was checked."""

    view: View
    question: Question
    subject: Subject
    steps: Steps


class ClientSide:
    """Answers information systems."""

    def __init__(
        self,
        exchanges: Exchanges,
        peers: Peers,
        routing: Routing,
        own_certificate: OwnCertificate | None,
    ) -> None:
        self._exchanges = exchanges
        self._peers = peers
        self._routing = routing
        self._callers = Callers(exchanges.settings, exchanges.clock, own_certificate)

    async def handle(self, request: Request) -> Response:
        """Carry a request to its provider, and the answer back."""
        interface = _REST if request.target.startswith(b"/r1/") else _SOAP
        exchanges = self._exchanges
        steps = exchanges.steps.steps("consumer", interface.protocol)
        try:
            response = await self._exchange(request, interface, steps)
        except HttpServerError:
            # Nobody waits for an answer, or the request cannot be told from the next.
            steps.close("request broken off")
            raise
        except Exception as error:  # noqa: BLE001 - the edge: every error becomes an answer
            log_id = steps.request_id or exchanges.clock.uuid()
            return interface.refuse(Refusal(error, request, steps, log_id))
        steps.close("ok")
        return response

    async def _exchange(self, request: Request, interface: _Interface, steps: Steps) -> Response:
        asked = await self._ask(request, interface, steps)
        question, view = asked.question, asked.view
        route = self._routing.route(view.conf, question.service.provider, question.security_server)
        key = view.get_signing_key(question.client)
        outgoing = Outgoing(asked.subject, view.own_ocsp, question.head, key)
        received = Received(question.is_soap)
        try:
            with http_problems("the provider's security server"):
                async with await self._peers.connect(route, view) as connection:
                    steps.mark("connected", connection.target.host)
                    await self._send(connection, outgoing, question, received, steps)
            _check_saved(outgoing)
            steps.mark("received")
            await self._accept(asked, outgoing, received)
            return question.answer(received)
        except BaseException:
            received.close()
            raise

    async def _send(
        self,
        connection: PeerConnection,
        outgoing: Outgoing,
        question: Question,
        received: Received,
        steps: Steps,
    ) -> None:
        """Send the request, receive the answer."""
        sender = self._exchanges.sender
        writer, head = self._opening(question)
        content = question.content
        if not isinstance(content, Sequence):
            pieces = sender.streamed(outgoing, content, writer, steps)
            async with aclosing(pieces), connection.exchange(head, pieces) as answer:
                await self._receive(answer, question, received)
            return
        body = await sender.whole(outgoing, content, writer, steps)
        async with connection.exchange(head, body) as answer:
            steps.mark("answered")
            await self._receive(answer, question, received)

    async def _ask(self, request: Request, interface: _Interface, steps: Steps) -> _Asked:
        exchanges = self._exchanges
        before = exchanges.views.current
        before.check_authentication()
        request_id = exchanges.clock.uuid()
        steps.request_id = request_id
        question = await interface.ask(
            Asking(request, request_id, before.conf.instance, exchanges.clock)
        )
        # Reading may have taken long; what is decided from here on is decided by what holds now.
        steps.title = question.title
        view = exchanges.views.current
        client = self._callers.get_client(view, question.client, request.peer)
        if exchanges.settings.log_client_cert:
            log_certificate(client, request.peer)
        steps.mark("accepted", question.title)
        subject = Subject(question.query_id, request_id, question.client, is_response=False)
        return _Asked(view, question, subject, steps)

    async def _receive(
        self, answer: ClientResponse, question: Question, received: Received
    ) -> None:
        if answer.status not in _ANSWERED:
            message = f"the provider's security server answered with HTTP status {answer.status}"
            raise HttpError(message)
        content_type = answer.header(b"content-type")
        if content_type is None:
            message = "the provider's security server answered without a content type"
            raise InvalidContentType(message)
        name = answer.header(names.HASH_ALGORITHM)
        # A fault does without, and so does a SOAP message of which nothing but the head is signed.
        may_lack = question.is_soap or not content_type.startswith(b"multipart/")
        algorithm = None if name is None and may_lack else names.read_hash_algorithm(name)
        incoming = Incoming(
            Direction.RESPONSE, content_type.decode("latin-1"), algorithm, answer.body
        )
        original = answer.header(names.ORIGINAL_CONTENT_TYPE)
        original_type = None if original is None else original.decode("latin-1")

        async def on_head(partial: Received) -> None:
            await question.take_head(partial, original_type)

        try:
            await receive(incoming, self._exchanges.spool, received, on_head)
        except HttpClientError:
            # To peers, an answer that breaks off is one that cannot be read.
            with inside("service_failed"), http_problems("the provider's security server"):
                raise
        if received.fault is not None:
            raise received.take_fault()

    def _opening(self, question: Question) -> tuple[TransportWriter, RequestHead]:
        boundary = make_boundary(self._exchanges.clock.random_bytes(BOUNDARY_ENTROPY))
        headers = question.headers(write_content_type(boundary))
        return TransportWriter(Direction.REQUEST, boundary), RequestHead(b"POST", b"/", headers)

    async def _accept(self, asked: _Asked, outgoing: Outgoing, received: Received) -> None:
        """Steps 4 to 6, up to the answer."""
        exchanges, steps, question = self._exchanges, asked.steps, asked.question
        parts = received.signed_parts
        now = exchanges.clock.now()
        verified = verify_message(parts, question.service.provider, asked.view, now)
        steps.mark("verified", str(verified.proof.member))
        question.check_answer(dict(outgoing.digests))
        check_loggable(received.logged_size, exchanges.log)
        sent = asked.subject
        subject = Subject(sent.query_id, sent.request_id, sent.owner, is_response=True)
        head = received.soap if received.is_soap else received.rest
        record = make_record(subject, bytes_of(head), parts, now)
        await exchanges.log.save(record, received.logged_body)
        steps.mark("saved", "response")


def _check_saved(outgoing: Outgoing) -> None:
    """Return if the request was signed and saved; its end is not sent when an answer comes."""
    if not outgoing.is_saved:
        with inside("service_failed"):
            message = "the provider's security server answered before the request was signed"
            raise InvalidMessage(message)
