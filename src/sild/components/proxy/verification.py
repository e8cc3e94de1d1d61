"""Verify who signed a message and that every part of it was signed, each question asked once.

Messages of one batch carry the same signature document, so its value and its signer are judged
once; the parts of each message are always compared with what was signed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sild.components.proxy.view import SignerClaim, View
from sild.protocol.errors import inside
from sild.protocol.ids import ClientId
from sild.protocol.signature.verify import (
    SignatureDocument,
    SignerProof,
    read_signature,
    verify_parts,
    verify_signer,
    verify_value,
)


@dataclass(frozen=True, slots=True)
class SignedParts:
    """The signature that came with a message, beside the digests of the parts that came."""

    signature: bytes
    hash_chain_result: bytes | None
    hash_chain: bytes | None
    digests: Mapping[str, bytes]
    """SHA-512 by part name: /message.xml, /attachment1."""


@dataclass(frozen=True, slots=True)
class VerifiedMessage:
    """Proof that the sender's member signed all parts; only `verify_message` makes it."""

    proof: SignerProof
    parts: SignedParts


def verify_message(
    parts: SignedParts, sender: ClientId, view: View, now: datetime
) -> VerifiedMessage:
    """Verify the signature of a message of this sender (PR-SIGDOC; codes behind a common stage).

    Raises SignatureError or TrustError, in the stage `signature_verification`.
    """
    with inside("signature_verification"):
        document = _document(parts.signature, view, now)
        verify_parts(document, parts.hash_chain_result, parts.hash_chain, parts.digests)
        proof = _signer(document, sender, view, now)
    return VerifiedMessage(proof, parts)


def _document(signature: bytes, view: View, now: datetime) -> SignatureDocument:
    found = view.signatures.find(signature, now)
    if found is not None:
        return found
    document = read_signature(signature)
    verify_value(document)
    view.signatures.keep(signature, document, view.conf_valid_until)
    return document


def _signer(
    document: SignatureDocument, sender: ClientId, view: View, now: datetime
) -> SignerProof:
    member = sender.member
    claim = SignerClaim(member, document.certificate, document.extra_certificates, document.ocsp)
    found = view.signers.find(claim, now)
    if found is not None:
        return found
    proof = verify_signer(document, member, view.conf.trust(member.instance), now)
    view.signers.keep(claim, proof, proof.valid_until)
    return proof
