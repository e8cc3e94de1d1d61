"""The parts of a transport message, as events in the order in which they travel."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sild.protocol.errors import MissingRest, MissingSignature, PeerFault


@dataclass(frozen=True, slots=True)
class OcspPart:
    """The OCSP response of one certificate of the caller's authentication chain."""

    der: bytes


@dataclass(frozen=True, slots=True)
class SoapPart:
    """A SOAP envelope, exact bytes, not read."""

    raw: bytes
    content_type: str


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
    | SoapPart
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
class TransportMessage:
    """The parts that came, whether or not they are enough.

    The body is here only if the message was read as a whole; its digest always is, unless there
    was no body part.
    """

    ocsp: tuple[bytes, ...] = ()
    header: RestHeader | None = None
    soap: SoapPart | None = None
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
        values: dict[str, Any] = {}
        for event in events:
            if isinstance(event, OcspPart):
                ocsp.append(event.der)
            elif isinstance(event, BodyChunk):
                body.append(event.data)
            elif isinstance(event, BodyEnd):
                values["body"], values["body_digest"] = b"".join(body), event.digest
            elif isinstance(event, HashChainResult | HashChain | SignaturePart):
                values[_FIELDS[type(event)]] = event.document
            elif not isinstance(event, End):
                values[_FIELDS[type(event)]] = event
        return cls(ocsp=tuple(ocsp), **values)

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
