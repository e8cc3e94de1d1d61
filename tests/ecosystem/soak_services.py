"""The services of the soak: some answer well, some badly, some break off."""

import asyncio

from sild.protocol.soap.fault import write_fault
from sild.runtime.clock import SystemClock
from sild.runtime.http_server import Endpoint, Limits, Request, Response, serve

_LARGEST = 64 * 1024 * 1024
_XML = "text/xml; charset=UTF-8"
PROMISED = 200_000
"""How many bytes a service promises that breaks off in the middle of them."""

GOOD, FAULT, GARBAGE, UNAVAILABLE, OTHERS = "good", "fault", "garbage", "unavailable", "others"
"""How SOAP services answer; the last with an answer to somebody else's request."""


class SoapServices:
    """Answers a SOAP request at the path of each of these ways."""

    async def start(self, host):
        limits = Limits(connections=500)
        self._server = await serve(self._handle, Endpoint(host), limits, SystemClock())
        self.url = f"http://{host}:{self._server.port}"
        return self

    async def close(self):
        await self._server.close(0)

    async def _handle(self, request: Request) -> Response:
        asked = await request.body.read_all(_LARGEST)
        content_type = dict(request.headers).get(b"Content-Type", b"")
        match request.target.decode().removeprefix("/"):
            case "fault":
                return _answer(_XML, write_fault("Server.NoSuchPerson", "nobody has this code"))
            case "garbage":
                return _answer("text/html", b"<html><p>Welcome!</html>")
            case "unavailable":
                return Response(503, b"Service Unavailable", [], b"later")
            case "others":
                asked = asked.replace(b"<x:id>", b"<x:id>other-")
        return Response(200, b"OK", [(b"Content-Type", content_type)], answer_to(asked))


def answer_to(asked):
    """The message with its body called a response, attachments and all."""
    head, start, rest = asked.partition(b"<s:Body><p:")
    name, _, rest = rest.partition(b" ")
    content, end, attached = rest.partition(b"</p:" + name + b">")
    end = end.replace(name, name + b"Response")
    return b"".join((head, start, name, b"Response ", content, end, attached))


def _answer(content_type, body):
    return Response(200, b"OK", [(b"Content-Type", content_type.encode())], body)


class BreakingOff:
    """Reads the head of a request, answers half of what it promises or nothing, and is gone."""

    async def start(self, host):
        self._server = await asyncio.start_server(self._talk, host)
        self.url = "http://{}:{}".format(*self._server.sockets[0].getsockname())
        return self

    async def close(self):
        self._server.close()
        await self._server.wait_closed()

    async def _talk(self, reader, writer):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            if b" /half" in head.partition(b"\r\n")[0]:
                head = f"HTTP/1.1 200 OK\r\nContent-Length: {PROMISED}\r\n"
                writer.write(head.encode() + b"\r\n" + bytes(PROMISED // 2))
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()
