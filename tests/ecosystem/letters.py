"""Transport messages made by hand, by the held server: right ones, to be spoilt by a test."""

from dataclasses import dataclass, field, replace

from ecosystem.held import identity_of, sign_digest, tls_of
from ecosystem.plan import HAND, INSTANCE, REGISTER
from sild.protocol.algorithms import DigestAlgorithm
from sild.protocol.mime import MultipartWriter
from sild.protocol.rest.message import build_rest_request, build_rest_response, request_hash
from sild.protocol.signature.batch import SignatureBatch
from sild.protocol.signature.hashchain import Leaf
from sild.protocol.soap.fault import find_fault
from sild.protocol.transport import headers as names
from sild.protocol.transport.grammar import TYPES_OF_PART, Direction, Part
from sild.protocol.transport.writer import BOUNDARY_ENTROPY, make_boundary, write_content_type
from sild.runtime.clock import SystemClock
from sild.runtime.http_client import (
    ClientLimits,
    HttpClientPool,
    RequestHead,
    Target,
)
from sild.runtime.http_server import Response
from sild.runtime.tls import TlsPolicy, unverified_client_context

_DIGEST = DigestAlgorithm.SHA512.digest
_LARGEST = 1 << 24


@dataclass(frozen=True)
class Letter:
    """A transport message, part by part, in any order."""

    headers: tuple
    parts: tuple
    boundary: str

    @property
    def body(self):
        writer = MultipartWriter(self.boundary)
        pieces = [writer.start_part(kind) + data for kind, data in self.parts]
        return b"".join(pieces) + writer.close()

    @property
    def kinds(self):
        return [kind for kind, _ in self.parts]

    def without(self, kind):
        """The letter without the parts of a kind."""
        return replace(self, parts=tuple(part for part in self.parts if part[0] != kind))

    def saying(self, kind, data):
        """The letter with other content in the parts of a kind."""
        parts = tuple((each, data if each == kind else said) for each, said in self.parts)
        return replace(self, parts=parts)

    def get(self, kind):
        """The content of the part of a kind."""
        return dict(self.parts)[kind]

    def with_header(self, name, value=None):
        """The letter with another HTTP header in the place of the one of this name, or none."""
        headers = tuple(field for field in self.headers if field[0] != name)
        return replace(self, headers=headers if value is None else (*headers, (name, value)))


def kind_of(part, direction=Direction.REQUEST):
    """The content type of a part."""
    return TYPES_OF_PART[direction][part][0]


OCSP = kind_of(Part.OCSP)
REST = kind_of(Part.REST_HEADER)
BODY = kind_of(Part.REST_BODY)
RESULT = kind_of(Part.HASH_CHAIN_RESULT)
CHAIN = kind_of(Part.HASH_CHAIN)
SIGNATURE = kind_of(Part.SIGNATURE)
REST_RESPONSE = kind_of(Part.REST_HEADER, Direction.RESPONSE)


@dataclass(frozen=True)
class Said:
    """What a security server answered: a fault code, or none, and the answer's parts."""

    code: str
    message: str
    status: int
    body: bytes
    headers: list = field(default_factory=list)


def leaf_of(part, body):
    """What of a message is signed."""
    digests = [("/message.xml", _DIGEST(part))]
    if body is not None:
        digests.append(("/attachment1", _DIGEST(body)))
    return Leaf(tuple(digests))


class Pen:
    """Writes letters as the held server, or as whoever the papers name."""

    def __init__(self, held):
        self.held = held
        self.papers = held.papers
        self._clock = SystemClock()

    def request(self, path, verb="GET", client=HAND, headers=()):
        """A REST request part, as the held server would make it."""
        fields = [(b"X-Road-Client", client.short.encode()), *headers]
        uuid = self._clock.uuid
        return build_rest_request(verb.encode(), path.encode(), fields, uuid(), INSTANCE, uuid)

    def sign(self, *leaves, signer=None, ocsp=None):
        """Sign with one signature; by default as the held server."""
        credential = signer or self.held.sign
        identity = identity_of(credential, ocsp or self.papers.ocsp(credential))
        batch = SignatureBatch(leaves, identity, self._clock.now())
        return batch.finish(sign_digest(credential, batch.digest_to_sign))

    def letter(self, request, body=None, *, signed=None, ocsp=None):
        """A request's transport message; sound, unless what it is made of is not."""
        if signed is None:
            (signed,) = self.sign(leaf_of(request.part, body))
        ocsp = [self.papers.ocsp(self.held.auth)] if ocsp is None else ocsp
        parts = [(OCSP, der) for der in ocsp]
        parts += self._signed_parts(REST, request.part, body, signed)
        boundary = self._boundary()
        headers = names.write_rest_request_headers(
            write_content_type(boundary), request.request_id or "", b"application/json"
        )
        return Letter(tuple(headers), tuple(parts), boundary)

    def answer(self, request, body=b"{}", *, said=None, signed=None, signer=None, ocsp=None):
        """A response's transport message to a request; `said` is its REST part."""
        part = said or self.response(request).part
        if signed is None:
            (signed,) = self.sign(leaf_of(part, body), signer=signer, ocsp=ocsp)
        boundary = self._boundary()
        headers = names.write_response_headers(write_content_type(boundary))
        parts = self._signed_parts(REST_RESPONSE, part, body, signed)
        return Letter(tuple(headers), tuple(parts), boundary)

    def response(self, request, status=200, hashed=None):
        """A REST response part that belongs to a request."""
        hashed = hashed or request_hash(_DIGEST(request.part), None)
        fields = [(b"Content-Type", b"application/json")]
        return build_rest_response(request, status, b"OK", fields, hashed)

    def _signed_parts(self, kind, part, body, signed):
        parts = [(kind, part)]
        if body is not None:
            parts.append((BODY, body))
        if signed.hash_chain_result is not None:
            parts += [(RESULT, signed.hash_chain_result), (CHAIN, signed.hash_chain)]
        return [*parts, (SIGNATURE, signed.signature)]

    def _boundary(self):
        return make_boundary(self._clock.random_bytes(BOUNDARY_ENTROPY))

    async def post(self, letter, to, identity=None, method=b"POST"):
        """Send a letter over mutual TLS, and say what comes back."""
        context = unverified_client_context(TlsPolicy(), identity or tls_of(self.held.auth))
        target = Target(to.plan.address, to.ports.server, context, to.plan.address)
        head = RequestHead(method, b"/", list(letter.headers))
        async with (
            HttpClientPool(ClientLimits()) as pool,
            pool.exchange(target, head, letter.body) as answer,
        ):
            body = await answer.body.read_all(_LARGEST)
            said = said_in(answer.status, answer.header(b"content-type"), body)
            return replace(said, headers=answer.headers)


def said_in(status, content_type, body):
    """What an answer to a transport message says."""
    if content_type.startswith(b"text/xml"):
        fault = find_fault(body)
        return Said(fault.fault, fault.message, status, body)
    return Said("", "", status, body)


def as_response(letter, status=200):
    """A letter as the answer to a request."""
    return Response(status, b"OK", list(letter.headers), letter.body)


def path_to(service, rest="", provider=REGISTER):
    """The path by which a service of a provider is called."""
    return f"/r1/{provider.short}/{service}{rest}"
