"""Verify an ASiC-E container by itself and report each step.

The moment that counts is that of the time-stamp. What the container does not hold, such as
attachments that were not logged, is reported and not vouched for; an attachment that is held and
is not what was signed is refused, where the reference only reports it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sild.protocol.asic.container import Container
from sild.protocol.asic.sender import get_sender
from sild.protocol.errors import (
    InvalidReference,
    InvalidSignatureValue,
    MalformedSignature,
    SignatureError,
    UnknownCertificationAuthority,
)
from sild.protocol.ids import ClientId
from sild.protocol.pki.certificate import Certificate
from sild.protocol.pki.ocsp import find_response_for
from sild.protocol.pki.timestamp import read_timestamp_token, verify_timestamp
from sild.protocol.pki.trust import ApprovedTsa, Trust
from sild.protocol.signature.hashchain import DataRef, resolve_chain
from sild.protocol.signature.names import (
    MESSAGE,
    SIG_HASH_CHAIN_RESULT,
    SIGNATURES,
)
from sild.protocol.signature.signaturexml import parse_container_signature
from sild.protocol.signature.verify import (
    SignatureDocument,
    check_signer_name,
    read_responses,
    verify_signer,
    verify_value,
)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a verification that held."""

    number: int
    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Report:
    """A container that verified: who signed, when, and what remains unknown."""

    steps: tuple[Step, ...]
    signer: ClientId
    certificate: Certificate
    signed_at: datetime
    """The signer's own word."""
    timestamped_at: datetime
    tsa: ApprovedTsa
    ocsp_produced_at: datetime
    unverified: tuple[DataRef, ...]
    """Parts that were signed and that the container does not hold, with their digests."""


class _Steps:
    def __init__(self) -> None:
        self.taken: list[Step] = []

    def add(self, question: str, answer: str) -> None:
        self.taken.append(Step(len(self.taken) + 1, question, answer))


def verify_container(container: Container, trusts: Mapping[str, Trust]) -> Report:
    """Verify who signed the message in a container and when; trust is by instance.

    Raises InvalidXml, InvalidMessage, SignatureError, TrustError.
    """
    steps = _Steps()
    document = parse_container_signature(container.signature)
    signer = get_sender(container.message)
    steps.add("Who sent the message?", str(signer))
    stamped = _stamped(container, document)
    trust = _trust_of(signer, trusts)
    tsas = [tsa for known in trusts.values() for tsa in known.tsas]
    token = read_timestamp_token(_token(container, document))
    stamp = verify_timestamp(token, stamped, tsas, trust.strength)
    steps.add("Since when does the signature exist?", f"{stamp.gen_time}, says {stamp.tsa.name}")
    unverified: tuple[DataRef, ...] = ()
    if document.is_chained:
        unverified = _verify_chained(container)
        steps.add("Does the hash chain cover the message?", _coverage(container, unverified))
    check_signer_name(document, signer, trust)
    certificate = document.certificate
    steps.add("Whose certificate is it?", f"{certificate.name}, for signing")
    verify_value(document)
    _verify_references(container, document)
    steps.add("Is this what was signed?", f"yes, by {document.algorithm.name}")
    path = verify_signer(document, signer, trust, stamp.gen_time)
    steps.add("Was the certificate good then?", f"yes, issued by {certificate.issuer_name}")
    return Report(
        steps=tuple(steps.taken),
        signer=signer,
        certificate=path.certificate,
        signed_at=document.signing_time,
        timestamped_at=stamp.gen_time,
        tsa=stamp.tsa,
        ocsp_produced_at=_ocsp_produced_at(document, trust),
        unverified=unverified,
    )


def _trust_of(signer: ClientId, trusts: Mapping[str, Trust]) -> Trust:
    trust = trusts.get(signer.instance)
    if trust is None:
        raise UnknownCertificationAuthority(f"nothing is known of the instance {signer.instance}")
    return trust


def _token(container: Container, document: SignatureDocument) -> bytes:
    if container.timestamp is not None:
        return container.timestamp
    if len(document.timestamps) != 1:
        raise MalformedSignature(f"the signature has {len(document.timestamps)} time-stamps")
    return document.timestamps[0]


def _stamped(container: Container, document: SignatureDocument) -> bytes:
    """What the time-stamp must be over: the signature value, or a hash chain result."""
    result = container.timestamp_hash_chain_result
    if result is None:
        return document.value
    try:
        resolve_chain(result, container.documents, {SIGNATURES: None})
    except SignatureError as error:
        raise MalformedSignature(f"the hash chain of the time-stamp: {error}") from None
    return result


def _verify_chained(container: Container) -> tuple[DataRef, ...]:
    if container.hash_chain_result is None:
        raise InvalidReference("the hash chain that the signature refers to is not there")
    inputs = dict.fromkeys((MESSAGE, *container.attachments))
    return resolve_chain(container.hash_chain_result, container.documents, inputs)


def _coverage(container: Container, unverified: tuple[DataRef, ...]) -> str:
    held = f"yes, and {len(container.attachments)} of its attachments"
    if not unverified:
        return held
    return f"{held}; {', '.join(part.uri for part in unverified)} is not in the container"


def _verify_references(container: Container, document: SignatureDocument) -> None:
    """Return if what the signature refers to is there and unchanged, and all parts are covered."""
    documents = container.documents
    for name, digest in document.references.items():
        data = documents.get(name)
        if data is None:
            raise InvalidReference(f"{name}, to which the signature refers, is not there")
        if digest.algorithm.digest(data) != digest.value:
            raise InvalidSignatureValue(f"{name} is not what was signed")
    if SIG_HASH_CHAIN_RESULT not in document.references:
        uncovered = sorted(container.attachments.keys() - document.references.keys())
        if uncovered:
            raise InvalidReference(f"the signature does not cover {', '.join(uncovered)}")


def _ocsp_produced_at(document: SignatureDocument, trust: Trust) -> datetime:
    issuer = trust.find_issuer(document.certificate)
    if issuer is not None:
        responses = read_responses(document)
        response = find_response_for(document.certificate, issuer.certificate, responses)
        if response is not None:
            return response.produced_at
    raise MalformedSignature("the signature has no OCSP response for its signer")
