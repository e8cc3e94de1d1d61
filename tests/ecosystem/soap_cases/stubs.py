"""A server of HTTP that says exactly the bytes that it is told to, or nothing at all."""

import asyncio
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass

_LONGEST_HEAD = 64 * 1024
_CHUNK = 256 * 1024


@dataclass(frozen=True)
class Heard:
    """A request as it arrived; header names are in lower case."""

    method: str
    target: str
    headers: tuple
    body: bytes

    def header(self, name):
        """The value of a header, or None."""
        return dict(self.headers).get(name)


def reply(body, content_type=None, status=200, headers=(), length=None):
    """An answer, byte for byte; `length` is what it says of its length if that is not true."""
    fields = [f"HTTP/1.1 {status} Whatever", "Connection: close"]
    fields += [] if content_type is None else [f"Content-Type: {content_type}"]
    fields += [f"{name}: {value}" for name, value in headers]
    fields.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join((*fields, "", "")).encode() + body


class Stub:
    """Answers each request with the bytes that `answer` gives for it, and closes the connection."""

    def __init__(self):
        self.heard = []
        self.answer = None
        self.resets = False
        self._servers = []

    async def listen(self, host, port=0, context=None):
        """Listen at one more place; gives its port."""
        server = await asyncio.start_server(
            self._serve, host, port, ssl=context, limit=_LONGEST_HEAD
        )
        self._servers.append(server)
        return server.sockets[0].getsockname()[1]

    async def close(self):
        for server in self._servers:
            server.close()

    def expect(self, answer, *, resets=False):
        """Forget what was heard, and answer so; or reset connections once a request begins."""
        self.heard.clear()
        self.answer = answer
        self.resets = resets

    async def _serve(self, reader, writer):
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                if self.resets:
                    await reader.read(1)
                    _reset(writer)
                    return
                heard = await _read_request(reader)
                self.heard.append(heard)
                writer.write(await self.answer(heard))
                await writer.drain()
        finally:
            writer.close()


async def _read_request(reader):
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *fields = head.rstrip("\r\n").split("\r\n")
    method, target, _ = line.split(" ")
    pairs = (field.partition(":") for field in fields)
    headers = tuple((name.lower(), value.strip()) for name, _, value in pairs)
    known = dict(headers)
    if known.get("transfer-encoding") == "chunked":
        body = await _read_chunks(reader)
    else:
        body = await reader.readexactly(int(known.get("content-length", 0)))
    return Heard(method, target, headers, body)


async def _read_chunks(reader):
    body = bytearray()
    while size := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
        while size:
            data = await reader.readexactly(min(size, _CHUNK))
            body += data
            size -= len(data)
        await reader.readexactly(2)
    await reader.readuntil(b"\r\n")
    return bytes(body)


def _reset(writer):
    """Let the kernel send RST: what was not read yet, nobody will read."""
    at_once = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
    writer.transport.abort()
