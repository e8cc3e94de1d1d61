"""A wire between two security servers that remembers every byte which leaves either of them.

It stands where the global configuration says that the provider is. Its TLS is made with the keys
of the servers themselves, so each takes it for the other.
"""

import asyncio
from contextlib import AsyncExitStack, suppress

from cryptography.hazmat.primitives.serialization import load_der_private_key

from sild.components.signer.rpc import connect_worker
from sild.protocol.algorithms import DigestAlgorithm
from sild.runtime.rpc import close_rpc
from sild.runtime.tls import (
    AnyCertificate,
    TlsIdentity,
    TlsPolicy,
    server_context,
    unverified_client_context,
)
from sild.servers.snapshots import read_snapshot

_READ = 256 * 1024


class Link:
    """Use it as a context; `sent` and `answered` are what left the consumer and the provider."""

    def __init__(self, consumer, provider, address):
        self._consumer = consumer
        self._provider = provider
        self._address = address
        self._opened = AsyncExitStack()
        self._connections = set()
        self.forget()

    def forget(self):
        """Remember only what leaves from now on."""
        self.sent = bytearray()
        self.answered = bytearray()

    async def __aenter__(self):
        policy, ports = TlsPolicy(), self._provider.ports
        self._as_consumer = unverified_client_context(policy, await _identity(self._consumer))
        as_provider = server_context(
            policy, await _identity(self._provider), AnyCertificate.REQUIRED
        )
        await self._listen(self._carry_messages, ports.server, as_provider)
        await self._listen(self._carry_ocsp, ports.ocsp, None)
        return self

    async def __aexit__(self, *_):
        await self._opened.aclose()
        for task in tuple(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _listen(self, carry, port, tls):
        server = await asyncio.start_server(carry, self._address, port, ssl=tls)
        self._opened.callback(server.close)

    async def _carry_messages(self, reader, writer):
        await self._carry(
            (reader, writer),
            (self._provider.ports.server, self._as_consumer),
            (self._note_sent, self._note_answered),
        )

    def _note_sent(self, data):
        self.sent += data

    def _note_answered(self, data):
        self.answered += data

    async def _carry_ocsp(self, reader, writer):
        await self._carry(
            (reader, writer),
            (self._provider.ports.ocsp, None),
            (lambda _: None, lambda _: None),
        )

    async def _carry(self, consumer, place, notes):
        task = asyncio.current_task()
        self._connections.add(task)
        reader, writer = consumer
        try:
            port, tls = place
            address = self._provider.plan.address
            there, onward = await asyncio.open_connection(address, port, ssl=tls)
            # Whichever side ends first ends both, so that nobody waits for the other.
            both = (_pump(reader, onward, notes[0]), _pump(there, writer, notes[1]))
            pumps = [asyncio.create_task(each) for each in both]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
                onward.close()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            self._connections.discard(task)


async def _pump(reader, writer, note):
    with suppress(OSError):
        while data := await reader.read(_READ):
            note(data)
            writer.write(data)
            await writer.drain()


async def _identity(server):
    authentication = read_snapshot(server.layout.snapshot_file).authentication
    signer = connect_worker(server.layout.signer_socket)
    try:
        digest = DigestAlgorithm.SHA256.digest(authentication.certificate)
        key = load_der_private_key(await signer.auth_key(digest.hex()), None)
    finally:
        close_rpc(signer)
    return TlsIdentity(key, (authentication.certificate, *authentication.chain))


def has_signature(data):
    """Whether a signature, or any part of one, is in what was sent."""
    return b"signature/bdoc" in data or b"SignatureValue" in data or b"SignedInfo" in data
