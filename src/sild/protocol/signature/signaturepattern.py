"""Read signature documents in the one form that 7.x peers write, without a parser.

An optimisation of `signaturexml`, and never more lenient: what this reads, that reads to the same
value, and anything that is not exactly this form is left to it. In this form the text is
canonical already, but for empty elements, for the line breaks in base64, and for the namespaces
that the first element of what is signed inherits.
"""

import re

from sild.protocol.errors import ProtocolError
from sild.protocol.signature.base64text import NotBase64, decode_unbroken
from sild.protocol.signature.document import (
    Reading,
    SignatureDocument,
    StatedDigest,
    to_document,
)
from sild.protocol.signature.form import (
    NAMESPACES,
    POLICY,
    PROLOGUE,
    SIGNED_PROPERTIES_TYPE,
    canonical_text,
)
from sild.protocol.signature.signaturexml import MOST_BYTES

_URI = rb"[a-zA-Z0-9:/.#-]{1,100}"
_TEXT = rb"[^<]*"
_BASE64 = rb"[^<]+"
_METHOD = rb'<ds:DigestMethod Algorithm="(' + _URI + rb')"/>'
_WRAPPED_METHOD = rb"\n?" + _METHOD + rb"\n?"


def _reference(head: bytes) -> bytes:
    return (
        rb"<ds:Reference " + head + rb">" + _WRAPPED_METHOD + rb"<ds:DigestValue>(" + _BASE64
        + rb")</ds:DigestValue>\n?</ds:Reference>\n?"
    )  # fmt: skip


_SIGNED_INFO = (
    rb"<ds:SignedInfo>\n?"
    rb'<ds:CanonicalizationMethod Algorithm="http://www\.w3\.org/TR/2001/REC-xml-c14n-20010315"/>'
    rb'\n?<ds:SignatureMethod Algorithm="(' + _URI + rb')"/>\n?'
    + _reference(rb'Id="signature-reference-0" URI="(/message\.xml|/sig-hashchainresult\.xml)"')
    + _reference(
        rb'Id="signature-reference-1" Type="' + re.escape(SIGNED_PROPERTIES_TYPE)
        + rb'" URI="#signed-properties"'
    )
    + rb"</ds:SignedInfo>"
)  # fmt: skip
_CERT = (
    rb"<xades:CertDigest>" + _METHOD + rb"<ds:DigestValue>(" + _BASE64 + rb")</ds:DigestValue>"
    rb"</xades:CertDigest><xades:IssuerSerial><ds:X509IssuerName>(" + _TEXT
    + rb")</ds:X509IssuerName><ds:X509SerialNumber>[0-9]{1,60}</ds:X509SerialNumber>"
    rb"</xades:IssuerSerial></xades:Cert>"
)  # fmt: skip
_SIGNED_PROPERTIES = (
    rb'<xades:SignedProperties Id="signed-properties"><xades:SignedSignatureProperties>'
    rb"<xades:SigningTime>([0-9T:.-]{19,32}Z)</xades:SigningTime>"
    rb"<xades:SigningCertificate><xades:Cert>" + _CERT + rb"</xades:SigningCertificate>"
    + re.escape(POLICY)
    + rb"</xades:SignedSignatureProperties><xades:SignedDataObjectProperties>"
    rb'<xades:DataObjectFormat ObjectReference="#signature-reference-0">'
    rb"<xades:MimeType>(?:text/xml|application/hash-chain-result)</xades:MimeType>"
    rb"</xades:DataObjectFormat></xades:SignedDataObjectProperties></xades:SignedProperties>"
)  # fmt: skip
_CERT_REF = rb'<xades:Cert URI="#(encapsulated-cert-[0-9]{1,3})">' + _CERT
_CERT_VALUE = (
    rb'<xades:EncapsulatedX509Certificate Id="(encapsulated-cert-[0-9]{1,3})">(' + _BASE64
    + rb")</xades:EncapsulatedX509Certificate>"
)  # fmt: skip
_OCSP_VALUE = (
    rb'<xades:EncapsulatedOCSPValue Id="(ocsp-response-[0-9]{1,3})">(' + _BASE64
    + rb")</xades:EncapsulatedOCSPValue>"
)  # fmt: skip


def _repeated(pattern: bytes) -> bytes:
    """The pattern once or more, all of it as one group; its own groups are taken later."""
    return rb"((?:" + pattern.replace(b"(", b"(?:") + rb")+)"


_CERTIFICATES = (
    rb'<xades:CompleteCertificateRefs Id="complete-certificate-refs"><xades:CertRefs>'
    + _repeated(_CERT_REF)
    + rb"</xades:CertRefs></xades:CompleteCertificateRefs><xades:CertificateValues>"
    + _repeated(_CERT_VALUE)
    + rb"</xades:CertificateValues>"
)
_DOCUMENT = re.compile(
    re.escape(PROLOGUE)
    + rb"<asic:XAdESSignatures " + re.escape(NAMESPACES) + rb'><ds:Signature Id="signature">\n?('
    + _SIGNED_INFO
    + rb')\n?<ds:SignatureValue Id="signature-value">(' + _BASE64 + rb")</ds:SignatureValue>\n?"
    + rb"<ds:KeyInfo>\n?<ds:X509Data>\n?<ds:X509Certificate>(" + _BASE64
    + rb")</ds:X509Certificate>\n?</ds:X509Data>\n?</ds:KeyInfo>\n?"
    + rb'<ds:Object><xades:QualifyingProperties Target="#signature">('
    + _SIGNED_PROPERTIES
    + rb")<xades:UnsignedProperties><xades:UnsignedSignatureProperties>(?:"
    + _CERTIFICATES
    + rb")?<xades:RevocationValues><xades:OCSPValues>"
    + _repeated(_OCSP_VALUE)
    + rb"</xades:OCSPValues></xades:RevocationValues>"
    + rb"</xades:UnsignedSignatureProperties></xades:UnsignedProperties>"
    + rb"</xades:QualifyingProperties></ds:Object>\n?</ds:Signature></asic:XAdESSignatures>"
)  # fmt: skip
_EACH_CERT_REF = re.compile(_CERT_REF)
_EACH_CERT_VALUE = re.compile(_CERT_VALUE)
_EACH_OCSP_VALUE = re.compile(_OCSP_VALUE)
# Text that is its own canonical form; what is beyond ASCII is looked at apart.
_CANONICAL_TEXT = re.compile(rb"(?:[ -%'-;=?-~\x80-\xff]|&amp;|&lt;|&gt;)*")
_NOT_XML = re.compile("[\ufffe\uffff]")


class _OtherForm(Exception):
    """The document is not in the form after all."""


def match_message_signature(data: bytes) -> SignatureDocument | None:
    """The signature that came with a message, or None where the parser must look at it."""
    if len(data) > MOST_BYTES:
        return None
    match = _DOCUMENT.fullmatch(data)
    if match is None:
        return None
    try:
        return to_document(_reading(match))
    except (_OtherForm, NotBase64, ProtocolError):
        return None


def _reading(match: re.Match[bytes]) -> Reading:
    (
        signed_info, algorithm, uri, method, digest, properties_method, properties_digest,
        value, certificate, properties, time, cert_method, cert_digest, issuer,
        cert_refs, cert_values, ocsp_values,
    ) = match.groups()  # fmt: skip
    _check_text(issuer)
    certificates = _by_id(_EACH_CERT_VALUE.findall(cert_values or b""))
    ocsp = _by_id(_EACH_OCSP_VALUE.findall(ocsp_values))
    if list(ocsp) != [f"ocsp-response-{number}" for number in range(1, len(ocsp) + 1)]:
        raise _OtherForm
    return Reading(
        signed_info=canonical_text(signed_info),
        signature_algorithm=algorithm.decode("ascii"),
        value=_wrapped(value),
        signed_properties=canonical_text(properties),
        properties_digest=_stated(b"#signed-properties", properties_method, properties_digest),
        references=[_stated(uri, method, digest)],
        certificate=_wrapped(certificate),
        # In the properties, where text goes into what is signed, base64 has no line breaks.
        signing_certificate=StatedDigest(
            "", cert_method.decode("ascii"), decode_unbroken(cert_digest)
        ),
        signing_time=time.decode("ascii"),
        certificate_refs=[_cert_ref(*found) for found in _EACH_CERT_REF.findall(cert_refs or b"")],
        certificates=certificates,
        ocsp=tuple(ocsp.values()),
    )


def _stated(uri: bytes, method: bytes, digest: bytes) -> StatedDigest:
    return StatedDigest(uri.decode("ascii"), method.decode("ascii"), _wrapped(digest))


def _cert_ref(identifier: bytes, method: bytes, digest: bytes, issuer: bytes) -> StatedDigest:
    _check_text(issuer)
    return _stated(b"#" + identifier, method, digest)


def _by_id(found: list[tuple[bytes, bytes]]) -> dict[str, bytes]:
    values = {identifier.decode("ascii"): _wrapped(value) for identifier, value in found}
    if len(values) != len(found):
        raise _OtherForm
    return values


def _wrapped(text: bytes) -> bytes:
    """The bytes of a base64 text whose line breaks are LF, or CR LF with the CR escaped."""
    return decode_unbroken(text.replace(b"&#13;\n", b"").replace(b"\n", b""))


def _check_text(text: bytes) -> None:
    """Raise _OtherForm unless the text is a canonical XML text."""
    if not _CANONICAL_TEXT.fullmatch(text):
        raise _OtherForm
    if not text.isascii():
        try:
            decoded = text.decode("utf-8")
        except UnicodeDecodeError:
            raise _OtherForm from None
        if _NOT_XML.search(decoded):
            raise _OtherForm
