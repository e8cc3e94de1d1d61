"""Verify an ASiC-E container by itself and report each step.

The moment that counts is that of the time-stamp. An attachment that a hash chain names and that the
container does not hold, or holds otherwise (a log may leave it out, or cut it), is reported and not
vouched for. One that nobody signed is refused, where the reference passes over it: no log adds any.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum

from sild.protocol.asic.codes import (
    as_text,
    chain_refusal,
    ocsp_refusal,
    path_refusal,
    signature_refusal,
    stamp_refusal,
)
from sild.protocol.asic.container import Container
from sild.protocol.asic.encoding import is_well_formed
from sild.protocol.asic.sender import Parties, SenderNotStated, read_parties
from sild.protocol.errors import (
    CannotCreateCertPath,
    HashChainUnusedInputs,
    InvalidMessage,
    InvalidReference,
    InvalidSignatureValue,
    InvalidXml,
    MalformedHashChain,
    MalformedSignature,
    ProtocolError,
    SignatureError,
    TimestampRefused,
    TrustError,
    UnknownCertificationAuthority,
)
from sild.protocol.ids import ClientId
from sild.protocol.pki.certificate import Certificate
from sild.protocol.pki.ocsp import find_response_for
from sild.protocol.pki.path import verify_path
from sild.protocol.pki.signed import Strength
from sild.protocol.pki.timestamp import VerifiedTimestamp, read_timestamp_token, verify_timestamp
from sild.protocol.pki.trust import ApprovedCa, ApprovedTsa, Trust
from sild.protocol.signature.hashchain import DataRef, PartDigest, resolve_chain
from sild.protocol.signature.names import (
    MESSAGE,
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

# Attributes whose values the reference writes in hex; text of up to 127 letters.
_IN_HEX = re.compile(
    r"2\.5\.4\.(5|15)=#(?:13|0c)[0-7][0-9a-f]((?:[2-6][0-9a-f]|7[0-9a-e])+)(?=[,+]|$)"
)
_NAMES = {"5": "serialNumber", "15": "businessCategory"}


class UnknownSender(ProtocolError):
    """A message that does not say who sent it, in the code that peers give it in a container."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a verification, and whether it held."""

    number: int
    question: str
    answer: str
    held: bool = True


class Steps:
    """The steps of a verification that is under way."""

    def __init__(self) -> None:
        self._taken: list[Step] = []
        self._question = ""

    @property
    def taken(self) -> tuple[Step, ...]:
        """The steps so far."""
        return tuple(self._taken)

    def ask(self, question: str) -> None:
        """Begin a step."""
        self._question = question

    def answer(self, text: str) -> None:
        """The step held."""
        self._end(text, held=True)

    def fail(self, text: str) -> None:
        """The step did not hold."""
        self._end(text, held=False)

    def _end(self, text: str, *, held: bool) -> None:
        self._taken.append(Step(len(self._taken) + 1, self._question, text, held))


class Doubt(Enum):
    """Why an attachment is not vouched for."""

    ABSENT = "it was signed, but is not in the container"
    CHANGED = "the one in the container is not the one that was signed"


@dataclass(frozen=True, slots=True)
class Unverified:
    """A part that is not vouched for, why, and the digest that was signed for it."""

    uri: str
    doubt: Doubt
    digest: PartDigest


@dataclass(frozen=True, slots=True)
class Report:
    """A container that verified: who signed, when, and what remains unknown."""

    steps: tuple[Step, ...]
    parties: Parties
    certificate: Certificate
    ca: ApprovedCa
    signed_at: datetime
    """The signer's own word."""
    timestamped_at: datetime
    tsa: ApprovedTsa
    ocsp_produced_at: datetime
    unverified: tuple[Unverified, ...]
    document: SignatureDocument
    trust: Trust

    @property
    def signer(self) -> ClientId:
        """On whose behalf the message was signed."""
        return self.parties.sender


def verify_container(
    container: Container, trusts: Mapping[str, Trust], steps: Steps | None = None
) -> Report:
    """Verify who signed the message in a container and when; trust is by instance.

    Steps, where given, know how far it came. Raises what the reference says of each fault:
    InvalidXml, UnknownSender, SignatureError, TrustError.
    """
    steps = steps or Steps()
    steps.ask("Can its signature be read?")
    document = _read_signature(container)
    steps.ask("Who sent the message?")
    parties = _find_parties(container.message)
    if parties is not None:
        steps.answer(str(parties))
    steps.ask("Since when does the signature exist?")
    stamp = _verify_stamp(container, document, parties, trusts)
    steps.answer(f"{moment_text(stamp.gen_time)}, says {_tsa_text(stamp.tsa)}")
    steps.ask("Do the parts belong to what was signed?")
    unverified = _verify_coverage(container, document)
    steps.answer(_coverage_text(container, document, unverified))
    steps.ask("Whose certificate is it?")
    if parties is None:
        raise UnknownSender("the message does not say who sent it")
    trust = _trust_of(parties.sender, trusts)
    check_signer_name(document, parties.sender, trust)
    certificate, ca = document.certificate, trust.get_ca_of(document.certificate)
    steps.answer(f"{name_text(certificate.subject_text)}, which names {parties.sender.member}")
    steps.ask("Is this what was signed?")
    _verify_value(document, trust, stamp.gen_time)
    _verify_references(container, document)
    steps.answer(
        f"yes, by {document.algorithm.name}; the signer's clock said"
        f" {moment_text(document.signing_time)}"
    )
    steps.ask("Was the certificate good then?")
    _verify_signer(document, parties.sender, trust, stamp.gen_time)
    produced_at = _ocsp_produced_at(document, trust)
    steps.answer(
        f"yes: issued by {name_text(certificate.issuer_text)},"
        f" approved in {trust.instance} as {ca.name};"
        f" not revoked by its OCSP response of {moment_text(produced_at)}"
    )
    return Report(
        steps=steps.taken,
        parties=parties,
        certificate=certificate,
        ca=ca,
        signed_at=document.signing_time,
        timestamped_at=stamp.gen_time,
        tsa=stamp.tsa,
        ocsp_produced_at=produced_at,
        unverified=unverified,
        document=document,
        trust=trust,
    )


def moment_text(moment: datetime) -> str:
    """A moment as people read it."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def name_text(text: str) -> str:
    """A name, with each value as people read it."""
    return _IN_HEX.sub(
        lambda found: f"{_NAMES[found[1]]}={bytes.fromhex(found[2]).decode('ascii')}", text
    )


def _read_signature(container: Container) -> SignatureDocument:
    try:
        return parse_container_signature(container.signature)
    except (InvalidXml, SignatureError) as error:
        # The hash chain of a time-stamp would lead elsewhere.
        _check_stamp_chain(container)
        raise signature_refusal(error, container.signature) from None


def _find_parties(message: bytes) -> Parties | None:
    """None for a SOAP message that does not say; the reference comes to that later as well."""
    try:
        try:
            return read_parties(message)
        except InvalidMessage:
            if message == as_text(message):
                raise
            return read_parties(as_text(message))
    except SenderNotStated:
        return None
    except InvalidMessage as error:
        raise UnknownSender(error.message) from None


def _trust_of(signer: ClientId, trusts: Mapping[str, Trust]) -> Trust:
    trust = trusts.get(signer.instance)
    if trust is None:
        raise UnknownCertificationAuthority(f"nothing is known of the instance {signer.instance}")
    return trust


# The time-stamp


def _verify_stamp(
    container: Container,
    document: SignatureDocument,
    parties: Parties | None,
    trusts: Mapping[str, Trust],
) -> VerifiedTimestamp:
    stamped = _stamped(container, document)
    tsas = [tsa for known in trusts.values() for tsa in known.tsas]
    own = trusts.get(parties.sender.instance) if parties else None
    strength = Strength.CURRENT if own is None else own.strength
    token = _token(container, document)
    if not is_well_formed(token):
        raise TimestampRefused("the time-stamp is no well-formed ASN.1")
    try:
        return verify_timestamp(read_timestamp_token(token), stamped, tsas, strength)
    except TimestampRefused as error:
        raise stamp_refusal(error, token, stamped) from None


def _token(container: Container, document: SignatureDocument) -> bytes:
    if container.timestamp is not None:
        return container.timestamp
    if len(document.timestamps) != 1:
        raise MalformedSignature(f"the signature has {len(document.timestamps)} time-stamps")
    return document.timestamps[0]


def _stamped(container: Container, document: SignatureDocument) -> bytes:
    """What the time-stamp must be over: the signature value, or a hash chain result."""
    _check_stamp_chain(container)
    return container.timestamp_hash_chain_result or document.value


def _check_stamp_chain(container: Container) -> None:
    """Return if the hash chain of the time-stamp leads to the signature, or there is none."""
    result = container.timestamp_hash_chain_result
    if result is None:
        return
    try:
        resolve_chain(result, container.documents, {SIGNATURES: None})
    except SignatureError as error:
        raise MalformedSignature(f"the hash chain of the time-stamp: {error}") from None


def _tsa_text(tsa: ApprovedTsa) -> str:
    return f"{tsa.name} ({name_text(tsa.certificate.subject_text)})"


# What was signed


def _verify_coverage(container: Container, document: SignatureDocument) -> tuple[Unverified, ...]:
    """The doubts that a hash chain leaves; references without one are looked at with the value."""
    if not document.is_chained:
        return ()
    if container.hash_chain_result is None:
        raise InvalidReference("the hash chain that the signature refers to is not there")
    held = container.attachments
    # Attachments are left to be looked at here, where one that differs is no reason to refuse.
    documents = {name: data for name, data in container.documents.items() if name not in held}
    try:
        named = resolve_chain(container.hash_chain_result, documents, {MESSAGE: None})
    except MalformedHashChain as error:
        chain = container.hash_chain
        raise chain_refusal(error, container.hash_chain_result, chain) from None
    if unsigned := sorted(held.keys() - {part.uri for part in named}):
        raise HashChainUnusedInputs(f"the hash chain does not cover {', '.join(unsigned)}")
    found = [_judge(part, held.get(part.uri)) for part in named]
    return tuple(doubt for doubt in found if doubt is not None)


def _judge(part: DataRef, data: bytes | None) -> Unverified | None:
    if data is None:
        return Unverified(part.uri, Doubt.ABSENT, part.digest)
    if part.digest.algorithm.digest(data) != part.digest.value:
        return Unverified(part.uri, Doubt.CHANGED, part.digest)
    return None


def _coverage_text(
    container: Container, document: SignatureDocument, unverified: tuple[Unverified, ...]
) -> str:
    way = "a hash chain leads" if document.is_chained else "the signature refers"
    good = len(container.attachments) - sum(part.doubt is Doubt.CHANGED for part in unverified)
    parts = "the message" + (f" and {good} attachment{'s' if good > 1 else ''}" if good else "")
    text = f"{way} to {parts}"
    if not unverified:
        return text
    names = ", ".join(part.uri.removeprefix("/") for part in unverified)
    return f"{text}; NOT VERIFIED: {names}"


def _verify_value(document: SignatureDocument, trust: Trust, at: datetime) -> None:
    try:
        verify_value(document)
    except MalformedSignature as error:
        # Its certificate may be another than was signed along. The reference does not compare
        # them, but a changed certificate has no path.
        algorithm = document.certificate_digest.algorithm
        digest = PartDigest(algorithm, algorithm.digest(document.certificate.der))
        try:
            verify_value(replace(document, certificate_digest=digest))
            verify_path(document.certificate, document.extra_certificates, (), trust, at)
        except InvalidSignatureValue:
            raise InvalidSignatureValue(error.message) from None
        except CannotCreateCertPath:
            raise path_refusal(error.message) from None
        except TrustError:
            pass
        raise


def _verify_signer(
    document: SignatureDocument, signer: ClientId, trust: Trust, at: datetime
) -> None:
    try:
        verify_signer(document, signer, trust, at)
    except CannotCreateCertPath as error:
        raise path_refusal(error.message) from None
    except MalformedSignature as error:
        raise ocsp_refusal(error, document.ocsp) from None


def _verify_references(container: Container, document: SignatureDocument) -> None:
    """Return if what the signature refers to is there and unchanged, and all parts are covered."""
    documents = container.documents
    for name, digest in document.references.items():
        data = documents.get(name)
        if data is None:
            raise InvalidReference(f"{name}, to which the signature refers, is not there")
        if digest.algorithm.digest(data) != digest.value:
            raise InvalidSignatureValue(f"{name} is not what was signed")
    if not document.is_chained:
        unsigned = sorted(container.attachments.keys() - document.references.keys())
        if unsigned:
            raise InvalidReference(f"the signature does not cover {', '.join(unsigned)}")


def _ocsp_produced_at(document: SignatureDocument, trust: Trust) -> datetime:
    issuer = trust.find_issuer(document.certificate)
    if issuer is not None:
        responses = read_responses(document)
        response = find_response_for(document.certificate, issuer.certificate, responses)
        if response is not None:
            return response.produced_at
    raise MalformedSignature("the signature has no OCSP response for its signer")
