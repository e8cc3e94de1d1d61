"""Certificates and OCSP responses as a test wants them: true ones, and every kind of wrong one."""

from cryptography.hazmat.primitives.asymmetric import ec

from sild.devnet.certification import CaSettings, CertificationAuthority
from sild.devnet.credentials import Credential
from sild.devnet.ocsp_responder import OcspResponder
from sild.protocol.algorithms import DigestAlgorithm
from sild.protocol.pki.csr import CertificateUse, prepare_csr
from sild.protocol.pki.names import write_name
from sild.protocol.pki.ocsp import build_ocsp_request


class Papers:
    """What one CA and its OCSP responder give."""

    def __init__(self, ca, responder):
        self.ca = ca
        self.responder = responder

    @classmethod
    def of(cls, authorities):
        """Those of the ecosystem, which everybody trusts."""
        return cls(authorities.ca, authorities.ocsp)

    @classmethod
    def of_a_stranger(cls, clock, instance="TEST"):
        """A CA that nobody approves, with the names of the one that everybody does."""
        ca = CertificationAuthority(CaSettings(instance), clock)
        return cls(ca, OcspResponder(ca, clock, None))

    def signing(self, member, validity=None):
        """A signing certificate of a member, by the Basic profile."""
        fields = (
            ("CN", member.member_code),
            ("O", member.member_code),
            ("businessCategory", member.member_class),
            ("C", "EE"),
            ("serialNumber", member.member_code),
        )
        return self._issue(fields, CertificateUse.SIGNING, validity)

    def authentication(self, server, validity=None):
        """An authentication certificate of a server."""
        fields = (("CN", server.server_code), ("serialNumber", server.owner.member_code))
        return self._issue((*fields, ("C", "EE")), CertificateUse.AUTHENTICATION, validity)

    def _issue(self, fields, use, validity):
        key = ec.generate_private_key(ec.SECP256R1())
        unsigned = prepare_csr(write_name(fields), key.public_key(), use)
        request = unsigned.finish(
            key.sign(unsigned.tbs, ec.ECDSA(DigestAlgorithm.SHA256.primitive))
        )
        return Credential(self.ca.sign_request(request, use, validity), key)

    def ocsp(self, credential, fault=None):
        """The OCSP response of a certificate, now; with a fault, a wrong one."""
        certificate = credential.certificate
        if fault is not None:
            self.responder.misbehave(certificate.serial, fault)
        issuer = self.ca.issuer.credential.certificate
        answer = self.responder.answer(build_ocsp_request(certificate, issuer))
        self.responder.behave(certificate.serial)
        assert answer is not None
        return answer

    def ocsp_that_ends(self, credential, next_update, fault=None):
        """The response with another nextUpdate, given from thisUpdate on, or with none."""
        before = self.responder._next_update
        self.responder._next_update = next_update
        try:
            return self.ocsp(credential, fault)
        finally:
            self.responder._next_update = before

    def revoke(self, credential):
        self.ca.revoke(credential.certificate.serial)
