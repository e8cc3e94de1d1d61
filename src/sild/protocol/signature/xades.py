"""Write signature documents around a value that someone else signs.

What a signer always says is put together once for a key and its OCSP response; a document fills
in the digests and the time. The canonical bytes that are digested and signed are filled in beside
it from the same text, so nothing is parsed or canonicalised on the way.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from sild.protocol.algorithms import (
    DigestAlgorithm,
    KeyFamily,
    SignatureAlgorithm,
    ecdsa_raw_from_der,
)
from sild.protocol.errors import CannotCreateSignature
from sild.protocol.pki.certificate import Certificate
from sild.protocol.safexml import NOT_XML
from sild.protocol.signature.base64text import encode_base64
from sild.protocol.signature.form import (
    NAMESPACES,
    POLICY,
    PROLOGUE,
    SHA512,
    SIGNED_PROPERTIES_TYPE,
    canonical_text,
)
from sild.protocol.signature.names import MESSAGE, SIG_HASH_CHAIN_RESULT

_MIME_TYPES = {MESSAGE: b"text/xml", SIG_HASH_CHAIN_RESULT: b"application/hash-chain-result"}
_UNSIGNED = "<xades:UnsignedProperties><xades:UnsignedSignatureProperties>"
_HEAD = (
    PROLOGUE + b"<asic:XAdESSignatures " + NAMESPACES + b'><ds:Signature Id="signature">'
)  # fmt: skip
_TAIL = (
    b"</xades:UnsignedSignatureProperties></xades:UnsignedProperties></xades:QualifyingProperties>"
    b"</ds:Object></ds:Signature></asic:XAdESSignatures>"
)


@dataclass(frozen=True, slots=True)
class SigningIdentity:
    """What a signature says of its signer: certificate and OCSP response, and those above it."""

    certificate: Certificate
    ocsp: bytes
    chain: tuple[tuple[Certificate, bytes], ...]
    """The intermediate certificates, each with its OCSP response."""
    algorithm: SignatureAlgorithm


@dataclass(frozen=True, slots=True)
class _Form:
    """The texts of one kind of document, with holes for digests and the time."""

    signed_info: bytes
    canonical_signed_info: bytes
    signed_properties: bytes
    canonical_signed_properties: bytes


@dataclass(frozen=True, slots=True)
class Unsigned:
    """A signature document that waits for its value."""

    to_sign: bytes
    digest_to_sign: bytes
    """The digest of `to_sign`, for keys that sign a digest."""
    _template: "Template"
    _signed_info: bytes
    _signed_properties: bytes

    def finish(self, value: bytes) -> bytes:
        """The whole document, around the value as the key made it: RSA as it is, ECDSA in DER."""
        return self._template.write(self._signed_info, self._signed_properties, value)


class Template:
    """What all signature documents of one signer have in common."""

    def __init__(self, identity: SigningIdentity) -> None:
        self._digest = identity.algorithm.digest_algorithm
        self._raw_width = _raw_width(identity)
        self._forms = {uri: _form(uri, identity) for uri in _MIME_TYPES}
        self._before_value = b'<ds:SignatureValue Id="signature-value">'
        self._before_properties = (
            b"</ds:SignatureValue><ds:KeyInfo><ds:X509Data><ds:X509Certificate>"
            + encode_base64(identity.certificate.der)
            + b"</ds:X509Certificate></ds:X509Data></ds:KeyInfo>"
            b'<ds:Object><xades:QualifyingProperties Target="#signature">'
        )
        self._tail = _unsigned_properties(identity).encode("utf-8") + _TAIL

    def prepare(self, target_uri: str, digest: bytes, now: datetime) -> Unsigned:
        """A document over the SHA-512 digest of a message or a hash chain result."""
        form = self._forms[target_uri]
        time = now.astimezone(UTC).isoformat(timespec="milliseconds")[:23].encode("ascii") + b"Z"
        of_properties = DigestAlgorithm.SHA512.digest(form.canonical_signed_properties % time)
        digests = encode_base64(digest), encode_base64(of_properties)
        to_sign = form.canonical_signed_info % digests
        return Unsigned(
            to_sign=to_sign,
            digest_to_sign=self._digest.digest(to_sign),
            _template=self,
            _signed_info=form.signed_info % digests,
            _signed_properties=form.signed_properties % time,
        )

    def write(self, signed_info: bytes, signed_properties: bytes, value: bytes) -> bytes:
        """The whole document."""
        if self._raw_width is not None:
            value = ecdsa_raw_from_der(value, self._raw_width)
        return b"".join(
            (
                _HEAD,
                signed_info,
                self._before_value,
                encode_base64(value),
                self._before_properties,
                signed_properties,
                self._tail,
            )
        )


@lru_cache(maxsize=256)
def get_template(identity: SigningIdentity) -> Template:
    """The template of a signer, made once."""
    return Template(identity)


def prepare(target_uri: str, digest: bytes, identity: SigningIdentity, now: datetime) -> Unsigned:
    """A signature document over the SHA-512 digest of /message.xml or /sig-hashchainresult.xml.

    Raises CannotCreateSignature where the key cannot sign by the algorithm.
    """
    return get_template(identity).prepare(target_uri, digest, now)


def _raw_width(identity: SigningIdentity) -> int | None:
    """How wide r and s are in an ECDSA value; None for RSA."""
    key, family = identity.certificate.public_key, identity.algorithm.family
    if isinstance(key, ec.EllipticCurvePublicKey) and family is KeyFamily.EC:
        return (key.key_size + 7) // 8
    if isinstance(key, rsa.RSAPublicKey) and family is not KeyFamily.EC:
        return None
    raise CannotCreateSignature(
        f"the key of {identity.certificate.subject_text} cannot sign by {identity.algorithm.name}"
    )


def _form(uri: str, identity: SigningIdentity) -> _Form:
    signed_info = _signed_info(uri, identity.algorithm)
    properties = _signed_properties(uri, identity.certificate)
    return _Form(signed_info, canonical_text(signed_info), properties, canonical_text(properties))


def _signed_info(uri: str, algorithm: SignatureAlgorithm) -> bytes:
    """SignedInfo with holes for the digests of the target and of the signed properties."""
    digest = SHA512 + b"<ds:DigestValue>%b</ds:DigestValue></ds:Reference>"
    return (
        b"<ds:SignedInfo><ds:CanonicalizationMethod"
        b' Algorithm="http://www.w3.org/TR/2001/REC-xml-c14n-20010315"/>'
        b'<ds:SignatureMethod Algorithm="' + algorithm.uri.encode("ascii") + b'"/>'
        b'<ds:Reference Id="signature-reference-0" URI="' + uri.encode("ascii") + b'">'
        + digest
        + b'<ds:Reference Id="signature-reference-1" Type="' + SIGNED_PROPERTIES_TYPE
        + b'" URI="#signed-properties">'
        + digest
        + b"</ds:SignedInfo>"
    )  # fmt: skip


def _signed_properties(uri: str, certificate: Certificate) -> bytes:
    """SignedProperties with a hole for the time."""
    cert = _cert(certificate).encode("utf-8").replace(b"%", b"%%")
    return (
        b'<xades:SignedProperties Id="signed-properties"><xades:SignedSignatureProperties>'
        b"<xades:SigningTime>%b</xades:SigningTime>"
        b"<xades:SigningCertificate><xades:Cert>" + cert + b"</xades:Cert>"
        b"</xades:SigningCertificate>" + POLICY + b"</xades:SignedSignatureProperties>"
        b"<xades:SignedDataObjectProperties>"
        b'<xades:DataObjectFormat ObjectReference="#signature-reference-0">'
        b"<xades:MimeType>" + _MIME_TYPES[uri] + b"</xades:MimeType></xades:DataObjectFormat>"
        b"</xades:SignedDataObjectProperties></xades:SignedProperties>"
    )


def _cert(certificate: Certificate) -> str:
    """What a Cert element holds: the certificate's digest, issuer and serial number."""
    if NOT_XML.search(certificate.issuer_text):
        raise CannotCreateSignature(
            f"the issuer name {certificate.issuer_text!r} cannot stand in XML"
        )
    return (
        f"<xades:CertDigest>{SHA512.decode('ascii')}"
        f"<ds:DigestValue>{_base64(certificate.sha512)}</ds:DigestValue></xades:CertDigest>"
        f"<xades:IssuerSerial><ds:X509IssuerName>{_escaped(certificate.issuer_text)}"
        f"</ds:X509IssuerName><ds:X509SerialNumber>{certificate.serial}</ds:X509SerialNumber>"
        "</xades:IssuerSerial>"
    )


def _escaped(text: str) -> str:
    """The canonical form of a text in XML."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace("\r", "&#xD;")


def _unsigned_properties(identity: SigningIdentity) -> str:
    chain = identity.chain
    responses = (identity.ocsp, *(ocsp for _, ocsp in chain))
    certificates = [certificate for certificate, _ in chain]
    values = (
        f'<xades:EncapsulatedOCSPValue Id="ocsp-response-{number}">{_base64(ocsp)}'
        "</xades:EncapsulatedOCSPValue>"
        for number, ocsp in enumerate(responses, 1)
    )
    return (
        f"{_UNSIGNED}{_extra_certificates(certificates) if certificates else ''}"
        f"<xades:RevocationValues><xades:OCSPValues>{''.join(values)}</xades:OCSPValues>"
        "</xades:RevocationValues>"
    )


def _extra_certificates(certificates: list[Certificate]) -> str:
    refs = (
        f'<xades:Cert URI="#encapsulated-cert-{number}">{_cert(certificate)}</xades:Cert>'
        for number, certificate in enumerate(certificates, 1)
    )
    values = (
        f'<xades:EncapsulatedX509Certificate Id="encapsulated-cert-{number}">'
        f"{_base64(certificate.der)}</xades:EncapsulatedX509Certificate>"
        for number, certificate in enumerate(certificates, 1)
    )
    return (
        '<xades:CompleteCertificateRefs Id="complete-certificate-refs">'
        f"<xades:CertRefs>{''.join(refs)}</xades:CertRefs></xades:CompleteCertificateRefs>"
        f"<xades:CertificateValues>{''.join(values)}</xades:CertificateValues>"
    )


def _base64(data: bytes) -> str:
    return encode_base64(data).decode("ascii")
