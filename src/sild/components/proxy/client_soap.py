"""The consumer's side of PR-MESS: read a SOAP request, judge the answer, give it.

Whatever is wrong with the request itself is told as the fault of the client.
"""

from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence

from sild.components.proxy.content import Content, open_package
from sild.components.proxy.exchange import SpoolStream
from sild.components.proxy.question import Asking
from sild.components.proxy.receive import Received
from sild.components.proxy.said import SoapSaid
from sild.components.proxy.soap_reading import read_soap_part
from sild.protocol.errors import InvalidContentType, InvalidHttpMethod, blaming, inside
from sild.protocol.ids import SecurityServerId
from sild.protocol.soap.http_headers import check_soap_action
from sild.protocol.soap.message import SoapMessage, check_consistency, check_request_hash
from sild.protocol.soap.package import PackageWriter
from sild.protocol.soap.parts import SoapPart
from sild.protocol.transport import headers as names
from sild.protocol.transport.events import Event
from sild.runtime.files import SpooledBytes
from sild.runtime.http_server import Request, Response

_AT_FAULT = "client"


class SoapQuestion(SoapSaid):
    """A SOAP request on its way."""

    is_soap = True

    def __init__(
        self, message: SoapMessage, head: SoapPart, content: Content, asking: Asking
    ) -> None:
        super().__init__(message)
        self._request_id = asking.request_id
        self._content_type = asking.request.header(b"content-type") or b""
        self._action = asking.request.header(b"soapaction")
        self._response: SoapMessage | None = None
        self.head = head
        self.content = content

    @property
    def security_server(self) -> SecurityServerId | None:
        """The only server that may answer, where the request names one (PR-TARGETSS)."""
        return self._message.header.security_server

    def headers(self, content_type: str) -> list[names.Field]:
        """The HTTP headers of the transport message."""
        return names.write_soap_request_headers(
            content_type, self._request_id, self._content_type, self._action
        )

    async def take_head(self, received: Received, original_type: str | None) -> None:
        """Read the SOAP part of the answer."""
        with inside("service_failed"):
            if original_type is None:
                message = "the answer does not say which content type the service gave it"
                raise InvalidContentType(message)
            response = await read_soap_part(received.soap)
            received.package = PackageWriter(original_type, response.encoding)
        self._response = response

    def check_answer(self, digests: Mapping[str, bytes]) -> None:
        """Raise InconsistentResponse unless the answer repeats the request's header and hash."""
        assert self._response is not None, "an answer is judged after its head was taken"  # noqa: S101
        with inside("service_failed"):
            check_consistency(self._message, self._response)
        check_request_hash(digests["/message.xml"], self._response)

    def answer(self, received: Received) -> Response:
        """What the information system gets: the message as the service packed it."""
        assert received.package is not None, "an answer is given after its head was taken"  # noqa: S101
        headers = [(b"Content-Type", received.package.content_type.encode("latin-1"))]
        body = received.body
        if isinstance(body, SpooledBytes):
            return Response(200, b"OK", headers, SpoolStream(body), length=body.size)
        return Response(200, b"OK", headers, body or b"")


async def ask_by_soap(asking: Asking) -> SoapQuestion:
    """Read a SOAP request up to the end of its SOAP part; raises what PR-MESS refuses."""
    request = asking.request
    with blaming(_AT_FAULT):
        _check_method(request)
        check_soap_action(request.header(b"soapaction"))
        content_type = (request.header(b"content-type") or b"").decode("latin-1")
        head, content = await open_package(content_type, request.body)
        message = await read_soap_part(head)
    return SoapQuestion(message, head, _blamed(content), asking)


def _check_method(request: Request) -> None:
    if request.method != b"POST":
        what = request.method.decode("latin-1")
        message = f"SOAP messages are posted, not {what}; REST services are below /r1/"
        raise InvalidHttpMethod(message)


def _blamed(content: Content) -> Content:
    return content if isinstance(content, Sequence) else _blamed_stream(content)


async def _blamed_stream(content: AsyncIterable[Event]) -> AsyncIterator[Event]:
    with blaming(_AT_FAULT):
        async for event in content:
            yield event
