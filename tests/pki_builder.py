"""A small PKI for tests: CAs, certificates, OCSP responses and time-stamps, good and broken.

All is made at NOON, an hour that tests agree on; keys are made once a session.

    ca = TestCa.create()
    signer = ca.issue_sign(ClientId("DEV", "GOV", "M1"))
    signer.certificate, signer.key, signer.sign(b"data")
    ca.ocsp(signer.certificate)                          an OCSP response, DER
    ca.trust("DEV")                                      a Trust that approves the CA
    tsa = TestTsa.create(); tsa.token(b"data")           a time-stamp token, DER
"""

import hashlib
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count

from asn1crypto import algos, cms, core, tsp
from asn1crypto import ocsp as asn1_ocsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from sild.protocol.ids import ClientId
from sild.protocol.pki import der
from sild.protocol.pki.certificate import Certificate, read_certificate
from sild.protocol.pki.trust import (
    ApprovedCa,
    ApprovedCaCert,
    ApprovedTsa,
    OcspPolicy,
    OcspResponder,
    Trust,
)

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
EJBCA = "ee.ria.xroad.common.certificateprofile.impl.EjbcaCertificateProfileInfoProvider"
MEMBER = ClientId("DEV", "GOV", "M1")

_serials = count(1000)

SIGNING = "signing"
AUTHENTICATION = "authentication"
CA = "ca"
OCSP_SIGNING = "ocsp"
TIME_STAMPING = "tsa"
NOTHING = "nothing"


@cache
def key_of(kind="ec", number=0):
    """The key of a kind (`ec`, `ec384`, `rsa`, `rsa1024`) and number, made once a session."""
    del number
    if kind.startswith("ec"):
        return ec.generate_private_key(ec.SECP384R1() if kind == "ec384" else ec.SECP256R1())
    return rsa.generate_private_key(65537, int(kind.removeprefix("rsa") or 2048))


def sign_with(key, data, digest=None):
    """A signature over the data: PKCS #1 v1.5 or ECDSA in DER; SHA-512 unless said."""
    digest = digest or hashes.SHA512()
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), digest)
    return key.sign(data, ec.ECDSA(digest))


def name_of(**fields):
    """A name of attributes in the order given, such as C, O, CN."""
    oids = {
        "C": NameOID.COUNTRY_NAME,
        "O": NameOID.ORGANIZATION_NAME,
        "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
        "CN": NameOID.COMMON_NAME,
        "serialNumber": NameOID.SERIAL_NUMBER,
        "businessCategory": NameOID.BUSINESS_CATEGORY,
        "organizationIdentifier": NameOID.ORGANIZATION_IDENTIFIER,
    }
    with _odd_countries():
        parts = [x509.NameAttribute(oids[k], v, _validate=False) for k, v in fields.items()]
    return x509.Name(parts)


@contextmanager
def _odd_countries():
    # Instances stand where countries should, by the reference's own profiles.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@dataclass(frozen=True)
class Wish:
    """What a certificate should be like; the defaults make a good one."""

    usage: str = SIGNING
    not_before: datetime = NOON - timedelta(days=30)
    not_after: datetime = NOON + timedelta(days=365)
    is_ca: bool = False
    path_length: int | None = None
    digest: hashes.HashAlgorithm = field(default_factory=hashes.SHA256)
    pss: bool = False
    key_cert_sign: bool = True
    extended: tuple[x509.ObjectIdentifier, ...] = ()
    extensions: tuple[tuple[x509.ExtensionType, bool], ...] = ()


@dataclass(frozen=True)
class Issued:
    """A certificate and its key."""

    certificate: Certificate
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

    def sign(self, data, digest=None):
        """A signature over the data, SHA-512 unless said."""
        return sign_with(self.key, data, digest)


def _usage(wish):
    on = {
        SIGNING: {"content_commitment"},
        AUTHENTICATION: {"digital_signature", "key_encipherment", "data_encipherment"},
        CA: {"key_cert_sign", "crl_sign"} if wish.key_cert_sign else {"crl_sign"},
        OCSP_SIGNING: {"digital_signature"},
        TIME_STAMPING: {"digital_signature"},
    }.get(wish.usage)
    if on is None:
        return None
    names = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{name: name in on for name in names})


_EXTENDED = {
    OCSP_SIGNING: (ExtendedKeyUsageOID.OCSP_SIGNING,),
    TIME_STAMPING: (ExtendedKeyUsageOID.TIME_STAMPING,),
    AUTHENTICATION: (ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH),
}


def build_certificate(subject, public_key, issuer, issuer_key, wish):
    """A certificate for the wish."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(next(_serials))
        .not_valid_before(wish.not_before)
        .not_valid_after(wish.not_after)
        .add_extension(x509.BasicConstraints(wish.is_ca, wish.path_length), critical=True)
    )
    if (usage := _usage(wish)) is not None:
        builder = builder.add_extension(usage, critical=True)
    if extended := (wish.extended or _EXTENDED.get(wish.usage, ())):
        critical = wish.usage == TIME_STAMPING
        builder = builder.add_extension(x509.ExtendedKeyUsage(extended), critical=critical)
    for extension, critical in wish.extensions:
        builder = builder.add_extension(extension, critical=critical)
    if isinstance(wish.digest, hashes.SHA1):
        built = builder.sign(issuer_key, hashes.SHA256())
        return read_certificate(_signed_with_sha1(built, issuer_key))
    scheme = padding.PSS(padding.MGF1(wish.digest), 32) if wish.pss else None
    built = builder.sign(issuer_key, wish.digest, rsa_padding=scheme)
    return read_certificate(built.public_bytes(Encoding.DER))


def _signed_with_sha1(certificate, issuer_key):
    """The certificate with a signature that the library no longer makes."""
    weak = asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER))
    name = "sha1_rsa" if isinstance(issuer_key, rsa.RSAPrivateKey) else "sha1_ecdsa"
    weak["tbs_certificate"]["signature"] = {"algorithm": name}
    weak["signature_algorithm"] = {"algorithm": name}
    tbs = weak["tbs_certificate"].dump(force=True)
    weak["signature_value"] = sign_with(issuer_key, tbs, hashes.SHA1())
    return weak.dump(force=True)


@dataclass(frozen=True)
class TestCa:
    """A CA that issues certificates and answers about them."""

    __test__ = False

    name: str
    certificate: Certificate
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    parent: "TestCa | None" = None

    @classmethod
    def create(cls, name="Test CA", *, kind="ec", number=0, parent=None, **wish):
        """A self-signed CA, or one below a parent; the rest are fields of Wish."""
        made = Wish(
            usage=CA, is_ca=True, not_before=NOON - timedelta(days=900),
            not_after=NOON + timedelta(days=900),
        )  # fmt: skip
        made = replace(made, **wish)
        key = key_of(kind, f"{name}-{number}")
        subject = name_of(C="EE", O="Tests", CN=name)
        issuer = name_of(C="EE", O="Tests", CN=parent.name if parent else name)
        issuer_key = parent.key if parent else key
        certificate = build_certificate(subject, key.public_key(), issuer, issuer_key, made)
        return cls(name, certificate, key, parent)

    def issue(self, subject, *, kind="ec", number=0, **wish):
        """A certificate for a name; the rest are fields of Wish."""
        key = key_of(kind, f"leaf-{number}")
        with _odd_countries():
            issuer = self.certificate.x509.subject
        certificate = build_certificate(subject, key.public_key(), issuer, self.key, Wish(**wish))
        return Issued(certificate, key)

    def issue_sign(self, member=MEMBER, *, kind="ec", number=0, **wish):
        """A signing certificate that names a member as the Ejbca profile does."""
        subject = name_of(C=member.instance, O=member.member_class, CN=member.member_code)
        return self.issue(subject, kind=kind, number=number, **({"usage": SIGNING} | wish))

    def issue_auth(self, server_code="SS1", *, instance="DEV", kind="ec", number=1, **wish):
        """An authentication certificate that names a server as the Ejbca profile does."""
        subject = name_of(C=instance, CN=server_code)
        return self.issue(subject, kind=kind, number=number, **({"usage": AUTHENTICATION} | wish))

    def issue_ocsp_signer(self, name="OCSP", *, kind="ec", number=2, **wish):
        """A certificate of a delegated responder."""
        subject = name_of(C="EE", CN=name)
        return self.issue(subject, kind=kind, number=number, **({"usage": OCSP_SIGNING} | wish))

    @property
    def as_responder(self):
        """The CA itself as the signer of OCSP responses."""
        return Issued(self.certificate, self.key)

    def ocsp(
        self,
        certificate,
        *,
        status="good",
        this_update=NOON,
        next_update=None,
        produced_at=None,
        signer=None,
        embed=True,
        by_name=False,
        issuer=None,
        digest=None,
    ):
        """An OCSP response in DER, signed by the CA or the given signer.

        `issuer` is the CA certificate that the certificate is said to be of.
        """
        signer = signer or self.as_responder
        issuer = issuer or self.certificate
        digest = digest or hashes.SHA256()
        own = asn1_x509.Certificate.load(signer.certificate.der)
        single = {
            "cert_id": {
                "hash_algorithm": {"algorithm": "sha1"},
                "issuer_name_hash": hashlib.sha1(issuer.subject_der).digest(),
                "issuer_key_hash": issuer.key_sha1,
                "serial_number": certificate.serial,
            },
            "cert_status": _status(status, this_update),
            "this_update": this_update,
        }
        if next_update is not None:
            single["next_update"] = next_update
        responder = (
            asn1_ocsp.ResponderId("by_name", own.subject)
            if by_name
            else asn1_ocsp.ResponderId("by_key", signer.certificate.key_sha1)
        )
        signed_part = asn1_ocsp.ResponseData(
            {
                "responder_id": responder,
                "produced_at": produced_at or this_update,
                "responses": [single],
            }
        )
        family = "rsa" if isinstance(signer.key, rsa.RSAPrivateKey) else "ecdsa"
        basic = {
            "tbs_response_data": signed_part,
            "signature_algorithm": {"algorithm": f"{digest.name}_{family}"},
            "signature": signer.sign(signed_part.dump(), digest),
        }
        if embed:
            basic["certs"] = [own]
        response = {
            "response_type": "basic_ocsp_response",
            "response": asn1_ocsp.BasicOCSPResponse(basic),
        }
        return asn1_ocsp.OCSPResponse(
            {"response_status": "successful", "response_bytes": response}
        ).dump()

    def approved(
        self, *, intermediates=(), responders=(), authentication_only=False, profile=EJBCA
    ):
        """The CA as the global configuration approves it."""
        listed = tuple(OcspResponder("http://ocsp.test/", signer) for signer in responders)
        return ApprovedCa(
            name=self.name,
            authentication_only=authentication_only,
            profile=profile,
            top=ApprovedCaCert(self.certificate, listed),
            intermediates=tuple(ApprovedCaCert(ca.certificate, listed) for ca in intermediates),
        )

    def trust(self, instance="DEV", *, tsas=(), ocsp_policy=None, **approved):
        """A Trust that approves this CA alone; the rest are arguments of `approved`."""
        return Trust(
            instance=instance,
            cas=(self.approved(**approved),),
            tsas=tuple(tsa.approved() for tsa in tsas),
            ocsp=ocsp_policy or OcspPolicy(),
        )


def _status(status, this_update):
    reasons = {"revoked": "key_compromise", "on hold": "certificate_hold"}
    if status not in reasons:
        return asn1_ocsp.CertStatus(status, core.Null())
    when = this_update - timedelta(days=1)
    reason = {"revocation_time": when, "revocation_reason": reasons[status]}
    return asn1_ocsp.CertStatus("revoked", reason)


@dataclass(frozen=True)
class Stamp:
    """What a time-stamp token should be like; the defaults make a good one."""

    at: datetime = NOON
    digest: str = "sha512"
    imprint: bytes | None = None
    nonce: int | None = None
    signing_certificate: str = "v2"
    named: Certificate | None = None
    message_digest: bytes | None = None
    embed: bool = False
    status: str = "granted"
    content_type: str = "tst_info"
    stated_type: str | None = "tst_info"
    content_digest: str = "sha256"
    critical_extension: bool = False
    issuer_and_serial: tuple[Certificate, int] | None = None
    spoil_signature: bool = False


@dataclass(frozen=True)
class TestTsa:
    """A time-stamping authority."""

    __test__ = False

    signer: Issued

    @classmethod
    def create(cls, name="Test TSA", *, ca=None, kind="ec", number=3, **wish):
        """A TSA whose certificate is of the given CA."""
        ca = ca or TestCa.create("TSA CA")
        subject = name_of(C="EE", O="Tests", CN=name)
        return cls(ca.issue(subject, kind=kind, number=number, **({"usage": TIME_STAMPING} | wish)))

    def approved(self, url="http://tsa.test/"):
        """The TSA as the global configuration approves it."""
        return ApprovedTsa("Test TSA", url, self.signer.certificate)

    def token(self, data, **stamp):
        """A token over the data in DER; the rest are fields of Stamp."""
        return self._signed_data(data, Stamp(**stamp)).dump()

    def response(self, data, **stamp):
        """A whole answer in DER; the rest are fields of Stamp."""
        wish = Stamp(**stamp)
        status = tsp.PKIStatusInfo({"status": wish.status}).dump()
        granted = wish.status.startswith("granted")
        return der.sequence(status, self._signed_data(data, wish).dump() if granted else b"")

    def answer(self, request, **stamp):
        """A whole answer to a request in DER."""
        asked = tsp.TimeStampReq.load(request)
        imprint = asked["message_imprint"]
        stamp = {
            "digest": imprint["hash_algorithm"]["algorithm"].native,
            "imprint": imprint["hashed_message"].native,
            "nonce": asked["nonce"].native,
            "embed": bool(asked["cert_req"].native),
        } | stamp
        return self.response(b"", **stamp)

    def _signed_data(self, data, wish):
        info = {
            "version": "v1",
            "policy": "1.2.3",
            "message_imprint": {
                "hash_algorithm": {"algorithm": wish.digest},
                "hashed_message": wish.imprint or hashlib.new(wish.digest, data).digest(),
            },
            "serial_number": next(_serials),
            "gen_time": wish.at,
        }
        if wish.nonce is not None:
            info["nonce"] = wish.nonce
        if wish.critical_extension:
            extension = {"extn_id": "1.2.3.4", "critical": True, "extn_value": b"\x05\x00"}
            info["extensions"] = [extension]
        content = tsp.TSTInfo(info).dump()
        attributes = self._attributes(content, wish)
        signature = self.signer.sign(attributes.dump(), hashes.SHA256())
        if wish.spoil_signature:
            signature = self.signer.sign(b"something else", hashes.SHA256())
        own = asn1_x509.Certificate.load(self.signer.certificate.der)
        rsa_key = isinstance(self.signer.key, rsa.RSAPrivateKey)
        signer_info = cms.SignerInfo(
            {
                "version": "v1",
                "sid": cms.SignerIdentifier(
                    "issuer_and_serial_number",
                    {"issuer": own.issuer, "serial_number": own.serial_number},
                ),
                "digest_algorithm": {"algorithm": wish.content_digest},
                "signed_attrs": attributes,
                "signature_algorithm": {"algorithm": "sha256_rsa" if rsa_key else "sha256_ecdsa"},
                "signature": signature,
            }
        )
        signed = {
            "version": "v3",
            "digest_algorithms": [algos.DigestAlgorithm({"algorithm": "sha256"})],
            "encap_content_info": {
                "content_type": wish.content_type,
                "content": core.ParsableOctetString(content),
            },
            "signer_infos": [signer_info],
        }
        if wish.embed:
            signed["certificates"] = [own]
        return cms.ContentInfo({"content_type": "signed_data", "content": cms.SignedData(signed)})

    def _attributes(self, content, wish):
        digest = hashlib.new(wish.content_digest, content).digest()
        attributes = [{"type": "message_digest", "values": [wish.message_digest or digest]}]
        if wish.stated_type is not None:
            attributes.append({"type": "content_type", "values": [wish.stated_type]})
        named = wish.named or self.signer.certificate
        v1 = wish.signing_certificate == "v1"
        entry = {"cert_hash": named.sha1 if v1 else named.sha256}
        if wish.issuer_and_serial is not None:
            issuer, serial = wish.issuer_and_serial
            name = asn1_x509.Certificate.load(issuer.der).subject
            general = asn1_x509.GeneralName("directory_name", name)
            entry["issuer_serial"] = {"issuer": [general], "serial_number": serial}
        if v1:
            value = tsp.SigningCertificate({"certs": [entry]})
            attributes.append({"type": "signing_certificate", "values": [value]})
        elif wish.signing_certificate == "v2":
            value = tsp.SigningCertificateV2({"certs": [entry]})
            attributes.append({"type": "signing_certificate_v2", "values": [value]})
        return cms.CMSAttributes([cms.CMSAttribute(attribute) for attribute in attributes])


def critical_unknown_extension():
    """An extension that nobody knows, marked critical, as an entry of Wish.extensions."""
    oid = x509.ObjectIdentifier("1.2.3.4.5.6")
    return x509.UnrecognizedExtension(oid, b"\x05\x00"), True


__all__ = [
    "AUTHENTICATION", "CA", "EJBCA", "MEMBER", "NOON", "NOTHING", "OCSP_SIGNING", "SIGNING",
    "TIME_STAMPING", "ExtensionOID", "Issued", "Stamp", "TestCa", "TestTsa", "Wish",
    "build_certificate", "critical_unknown_extension", "key_of", "name_of", "sign_with",
]  # fmt: skip
