"""A security server's messages made by hand, to see what a peer does with broken ones.

It borrows the keys of a running devnet server through that server's signer, so that TLS and
signatures are real, and sends whatever bytes it is told to.
"""

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self

from cryptography.hazmat.primitives.serialization import load_der_private_key

from sild.components.proxy.settings import ProxySettings
from sild.components.signer.rpc import connect_worker
from sild.devnet.ecosystem import RunningServer
from sild.devnet.errors import DevnetError
from sild.model.snapshot import AuthenticationCertificate, ServerSnapshot
from sild.protocol.algorithms import DigestAlgorithm, SignatureAlgorithm
from sild.protocol.ids import ClientId
from sild.protocol.pki.certificate import read_certificate
from sild.protocol.rest.message import RestRequest, build_rest_request
from sild.protocol.signature.batch import SignatureBatch, SignedMessage
from sild.protocol.signature.hashchain import Leaf
from sild.protocol.signature.xades import SigningIdentity
from sild.protocol.transport import headers as names
from sild.protocol.transport.events import (
    BodyChunk,
    BodyEnd,
    Event,
    HashChain,
    HashChainResult,
    OcspPart,
    RestHeader,
    SignaturePart,
)
from sild.protocol.transport.grammar import Direction
from sild.protocol.transport.writer import (
    BOUNDARY_ENTROPY,
    make_boundary,
    write_content_type,
    write_whole,
)
from sild.runtime.clock import Clock, SystemClock
from sild.runtime.http_client import ClientLimits, HttpClientPool, RequestHead, Target
from sild.runtime.http_wire import Headers
from sild.runtime.rpc import close_rpc
from sild.runtime.tls import TlsIdentity, TlsPolicy, unverified_client_context
from sild.servers.snapshots import read_snapshot

_POLICY = TlsPolicy(ciphers12=ProxySettings().tls_ciphers)
_ANSWER_LIMIT = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class RawMessage:
    """A transport message as it goes over the wire."""

    headers: Headers
    body: bytes


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """What came back."""

    status: int
    headers: Headers
    body: bytes

    @property
    def content_type(self) -> str:
        """What kind of answer it is."""
        fields = {name.lower(): value for name, value in self.headers}
        return fields.get(b"content-type", b"").decode("latin-1")


@dataclass(frozen=True, slots=True)
class Signer:
    """Whose key signs, with the certificate and OCSP responses that the signature carries."""

    key_id: str
    identity: SigningIdentity


@dataclass(frozen=True, slots=True)
class Parts:
    """A signed request, part by part, before it is written."""

    rest: RestRequest
    body: bytes | None
    signed: SignedMessage
    ocsp: Sequence[bytes]

    def events(self) -> list[Event]:
        """The parts as events, in order and without the end."""
        events: list[Event] = [OcspPart(der) for der in self.ocsp]
        events.append(RestHeader(self.rest.part, b""))
        if self.body is not None:
            events += [BodyChunk(self.body)] if self.body else []
            events.append(BodyEnd(b""))
        if self.signed.hash_chain_result is not None and self.signed.hash_chain is not None:
            events.append(HashChainResult(self.signed.hash_chain_result))
            events.append(HashChain(self.signed.hash_chain))
        events.append(SignaturePart(self.signed.signature))
        return events


class RawPeer:
    """Speaks to other servers as one server of the devnet; use it as an async context."""

    def __init__(self, server: RunningServer, clock: Clock | None = None) -> None:
        self._server = server
        self._clock = clock or SystemClock()
        self._signer = connect_worker(server.layout.signer_socket)
        self._pool = HttpClientPool(ClientLimits())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._pool.close()
        close_rpc(self._signer)

    @property
    def snapshot(self) -> ServerSnapshot:
        """The server's configuration, with its usable certificates."""
        found = read_snapshot(self._server.layout.snapshot_file)
        if found is None:
            message = f"{self._server.plan.id} has no configuration yet"
            raise DevnetError(message)
        return found

    @property
    def authentication(self) -> AuthenticationCertificate:
        """The certificate that the server shows."""
        found = self.snapshot.authentication
        if found is None:
            message = f"{self._server.plan.id} has no usable authentication certificate"
            raise DevnetError(message)
        return found

    def signer_of(self, member: ClientId) -> Signer:
        """The usable signing certificate of a member."""
        for each in self.snapshot.signing:
            if each.member == member.member:
                return make_signer(each.key_id, each.certificate, each.ocsp)
        message = f"{member} has no usable signing certificate"
        raise DevnetError(message)

    def rest(
        self, client: ClientId, target: str, verb: str = "GET", headers: Headers | None = None
    ) -> RestRequest:
        """A request as the server would make it of an information system's."""
        fields = [(b"X-Road-Client", client.short.encode()), *(headers or [])]
        return build_rest_request(
            verb.encode(),
            target.encode(),
            fields,
            self._clock.uuid(),
            client.instance,
            self._clock.uuid,
        )

    async def sign(
        self, requests: Sequence[tuple[RestRequest, bytes | None]], signer: Signer
    ) -> list[Parts]:
        """Sign requests, several with one signature."""
        leaves = [Leaf(tuple(digests_of(rest, body).items())) for rest, body in requests]
        signed = await self.sign_leaves(leaves, signer, self._clock.now())
        ocsp = self.authentication.ocsp
        return [
            Parts(rest, body, each, ocsp)
            for (rest, body), each in zip(requests, signed, strict=True)
        ]

    async def sign_leaves(
        self, leaves: Sequence[Leaf], signer: Signer, now: datetime
    ) -> tuple[SignedMessage, ...]:
        """Sign the digests of parts, whatever they are digests of."""
        batch = SignatureBatch(leaves, signer.identity, now)
        algorithm = signer.identity.algorithm.uri
        value = await self._signer.sign(signer.key_id, batch.digest_to_sign, algorithm)
        return batch.finish(value)

    def write(self, parts: Parts) -> RawMessage:
        """The message of these parts."""
        boundary = make_boundary(self._clock.random_bytes(BOUNDARY_ENTROPY))
        headers = names.write_rest_request_headers(
            write_content_type(boundary), parts.rest.request_id or "", b"application/json"
        )
        return RawMessage(headers, write_whole(Direction.REQUEST, boundary, parts.events()))

    async def send(self, message: RawMessage, to: RunningServer) -> RawAnswer:
        """Send bytes to another server over mutual TLS."""
        context = await self.context(self.authentication)
        target = Target(to.plan.address, to.ports.server, context, to.plan.address)
        head = RequestHead(b"POST", b"/", message.headers)
        async with self._pool.exchange(target, head, message.body) as answer:
            body = await answer.body.read_all(_ANSWER_LIMIT)
            return RawAnswer(answer.status, answer.headers, body)

    async def context(self, authentication: AuthenticationCertificate) -> ssl.SSLContext:
        """A TLS context that shows the certificate."""
        digest = DigestAlgorithm.SHA256.digest(authentication.certificate).hex()
        private = await self._signer.auth_key(digest)
        if private is None:
            message = f"the key of certificate {digest} is in a device"
            raise DevnetError(message)
        key = load_der_private_key(private, None)
        chain = (authentication.certificate, *authentication.chain)
        return unverified_client_context(_POLICY, TlsIdentity(key, chain))  # type: ignore[arg-type]


def make_signer(key_id: str, certificate: bytes, ocsp: Sequence[bytes]) -> Signer:
    """A signer whose certificate was issued by the top CA."""
    read = read_certificate(certificate)
    algorithm = SignatureAlgorithm.for_key(read.public_key)
    return Signer(key_id, SigningIdentity(read, ocsp[0], (), algorithm))


def digests_of(rest: RestRequest, body: bytes | None) -> Mapping[str, bytes]:
    """The digests of a request's parts by name."""
    digest = DigestAlgorithm.SHA512.digest
    digests = {"/message.xml": digest(rest.part)}
    if body is not None:
        digests["/attachment1"] = digest(body)
    return digests


def with_part(parts: Parts, part: bytes) -> Parts:
    """The same message with another REST part under the old signature."""
    return replace(parts, rest=replace(parts.rest, part=part))
