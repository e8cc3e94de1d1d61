"""Check a signature and return what was signed, by whom and until when that holds.

Three questions that depend on nothing but the signature document, the signer and the time
(`read_signature`, `verify_value`, `verify_signer`), so that their answers may be remembered for
the messages of a batch, and one that each message asks for itself (`verify_parts`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sild.protocol.algorithms import DigestAlgorithm, KeyFamily, ecdsa_der_from_raw
from sild.protocol.errors import (
    IncorrectCertificate,
    IncorrectValidationInfo,
    InvalidReference,
    InvalidSignatureValue,
    MalformedSignature,
)
from sild.protocol.ids import ClientId
from sild.protocol.pki.certificate import Certificate
from sild.protocol.pki.ocsp import OcspResponse, read_ocsp_response
from sild.protocol.pki.path import verify_path
from sild.protocol.pki.profiles import get_profile
from sild.protocol.pki.trust import Trust
from sild.protocol.signature.document import SignatureDocument
from sild.protocol.signature.hashchain import PartDigest, verify_chain
from sild.protocol.signature.names import SIG_HASH_CHAIN_RESULT
from sild.protocol.signature.signaturepattern import match_message_signature
from sild.protocol.signature.signaturexml import parse_message_signature

__all__ = [
    "SignatureDocument",
    "SignedParts",
    "SignerProof",
    "VerifiedSignature",
    "check_signer_name",
    "read_signature",
    "verify_parts",
    "verify_signature",
    "verify_signer",
    "verify_value",
]


@dataclass(frozen=True, slots=True)
class SignerProof:
    """Who signed, and until when their certificate and its OCSP response prove it."""

    certificate: Certificate
    member: ClientId
    valid_until: datetime


@dataclass(frozen=True, slots=True)
class SignedParts:
    """The parts of a message, and the documents between them and the signature."""

    hash_chain_result: bytes | None
    hash_chain: bytes | None
    digests: Mapping[str, bytes]
    """SHA-512 by name: /message.xml, /attachment1."""


@dataclass(frozen=True, slots=True)
class VerifiedSignature:
    """Proof that the signer's member signed these parts and no others."""

    document: SignatureDocument
    signer: SignerProof
    digests: Mapping[str, bytes]


def read_signature(data: bytes) -> SignatureDocument:
    """The signature document that came with a message; nothing in it is verified yet.

    Raises InvalidXml, MalformedSignature.
    """
    return match_message_signature(data) or parse_message_signature(data)


def verify_signature(
    data: bytes, parts: SignedParts, signer: ClientId, trust: Trust, at: datetime
) -> VerifiedSignature:
    """Verify the signature of a message in the order of the reference, so with its codes.

    Raises InvalidXml, SignatureError, TrustError.
    """
    document = read_signature(data)
    if document.is_chained:
        verify_parts(document, parts.hash_chain_result, parts.hash_chain, parts.digests)
    check_signer_name(document, signer, trust)
    verify_value(document)
    if not document.is_chained:
        verify_parts(document, parts.hash_chain_result, parts.hash_chain, parts.digests)
    proof = verify_signer(document, signer, trust, at)
    return VerifiedSignature(document, proof, parts.digests)


def verify_value(document: SignatureDocument) -> None:
    """Return if the key of the stated certificate signed the document and its properties.

    Raises InvalidSignatureValue, MalformedSignature.
    """
    if not _matches(document.properties_digest, document.signed_properties):
        raise InvalidSignatureValue("the signed properties are not those that were signed")
    # The certificate that the signature is verified with must be the one that was signed along:
    # another of the same key would have another holder.
    if not _matches(document.certificate_digest, document.certificate.der):
        raise MalformedSignature("the signing certificate is not the one in the signed properties")
    value = document.value
    if document.algorithm.family is KeyFamily.EC:
        value = ecdsa_der_from_raw(value)
    document.algorithm.verify(document.certificate.public_key, value, document.signed_info)
    if not document.is_settled:
        raise MalformedSignature(
            "the signature is not written plainly: its bytes could be others unnoticed"
        )


def verify_signer(
    document: SignatureDocument, signer: ClientId, trust: Trust, at: datetime
) -> SignerProof:
    """Verify that the signing certificate is the signer's and holds at the moment.

    Raises IncorrectCertificate for somebody else's, MalformedSignature for one that is not for
    signing, and what `verify_path` raises.
    """
    check_signer_name(document, signer, trust)
    path = verify_path(
        document.certificate, document.extra_certificates, read_responses(document), trust, at
    )
    return SignerProof(document.certificate, signer.member, path.valid_until)


def check_signer_name(document: SignatureDocument, signer: ClientId, trust: Trust) -> None:
    """Return if the certificate is for signing and names the member of the signer.

    Raises MalformedSignature, IncorrectCertificate, UnknownCertificationAuthority.
    """
    certificate = document.certificate
    if not certificate.is_signing:
        raise MalformedSignature(f"{certificate.name} is not a signing certificate")
    profile = get_profile(trust.get_ca_of(certificate).profile)
    member = profile.member_of(certificate, signer.instance)
    if member != signer.member:
        raise IncorrectCertificate(
            f"the certificate names {member}, the message names {signer.member}"
        )


def read_responses(document: SignatureDocument) -> list[OcspResponse]:
    """The OCSP responses in a signature; raises MalformedSignature."""
    try:
        return [read_ocsp_response(der) for der in document.ocsp]
    except IncorrectValidationInfo as error:
        raise MalformedSignature(f"an OCSP response in the signature: {error}") from None


def verify_parts(
    document: SignatureDocument,
    result: bytes | None,
    chain: bytes | None,
    parts: Mapping[str, bytes],
) -> None:
    """Return if the signature covers each of the parts, given by their SHA-512, and no others.

    Raises InvalidSignatureValue, InvalidReference, InvalidHashChain, MalformedHashChain,
    HashChainUnusedInputs.
    """
    if document.is_chained:
        _verify_chained(document, result, chain, parts)
    elif result is not None or chain is not None:
        raise InvalidReference("a hash chain came with a signature that does not refer to it")
    else:
        _verify_direct(document.references, parts)


def _verify_chained(
    document: SignatureDocument,
    result: bytes | None,
    chain: bytes | None,
    parts: Mapping[str, bytes],
) -> None:
    if result is None or chain is None:
        raise InvalidReference("the hash chain that the signature refers to is not there")
    inputs = {name: PartDigest(DigestAlgorithm.SHA512, digest) for name, digest in parts.items()}
    verify_chain(result, chain, inputs)
    if not _matches(document.references[SIG_HASH_CHAIN_RESULT], result):
        raise InvalidSignatureValue("the hash chain result is not the one that was signed")


def _verify_direct(references: Mapping[str, PartDigest], parts: Mapping[str, bytes]) -> None:
    if references.keys() != parts.keys():
        raise InvalidReference(
            f"the signature covers {', '.join(sorted(references))};"
            f" the message has {', '.join(sorted(parts))}"
        )
    for name, reference in references.items():
        if reference.algorithm is not DigestAlgorithm.SHA512:
            raise InvalidReference(f"{name} is signed by {reference.algorithm.text}, not SHA-512")
        if reference.value != parts[name]:
            raise InvalidSignatureValue(f"{name} is not what was signed")


def _matches(digest: PartDigest, data: bytes) -> bool:
    return digest.algorithm.digest(data) == digest.value
