"""Compose management requests: who signs what, and which way each goes (PR-MSERV 2)."""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sild.components.registration.errors import AuthCertificateUnknown, NoSigningCertificate
from sild.components.registration.ports import Keys, Standing
from sild.model.snapshot import SigningCertificate
from sild.model.tokens import CertificateEntry, Key, KeyUsage
from sild.protocol.algorithms import DigestAlgorithm, SignatureAlgorithm
from sild.protocol.ids import ClientId
from sild.protocol.management.codec import RequestHeader, write_request
from sild.protocol.management.package import (
    SOAP_TYPE,
    MemberProof,
    PossessionProof,
    Proofs,
    RequestSignature,
    package_type,
    write_package,
)
from sild.protocol.management.requests import (
    UNSIGNED_TYPES,
    AuthCertRegistration,
    ManagementRequest,
    client_of,
)
from sild.protocol.pki.certificate import Certificate, read_certificate
from sild.runtime.clock import Clock

# What the reference signs requests with, whatever messages are signed with.
_DIGEST = DigestAlgorithm.SHA512

Sign = Callable[[str, bytes, str], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Composed:
    """A request as it is sent: its SOAP message, and the body around it."""

    soap: bytes
    body: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class AuthKey:
    """A key of the server with one of its authentication certificates."""

    key: Key
    entry: CertificateEntry


class Composer:
    """Writes and signs requests."""

    def __init__(self, keys: Keys, standing: Standing, clock: Clock) -> None:
        self._keys = keys
        self._standing = standing
        self._clock = clock

    async def compose(self, request: ManagementRequest) -> Composed:
        """A request, ready to send.

        Raises NoSigningCertificate, AuthCertificateUnknown, GlobalConfOutdated, InvalidXml, and
        what the signer raises.
        """
        provider = self._standing.conf().management_service.provider
        header = RequestHeader(request.server.owner, provider, self._clock.uuid())
        soap = write_request(request, header)
        if request.type in UNSIGNED_TYPES:
            return Composed(soap, soap, SOAP_TYPE)
        if _asks_only_who_answers(request):
            return self._packed(soap, None)
        client = client_of(request)
        member = request.server.owner if client is None else client.member
        possession = None
        if isinstance(request, AuthCertRegistration):
            possession = await self._possession(request, soap)
        return self._packed(soap, Proofs(await self._member_proof(member, soap), possession))

    async def find_auth_key(self, sha256: str) -> AuthKey:
        """The key of an authentication certificate; raises AuthCertificateUnknown."""
        for token in await self._keys.tokens():
            for key in token.keys:
                for entry in key.certificates:
                    if entry.sha256 == sha256 and key.usage is KeyUsage.AUTHENTICATION:
                        return AuthKey(key, entry)
        raise AuthCertificateUnknown(f"there is no authentication certificate {sha256}", sha256)

    def _packed(self, soap: bytes, proofs: Proofs | None) -> Composed:
        boundary = "xroad" + self._clock.random_bytes(16).hex()
        return Composed(soap, write_package(soap, proofs, boundary), package_type(boundary))

    async def _possession(self, request: AuthCertRegistration, soap: bytes) -> PossessionProof:
        found = await self.find_auth_key(hashlib.sha256(request.certificate).hexdigest())
        certificate = read_certificate(request.certificate)
        algorithm = SignatureAlgorithm.for_key(certificate.public_key, _DIGEST)
        value = await _signed(self._keys.sign_as_server, found.key.id, soap, algorithm)
        return PossessionProof(RequestSignature(algorithm, value), request.certificate)

    async def _member_proof(self, member: ClientId, soap: bytes) -> MemberProof:
        chosen = self._signing_certificate(member)
        certificate = read_certificate(chosen.certificate)
        algorithm = _algorithm(certificate, pss=chosen.pss)
        value = await _signed(self._keys.sign, chosen.key_id, soap, algorithm)
        signature = RequestSignature(algorithm, value)
        return MemberProof(signature, chosen.certificate, chosen.ocsp[0])

    def _signing_certificate(self, member: ClientId) -> SigningCertificate:
        for each in self._standing.snapshot().signing:
            if each.member == member and each.ocsp:
                return each
        raise NoSigningCertificate(
            f"{member} has no signing certificate that can be used now", str(member)
        )


def _asks_only_who_answers(request: ManagementRequest) -> bool:
    return isinstance(request, AuthCertRegistration) and (
        request.dry_run and not request.certificate
    )


def _algorithm(certificate: Certificate, *, pss: bool) -> SignatureAlgorithm:
    algorithm = SignatureAlgorithm.for_key(certificate.public_key, _DIGEST)
    if pss and algorithm is SignatureAlgorithm.RSA_SHA512:
        return SignatureAlgorithm.PSS_SHA512
    return algorithm


async def _signed(sign: Sign, key_id: str, soap: bytes, algorithm: SignatureAlgorithm) -> bytes:
    return await sign(key_id, _DIGEST.digest(soap), algorithm.uri)
