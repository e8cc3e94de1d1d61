"""A place on the way between two security servers, held with the borrowed key of one of them.

It passes messages on and remembers them, or answers with what it was given instead.
"""

from cryptography.hazmat.primitives.serialization import load_der_private_key

from ecosystem.held import tls_of
from sild.components.signer.rpc import connect_worker
from sild.protocol.algorithms import DigestAlgorithm
from sild.runtime.clock import SystemClock
from sild.runtime.http_client import ClientLimits, HttpClientPool, RequestHead, Target
from sild.runtime.http_server import Endpoint, Limits, Response, serve
from sild.runtime.rpc import close_rpc
from sild.runtime.tls import (
    AnyCertificate,
    TlsIdentity,
    TlsPolicy,
    server_context,
    unverified_client_context,
)
from sild.servers.snapshots import read_snapshot

_LARGEST = 1 << 24
_FRAMING = frozenset({b"content-length", b"transfer-encoding", b"connection", b"date"})


async def identity_of(server):
    """The key and certificate that a running server shows to others."""
    authentication = read_snapshot(server.layout.snapshot_file).authentication
    signer = connect_worker(server.layout.signer_socket)
    try:
        digest = DigestAlgorithm.SHA256.digest(authentication.certificate).hex()
        key = load_der_private_key(await signer.auth_key(digest), None)
    finally:
        close_rpc(signer)
    return TlsIdentity(key, (authentication.certificate, *authentication.chain))


class Relay:
    """Stands in for a server at another port of its address; `sender` is who it sends as."""

    def __init__(self, server, sender):
        self._server = server
        self._sender = sender
        self.answer = None
        self.heard = []

    async def start(self):
        plan, ports = self._server.plan, self._server.ports
        identity = await identity_of(self._server)
        context = server_context(TlsPolicy(), identity, AnyCertificate.REQUIRED)
        endpoint = Endpoint(plan.address, 0, context)
        self._listener = await serve(self._handle, endpoint, Limits(), SystemClock())
        self.port = self._listener.port
        self._pool = HttpClientPool(ClientLimits())
        sending = unverified_client_context(TlsPolicy(), tls_of(self._sender))
        self._target = Target(plan.address, ports.server, sending, plan.address)
        return self

    async def close(self):
        await self._listener.close(0)
        self._pool.close()

    async def _handle(self, request):
        body = await request.body.read_all(_LARGEST)
        if self.answer is not None:
            return self.answer
        head = RequestHead(request.method, request.target, plain(request.headers))
        async with self._pool.exchange(self._target, head, body) as answer:
            said = await answer.body.read_all(_LARGEST)
            response = Response(answer.status, answer.reason, plain(answer.headers), said)
        self.heard.append((request, body, response))
        return response


def plain(headers):
    """The headers without those of one connection."""
    return [(name, value) for name, value in headers if name.lower() not in _FRAMING]
