"""The parts of a transport message, as events in the order in which they travel."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sild.protocol.errors import MissingRest, MissingSignature, MissingSoap, PeerFault
from sild.protocol.soap.parts import (
    Attachment,
    AttachmentChunk,
    AttachmentEnd,
    AttachmentStart,
    PackageEvent,
    SoapPart,
)


@dataclass(frozen=True, slots=True)
class OcspPart:
    """The OCSP response of one certificate of the caller's authentication chain."""

    der: bytes


@dataclass(frozen=True, slots=True)
class RestHeader:
    """The REST header part, exact bytes, and its digest."""

    part: bytes
    digest: bytes


@dataclass(frozen=True, slots=True)
class BodyChunk:
    """The next bytes of the REST body."""

    data: bytes


@dataclass(frozen=True, slots=True)
class BodyEnd:
    """The REST body is complete; a body without bytes has this event alone."""

    digest: bytes


@dataclass(frozen=True, slots=True)
class HashChainResult:
    """What a batch signature signs, exact bytes."""

    document: bytes


@dataclass(frozen=True, slots=True)
class HashChain:
    """The way from this message's parts to the hash-chain result, exact bytes."""

    document: bytes


@dataclass(frozen=True, slots=True)
class SignaturePart:
    """The signature document, exact bytes."""

    document: bytes


@dataclass(frozen=True, slots=True)
class FaultPart:
    """A fault in place of the rest of the message, and its exact bytes."""

    fault: PeerFault
    raw: bytes


@dataclass(frozen=True, slots=True)
class End:
    """The end of the message."""


Event = (
    OcspPart
    | PackageEvent
    | RestHeader
    | BodyChunk
    | BodyEnd
    | HashChainResult
    | HashChain
    | SignaturePart
    | FaultPart
    | End
)


_FIELDS: Mapping[type[Event], str] = {
    RestHeader: "header",
    SoapPart: "soap",
    HashChainResult: "hash_chain_result",
    HashChain: "hash_chain",
    SignaturePart: "signature",
    FaultPart: "fault",
}


@dataclass(frozen=True, slots=True)
class RestParts:
    """The parts of a REST message that is not a fault; the body digest is None without a body."""

    header: RestHeader
    body_digest: bytes | None
    hash_chain_result: bytes | None
    hash_chain: bytes | None
    signature: bytes


@dataclass(frozen=True, slots=True)
class SoapParts:
    """The parts of a SOAP message that is not a fault."""

    soap: SoapPart
    attachments: tuple[Attachment, ...]
    hash_chain_result: bytes | None
    hash_chain: bytes | None
    signature: bytes


@dataclass(frozen=True, slots=True)
class TransportMessage:
    """The parts that came, whether or not they are enough.

    The bytes of the body and of attachments are here only if the message was read as a whole;
    their digests always are, unless there was no body part.
    """

    ocsp: tuple[bytes, ...] = ()
    header: RestHeader | None = None
    soap: SoapPart | None = None
    attachments: tuple[Attachment, ...] = ()
    body: bytes | None = None
    body_digest: bytes | None = None
    hash_chain_result: bytes | None = None
    hash_chain: bytes | None = None
    signature: bytes | None = None
    fault: FaultPart | None = None

    @classmethod
    def from_events(cls, events: Iterable[Event]) -> "TransportMessage":
        """The message that these events make."""
        ocsp: list[bytes] = []
        body: list[bytes] = []
        attachments: list[Attachment] = []
        values: dict[str, Any] = {}
        for event in events:
            if isinstance(event, OcspPart):
                ocsp.append(event.der)
            elif isinstance(event, BodyChunk | AttachmentChunk):
                body.append(event.data)
            elif isinstance(event, BodyEnd):
                values["body"], values["body_digest"] = b"".join(body), event.digest
            elif isinstance(event, AttachmentStart):
                attachments.append(Attachment(event.headers, b"", None))
            elif isinstance(event, AttachmentEnd):
                whole = replace(attachments[-1], digest=event.digest, data=b"".join(body))
                attachments[-1] = whole
                body.clear()
            elif isinstance(event, HashChainResult | HashChain | SignaturePart):
                values[_FIELDS[type(event)]] = event.document
            elif not isinstance(event, End):
                values[_FIELDS[type(event)]] = event
        return cls(ocsp=tuple(ocsp), attachments=tuple(attachments), **values)

    def without_bodies(self) -> "TransportMessage":
        """The message without the bytes of the body and of attachments."""
        attachments = tuple(replace(attachment, data=None) for attachment in self.attachments)
        return replace(self, body=None, attachments=attachments)

    def get_rest(self) -> RestParts:
        """The parts of a REST message.

        Raises the PeerFault that came instead, MissingRest or MissingSignature.
        """
        if self.fault is not None:
            raise self.fault.fault
        if self.header is None:
            raise MissingRest("the message has no REST message part")
        if self.signature is None:
            raise MissingSignature("the message has no signature")
        return RestParts(
            self.header, self.body_digest, self.hash_chain_result, self.hash_chain, self.signature
        )

    def get_soap(self) -> SoapParts:
        """The parts of a SOAP message.

        Raises the PeerFault that came instead, MissingSoap or MissingSignature.
        """
        if self.fault is not None:
            raise self.fault.fault
        if self.soap is None:
            raise MissingSoap("the message has no SOAP message part")
        if self.signature is None:
            raise MissingSignature("the message has no signature")
        return SoapParts(
            self.soap, self.attachments, self.hash_chain_result, self.hash_chain, self.signature
        )
