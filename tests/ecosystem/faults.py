"""A network that fails as told: between two security servers, and between one and its service.

Whole messages are taken in; what goes on of them, and what becomes of the connections, is the
fault that the message names in its own text ("case-...").
"""

import asyncio
import contextlib
import os
import re
import socket
import struct
from contextlib import AsyncExitStack
from dataclasses import dataclass

from ecosystem.relay import identity_of
from sild.runtime.tls import (
    AnyCertificate,
    TlsPolicy,
    server_context,
    unverified_client_context,
)

CASE = re.compile(rb"case-[a-z0-9-]+")
_NO_LINGER = socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
_DRIP_SECONDS = 0.1
_PATIENCE_SECONDS = 60
_GONE = (OSError, EOFError, asyncio.IncompleteReadError)


@dataclass(frozen=True)
class Fault:
    """Where a message breaks off, and how."""

    side: str
    """Whose message: request or response."""
    place: str
    how: str

    def cut(self, message):
        """How much of the message goes on."""
        if self.place == "before":
            return 0
        if self.place == "end":
            return len(message) - 5
        marker, more = PLACES[self.place]
        found = message.find(marker)
        assert found >= 0, f"there is no {self.place} in {message!r}"
        return found + len(marker) + more


PLACES = {
    "first line": (b"", 9),
    "head": (b"\r\n", 20),
    "no body": (b"\r\n\r\n", 0),
    "OCSP response": (b"application/ocsp-response", 80),
    "REST message": (b"application/x-road-rest-re", 60),
    "REST body": (b"application/x-road-rest-body", 20),
    "SOAP message": (b"Envelope", 60),
    "attachment": (b"an attachment", -4),
    "hash chain": (b"application/hash-chain", 60),
    "signature": (b"SignatureValue", 40),
    "service's body": (b"a half", 0),
}


async def read_message(reader):
    """One HTTP message, whole; nothing where the connection ends before."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: *(\d+)", head)
        if length:
            return head + await reader.readexactly(int(length[1]))
        if b"chunked" not in head.lower():
            return head
        body = b""
        while not body.endswith(b"\r\n0\r\n\r\n"):
            body += await reader.readuntil(b"\r\n")
    except _GONE:
        return b""
    return head + body


class Side:
    """One connection of the two that make a way."""

    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer

    async def send(self, data):
        self.writer.write(data)
        await self.writer.drain()

    def reset(self):
        with contextlib.suppress(OSError):
            self.writer.get_extra_info("socket").setsockopt(*_NO_LINGER)
        self.writer.transport.abort()

    def close(self):
        self.writer.close()

    def half_close(self):
        """End what is sent, below TLS; what comes is still read."""
        with socket.socket(fileno=os.dup(self.writer.get_extra_info("socket").fileno())) as sock:
            sock.shutdown(socket.SHUT_WR)

    async def gone(self):
        """Come back when the other end has closed, or patience ends."""
        with contextlib.suppress(*_GONE, TimeoutError):
            async with asyncio.timeout(_PATIENCE_SECONDS):
                while await self.reader.read(65536):
                    pass


async def fail(fault, message, to, back):
    """Let a message break off on its way to one side; the other is the one that it came from."""
    cut = fault.cut(message)
    if cut:
        await to.send(message[:cut])
    match fault.how:
        case "reset":
            to.reset()
            back.reset()
        case "closed":
            to.close()
            back.close()
        case "silent":
            await first_gone({to, back})
        case "half-closed":
            to.half_close()
            for side in dict.fromkeys((to, back)):
                await side.gone()
        case "slow":
            with contextlib.suppress(*_GONE):
                for place in range(cut, len(message)):
                    await asyncio.sleep(_DRIP_SECONDS)
                    await to.send(message[place : place + 1])
    to.close()
    back.close()


async def first_gone(sides):
    """Come back when one of them has closed."""
    waiting = [asyncio.create_task(side.gone()) for side in sides]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


class FaultyNetwork:
    """Listeners that break off what passes; use it as a context."""

    def __init__(self, faults):
        self.faults = faults
        self.hit = set()
        self._opened = AsyncExitStack()
        self._connections = set()

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self._opened.aclose()
        for task in tuple(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def listen(self, address, port, handle, tls=None):
        """Handle each connection; gives the port."""

        async def carry(reader, writer):
            task = asyncio.current_task()
            self._connections.add(task)
            try:
                await handle(Side(reader, writer))
            except (*_GONE, asyncio.CancelledError):
                pass
            finally:
                writer.transport.abort()
                self._connections.discard(task)

        server = await asyncio.start_server(carry, address, port, ssl=tls)
        self._opened.callback(server.close)
        return server.sockets[0].getsockname()[1]

    def fault_of(self, message):
        """The fault that a message names, if it is to suffer one."""
        named = CASE.search(message)
        fault = self.faults.get(named[0].decode()) if named else None
        if fault is not None:
            self.hit.add(named[0].decode())
        return fault


class FaultyLink(FaultyNetwork):
    """The way between two security servers, which takes it for each other."""

    def __init__(self, consumer, provider, address, faults):
        super().__init__(faults)
        self._consumer = consumer
        self._provider = provider
        self._address = address

    async def __aenter__(self):
        policy, ports = TlsPolicy(), self._provider.ports
        self._onward = unverified_client_context(policy, await identity_of(self._consumer))
        identity = await identity_of(self._provider)
        inward = server_context(policy, identity, AnyCertificate.REQUIRED)
        await self.listen(self._address, ports.server, self._carry, inward)
        await self.listen(self._address, ports.ocsp, self._carry_ocsp)
        return self

    async def _connect(self, port, tls):
        address = self._provider.plan.address
        return Side(*await asyncio.open_connection(address, port, ssl=tls))

    async def _carry(self, consumer):
        provider = await self._connect(self._provider.ports.server, self._onward)
        try:
            while request := await read_message(consumer.reader):
                fault = self.fault_of(request)
                if fault is not None and fault.side == "request":
                    await fail(fault, request, provider, consumer)
                    return
                await provider.send(request)
                response = await read_message(provider.reader)
                if fault is not None:
                    await fail(fault, response, consumer, provider)
                    return
                await consumer.send(response)
        finally:
            provider.close()

    async def _carry_ocsp(self, consumer):
        provider = await self._connect(self._provider.ports.ocsp, None)
        try:
            await provider.send(await read_message(consumer.reader))
            await consumer.send(await read_message(provider.reader))
        finally:
            provider.close()


class FaultyService(FaultyNetwork):
    """A provider's application that gives the answer it was made with, or part of it."""

    def __init__(self, answers, faults):
        super().__init__(faults)
        self._answers = answers

    async def start(self, address):
        """Listen; gives the URL."""
        return f"http://{address}:{await self.listen(address, 0, self._answer)}"

    async def _answer(self, server):
        while request := await read_message(server.reader):
            answer = self._answers(request)
            fault = self.fault_of(request)
            if fault is not None:
                await fail(fault, answer, server, server)
                return
            await server.send(answer)


async def silent(side):
    """Take a connection, and nothing more."""
    await side.gone()


async def resetting(side):
    """Take a connection, and reset it when it is spoken to."""
    await side.reader.read(1)
    side.reset()


@contextlib.contextmanager
def full(address, port):
    """A listener whose queue is full: the kernel drops the wish for one more connection."""
    with contextlib.ExitStack() as opened:
        listening = opened.enter_context(socket.create_server((address, port), backlog=0))
        for _ in range(3):
            sock = opened.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex(listening.getsockname())
        yield
