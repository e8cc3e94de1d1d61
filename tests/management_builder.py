"""Management requests as security servers send them, good and broken.

sender = TestSender.create()
body, content_type = sender.send(ClientRegistration(SERVER, CLIENT))
"""

from dataclasses import dataclass, replace

from cryptography.hazmat.primitives.asymmetric import ec, padding

from pki_builder import MEMBER, Issued, TestCa
from sild.protocol.algorithms import KeyFamily, SignatureAlgorithm
from sild.protocol.ids import ClientId, SecurityServerId
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
from sild.protocol.management.requests import UNSIGNED_TYPES, AuthCertRegistration, RequestType
from sild.protocol.management.verify import Ecosystem

SERVER = SecurityServerId(MEMBER, "SS1")
OTHER = ClientId("DEV", "COM", "M2")
CLIENT = OTHER.subsystem("portal")
SERVICES = MEMBER.subsystem("management")
BOUNDARY = "xroadABCDEF"


def sign(algorithm, key, data):
    """A signature by any algorithm."""
    digest = algorithm.digest_algorithm.primitive
    if algorithm.family is KeyFamily.EC:
        return key.sign(data, ec.ECDSA(digest))
    if algorithm.family is KeyFamily.RSA:
        return key.sign(data, padding.PKCS1v15(), digest)
    return key.sign(data, padding.PSS(padding.MGF1(digest), digest.digest_size), digest)


def default_algorithm(key):
    return SignatureAlgorithm.for_key(key.public_key())


@dataclass(frozen=True)
class TestSender:
    """A security server, its keys, and the CA that certified them."""

    __test__ = False

    ca: TestCa
    auth: Issued
    signers: dict[ClientId, Issued]
    owner: ClientId = MEMBER

    @classmethod
    def create(cls, ca=None, *, owner=MEMBER, members=(MEMBER, OTHER), kind="ec"):
        ca = ca or TestCa.create()
        signers = {member: ca.issue_sign(member, kind=kind) for member in members}
        return cls(ca, ca.issue_auth("SS1", kind=kind), signers, owner)

    @property
    def ecosystem(self):
        return Ecosystem(self.ca.trust(), SERVICES)

    def header(self, **changes):
        return replace(RequestHeader(self.owner, SERVICES, "message-1"), **changes)

    def member_proof(self, soap, member, algorithm=None, **ocsp):
        signer = self.signers[member]
        algorithm = algorithm or default_algorithm(signer.key)
        signature = RequestSignature(algorithm, sign(algorithm, signer.key, soap))
        certificate = signer.certificate
        return MemberProof(signature, certificate.der, self.ca.ocsp(certificate, **ocsp))

    def possession(self, soap, algorithm=None):
        algorithm = algorithm or default_algorithm(self.auth.key)
        signature = RequestSignature(algorithm, sign(algorithm, self.auth.key, soap))
        return PossessionProof(signature, self.auth.certificate.der)

    def registration(self, **changes):
        request = AuthCertRegistration(SERVER, self.auth.certificate.der, "ss1.example.org")
        return replace(request, **changes)

    def signer_of(self, request):
        client = getattr(request, "client", None)
        return self.owner if client is None else client.member

    def soap(self, request, **header):
        return write_request(request, self.header(**header))

    def send(self, request, *, algorithm=None, signer=None, **header):
        """The body and the content type of a good request."""
        soap = self.soap(request, **header)
        if request.type in UNSIGNED_TYPES:
            return soap, SOAP_TYPE
        member = self.member_proof(soap, signer or self.signer_of(request), algorithm)
        possession = None
        if request.type is RequestType.AUTH_CERT_REGISTRATION:
            possession = self.possession(soap, algorithm)
        return write_package(soap, Proofs(member, possession), BOUNDARY), package_type(BOUNDARY)
