"""The codes by which the reference refuses what we come upon elsewhere in the order of things.

We read a document as a whole before anything of it is judged, so a part that cannot be read is
refused with the code of the document. The reference reads each part when it comes to it, and
refuses by what it was doing then. Verdicts on containers follow it; live messages have the codes
of their errors. Each function returns the error to raise.
"""

import hashlib

from asn1crypto import cms, tsp

from sild.protocol.algorithms import (
    DigestAlgorithm,
    KeyFamily,
    SignatureAlgorithm,
    UnsupportedAlgorithm,
    ecdsa_der_from_raw,
)
from sild.protocol.asic.encoding import is_well_formed
from sild.protocol.errors import (
    IncorrectCertificate,
    IncorrectValidationInfo,
    InvalidSignatureValue,
    InvalidXml,
    Malformed,
    MalformedHashChain,
    MalformedSignature,
    ProtocolError,
    SignatureError,
    TimestampRefused,
    TrustError,
)
from sild.protocol.pki import der
from sild.protocol.pki.certificate import read_certificate
from sild.protocol.pki.ocsp import read_ocsp_response
from sild.protocol.safexml import (
    Element,
    Schema,
    canonical,
    child_text,
    children,
    get_child,
    has_name,
    read_xml,
)
from sild.protocol.signature.base64text import NotBase64, decode_base64
from sild.protocol.signature.names import MESSAGE, SIG_HASH_CHAIN_RESULT

_DS = "{http://www.w3.org/2000/09/xmldsig#}"
_CHAIN = "{http://cyber.ee/hashchain}"
_XADES = "{http://uri.etsi.org/01903/v1.3.2#}"
_PROPERTIES_TYPE = "http://uri.etsi.org/01903#SignedProperties"
_EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
_READ_ERRORS = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError)
# Digests of any length, and the length that the reference's library takes of them.
_EXTENDABLE = {"shake128": (hashlib.shake_128, 32), "shake256": (hashlib.shake_256, 64)}


class TimestampSignerRefused(TrustError):
    """A time-stamp that its approved signer does not bear out, in the code for containers."""

    code = "mlog.timestamp_signer_verification_failed"


def _within(stage: str, error: ProtocolError) -> ProtocolError:
    """The error in a stage; the reference makes `internal_error` of those of its libraries."""
    error.enter(stage)
    return error


def as_text(document: bytes) -> bytes:
    """The document with a mark where it is no UTF-8, as the reference reads its entries."""
    return document.decode("utf-8", "replace").encode("utf-8")


# The time-stamp


def stamp_refusal(error: TimestampRefused, token: bytes, stamped: bytes) -> ProtocolError:
    """The reference compares digests first, then asks the signer's certificate for all else."""
    if not is_well_formed(token):
        return error
    try:
        content = cms.ContentInfo.load(token)["content"]["encap_content_info"]["content"]
        imprint = tsp.TSTInfo.load(bytes(content))["message_imprint"]
        stated: bytes = imprint["hashed_message"].native
        hash_name: str = imprint["hash_algorithm"]["algorithm"].native
    except _READ_ERRORS:
        return error
    try:
        digest = _digest(hash_name, stamped)
    except ValueError:
        return ProtocolError(error.message)
    if digest != stated:
        return MalformedSignature("the time-stamp is over other bytes")
    return TimestampSignerRefused(error.message)


def _digest(hash_name: str, data: bytes) -> bytes:
    """The digest by a hash of this name; raises ValueError where the reference knows none."""
    if (extendable := _EXTENDABLE.get(hash_name)) is not None:
        function, size = extendable
        return function(data).digest(size)
    return hashlib.new(hash_name, data, usedforsecurity=False).digest()


# The hash chain


def chain_refusal(error: MalformedHashChain, *documents: bytes | None) -> ProtocolError:
    """The reference looks a digest algorithm up without expecting that there is none."""
    try:
        roots = [read_xml(as_text(document)) for document in documents if document is not None]
        for root in roots:
            Schema.load("hashchain.xsd").check(root)
    except InvalidXml:
        return error
    methods = [
        method
        for root in roots
        for name in (_DS + "DigestMethod", _CHAIN + "DefaultDigestMethod")
        for method in root.iter(name)
    ]
    if all(_is_digest(method.get("Algorithm", "")) for method in methods):
        return error
    return _within("malformed_signature", SignatureError(error.message))


def _is_digest(uri: str) -> bool:
    try:
        DigestAlgorithm.from_uri(uri)
    except UnsupportedAlgorithm:
        return False
    return True


# The signature


def signature_refusal(error: ProtocolError, document: bytes) -> ProtocolError:
    """The reference finds most that is wrong with what is signed by the signature value."""
    try:
        root = read_xml(as_text(document))
    except InvalidXml:
        return error
    try:
        signature = (
            root if has_name(root, _DS + "Signature") else get_child(root, _DS + "Signature")
        )
        info = get_child(signature, _DS + "SignedInfo")
        uris = {reference.get("URI") for reference in children(info, _DS + "Reference")}
        method = get_child(info, _DS + "SignatureMethod").get("Algorithm", "")
        algorithm = SignatureAlgorithm.from_uri(method)
        value = decode_base64(child_text(signature, _DS + "SignatureValue"))
    except (InvalidXml, NotBase64, UnsupportedAlgorithm):
        return MalformedSignature(error.message)
    if uris.isdisjoint({MESSAGE, SIG_HASH_CHAIN_RESULT}):
        return MalformedSignature(error.message)
    try:
        _check_value(signature, info, algorithm, value)
        _check_properties(signature, info)
    except InvalidSignatureValue:
        return InvalidSignatureValue(error.message)
    except (Malformed, TrustError, MalformedSignature):
        return error
    return error


def _check_value(
    signature: Element, info: Element, algorithm: SignatureAlgorithm, value: bytes
) -> None:
    x509 = get_child(get_child(signature, _DS + "KeyInfo"), _DS + "X509Data")
    encoded = decode_base64(child_text(x509, _DS + "X509Certificate"))
    try:
        certificate = read_certificate(encoded)
    except IncorrectCertificate as error:
        if is_well_formed(encoded):
            # The reference comes to its key only now.
            raise InvalidSignatureValue(error.message) from None
        raise
    method = get_child(info, _DS + "CanonicalizationMethod").get("Algorithm", "")
    if algorithm.family is KeyFamily.EC:
        value = ecdsa_der_from_raw(value)
    text = canonical(info, exclusive=method.startswith(_EXCLUSIVE))
    algorithm.verify(certificate.public_key, value, text)


def _check_properties(signature: Element, info: Element) -> None:
    typed = (
        found
        for found in children(info, _DS + "Reference")
        if found.get("Type") == _PROPERTIES_TYPE
    )
    reference = next(typed, None)
    if reference is None:
        raise MalformedSignature("the signature does not cover its signed properties")
    algorithm = DigestAlgorithm.from_uri(
        get_child(reference, _DS + "DigestMethod").get("Algorithm", "")
    )
    digest = decode_base64(child_text(reference, _DS + "DigestValue"))
    signed = signature.find(f".//{_XADES}SignedProperties")
    forms = () if signed is None else (canonical(signed, exclusive=way) for way in (False, True))
    if digest not in [algorithm.digest(form) for form in forms]:
        raise InvalidSignatureValue("the signed properties are not those that were signed")


# The signer's certificate


def path_refusal(message: str) -> ProtocolError:
    """The reference leaves the building of paths to a library."""
    return _within("cannot_create_cert_path", TrustError(message))


def ocsp_refusal(error: MalformedSignature, responses: tuple[bytes, ...]) -> ProtocolError:
    """The reference reads the outermost value of a response with the signature, the rest late."""
    for response in responses:
        if not is_well_formed(response):
            return error
        try:
            read_ocsp_response(response)
        except IncorrectValidationInfo:
            return _answer_refusal(error.message, response)
    return error


def _answer_refusal(message: str, response: bytes) -> ProtocolError:
    try:
        _, explicit = der.parts_of(response)
        (typed,) = der.parts_of(explicit)
        is_readable = is_well_formed(der.contents_of(der.parts_of(typed)[1]))
    except (ValueError, IndexError):
        is_readable = False
    kind = IncorrectValidationInfo if is_readable else TrustError
    return _within("invalid_cert_path", kind(message))
