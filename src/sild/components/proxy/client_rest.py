"""The consumer's side of PR-REST: read a request, judge the answer, give it."""

from collections.abc import Mapping

from sild.components.proxy.content import DIGEST, Content, read_body
from sild.components.proxy.exchange import SpoolStream
from sild.components.proxy.question import Asking
from sild.components.proxy.receive import Received
from sild.components.proxy.said import RestSaid
from sild.protocol.errors import inside
from sild.protocol.ids import SecurityServerId
from sild.protocol.rest.message import (
    RestRequest,
    RestResponse,
    build_rest_request,
    check_response_belongs,
    read_rest_response,
    request_hash,
)
from sild.protocol.transport import headers as names
from sild.protocol.transport.events import RestHeader
from sild.runtime.files import SpooledBytes
from sild.runtime.http_server import Response

_BODILESS = frozenset({204, 304})


class RestQuestion(RestSaid):
    """A REST request on its way."""

    is_soap = False

    def __init__(self, rest: RestRequest, content: Content, content_type: bytes) -> None:
        super().__init__(rest)
        self._content_type = content_type
        self._response: RestResponse | None = None
        self.head = RestHeader(rest.part, DIGEST.digest(rest.part))
        self.content = content

    @property
    def security_server(self) -> SecurityServerId | None:
        """The only server that may answer, where the request names one."""
        return self._rest.security_server

    def headers(self, content_type: str) -> list[names.Field]:
        """The HTTP headers of the transport message."""
        return names.write_rest_request_headers(content_type, self.request_id, self._content_type)

    async def take_head(self, received: Received, _original_type: str | None) -> None:
        """Read the REST part of the answer."""
        with inside("service_failed"):
            self._response = read_rest_response(received.rest.part)

    def check_answer(self, digests: Mapping[str, bytes]) -> None:
        """Raise InconsistentResponse unless the answer says that it is to this request."""
        expected = request_hash(self.head.digest, digests.get("/attachment1"))
        check_response_belongs(self._rest, self._read, expected)

    def answer(self, received: Received) -> Response:
        """What the information system gets: status, headers and body as the service sent them."""
        response, body = self._read, received.body
        headers = list(response.headers)
        reason = response.reason.encode("latin-1", "replace")
        if self._rest.verb.value == "HEAD" or response.status in _BODILESS:
            received.close()
            return Response(response.status, reason, headers)
        if isinstance(body, SpooledBytes):
            stream = SpoolStream(body)
            return Response(response.status, reason, headers, stream, length=body.size)
        return Response(response.status, reason, headers, body or b"")

    @property
    def _read(self) -> RestResponse:
        assert self._response is not None, "an answer is judged after its head was taken"  # noqa: S101
        return self._response


async def ask_by_rest(asking: Asking) -> RestQuestion:
    """Read a REST request (PR-REST 4); raises InvalidRest, InvalidIdentifier and their like."""
    request = asking.request
    rest = build_rest_request(
        request.method,
        request.target,
        request.headers,
        asking.request_id,
        asking.instance,
        asking.clock.uuid,
    )
    content = await read_body(request.body, empty_counts=False)
    return RestQuestion(rest, content, request.header(b"content-type") or b"")
