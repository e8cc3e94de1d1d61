"""A member who signs messages for the log, and the authorities that make evidence of them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Self

from cryptography.x509.oid import ExtendedKeyUsageOID

from sild.devnet.certification import CaSettings, CertificationAuthority
from sild.devnet.credentials import Credential, CredentialStore, generate_key
from sild.devnet.errors import DevnetError
from sild.devnet.ocsp_responder import OcspResponder
from sild.devnet.timestamping import TimestampingAuthority
from sild.model.messages import MessageRecord
from sild.model.tokens import KeyAlgorithm
from sild.protocol.algorithms import DigestAlgorithm, SignatureAlgorithm
from sild.protocol.globalconf.shared_parameters import TimestampingService
from sild.protocol.ids import ClientId
from sild.protocol.pki.csr import CertificateUse, prepare_csr
from sild.protocol.pki.ocsp import build_ocsp_request
from sild.protocol.pki.profiles import subject_name
from sild.protocol.pki.trust import ApprovedCa, ApprovedCaCert, ApprovedTsa, Trust
from sild.protocol.pki.trust import OcspResponder as ApprovedResponder
from sild.protocol.rest.message import RestRequest, build_rest_request
from sild.protocol.signature.batch import SignatureBatch
from sild.protocol.signature.hashchain import Leaf
from sild.protocol.signature.names import MESSAGE, attachment
from sild.protocol.signature.xades import SigningIdentity
from sild.runtime.clock import Clock

INSTANCE = "DEV"
BODY_BYTES = 4000
BATCH = 16
"""How many messages share a signature: what a server under load signs together at most."""

_KEY = KeyAlgorithm.RSA_2048
_MEMBER = ClientId(INSTANCE, "GOV", "M1")
_CLIENT = _MEMBER.subsystem("S1")
_TARGET = b"/r1/DEV/GOV/M2/S2/service/registrations"
_PROFILE = "ee.ria.xroad.common.certificateprofile.impl.BasicCertificateProfileInfoProvider"
_TSA_URL = "http://tsa.invalid/"
_RESPONDER_URL = "http://ocsp.invalid/"
_NEXT_UPDATE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Authorities:
    """The CA and the time-stamper, kept in a directory so that other processes have the same."""

    ca: CertificationAuthority
    tsa: TimestampingAuthority

    @classmethod
    def at(cls, directory: Path, clock: Clock) -> Self:
        """Those of a directory, made where there are none."""
        store = CredentialStore(directory)
        ca = CertificationAuthority(CaSettings(INSTANCE, _KEY), clock, store)
        stamper = ca.issue_service("tsa", "Test TSA", ExtendedKeyUsageOID.TIME_STAMPING)
        return cls(ca, TimestampingAuthority(stamper, clock))

    @property
    def approved_tsa(self) -> TimestampingService:
        """The time-stamper as a global configuration approves it."""
        return TimestampingService("Test TSA", _TSA_URL, self.tsa.signer.certificate)

    @property
    def trust(self) -> Trust:
        """Whom a verifier trusts."""
        root, tsa = self.ca.root, self.approved_tsa
        responder = ApprovedResponder(_RESPONDER_URL, root.ocsp_signer.certificate)
        top = ApprovedCaCert(root.credential.certificate, (responder,))
        return Trust(
            INSTANCE,
            (ApprovedCa("Test CA", False, _PROFILE, top),),
            (ApprovedTsa(tsa.name, tsa.url, tsa.certificate),),
        )

    async def fetch_timestamp(self, url: str, request: bytes) -> bytes:
        """What the time-stamper answers, with no network between."""
        answer = self.tsa.answer(request)
        if url != _TSA_URL or answer is None:
            raise DevnetError(f"no time-stamp from {url}")
        return answer


class Signatory:
    """A member with a key and all that stands in its signatures."""

    def __init__(self, authorities: Authorities, clock: Clock) -> None:
        self._clock = clock
        key = generate_key(_KEY)
        fields = {
            "CN": "Example",
            "C": "EE",
            "O": "Example",
            "businessCategory": _MEMBER.member_class,
            "serialNumber": _MEMBER.member_code,
        }
        public = key.public_key()
        unsigned = prepare_csr(subject_name(fields), public, CertificateUse.SIGNING)
        ca, root = authorities.ca, authorities.ca.root.credential
        # The request is signed before there is a certificate: by the key under another's.
        value = replace(root, key=key).sign(unsigned.tbs, DigestAlgorithm.SHA256)
        request = unsigned.finish(value)
        certificate = ca.sign_request(request, CertificateUse.SIGNING)
        asked = build_ocsp_request(certificate, root.certificate)
        response = OcspResponder(ca, clock, _NEXT_UPDATE).answer(asked)
        if response is None:
            raise DevnetError("the OCSP responder is silent")
        self._credential = Credential(certificate, key)
        algorithm = SignatureAlgorithm.for_key(public)
        self._identity = SigningIdentity(certificate, response, (), algorithm)

    def records(self, count: int) -> Iterator[MessageRecord]:
        """So many requests of about 4 kB, signed in batches."""
        for start in range(0, count, BATCH):
            yield from self._batch(range(start, min(start + BATCH, count)))

    def _batch(self, numbers: range) -> Iterator[MessageRecord]:
        now, digest = self._clock.now(), DigestAlgorithm.SHA512.digest
        requests = [self._request(number) for number in numbers]
        # Text that does not compress much, and no two alike.
        bodies = [self._clock.random_bytes(BODY_BYTES // 2).hex().encode() for _ in numbers]
        leaves = [
            Leaf(((MESSAGE, digest(each.part)), (attachment(1), digest(body))))
            for each, body in zip(requests, bodies, strict=True)
        ]
        batch = SignatureBatch(leaves, self._identity, now)
        signed = batch.finish(self._credential.sign(batch.to_sign))
        for request, body, documents in zip(requests, bodies, signed, strict=True):
            yield MessageRecord(
                query_id=request.message_id,
                owner=_CLIENT,
                is_response=False,
                time_ms=int(now.timestamp() * 1000),
                message=request.part,
                signature=documents.signature,
                hash_chain_result=documents.hash_chain_result,
                hash_chain=documents.hash_chain,
                body=body,
                request_id=request.request_id,
            )

    def _request(self, number: int) -> RestRequest:
        headers = [
            (b"Host", b"localhost"),
            (b"Content-Type", b"application/json"),
            (b"X-Road-Client", _CLIENT.short.encode()),
            (b"X-Road-Id", f"bench-{number:012}".encode()),
        ]
        clock = self._clock
        return build_rest_request(b"POST", _TARGET, headers, clock.uuid(), INSTANCE, clock.uuid)
