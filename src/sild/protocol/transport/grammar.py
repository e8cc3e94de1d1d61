"""Which part may follow which in a transport message.

The first table is PR-MESSTRANSP 3.1 read aloud, and what is sent. The second adds what peers
accept besides, and what some of them send: it is what is read.
"""

from collections.abc import Mapping
from enum import Enum, auto

from sild.protocol.errors import InvalidContentType, InvalidMessage


class Direction(Enum):
    """From the consumer's security server to the provider's, or back."""

    REQUEST = "request"
    RESPONSE = "response"

    __hash__ = object.__hash__


class Part(Enum):
    """Where one is in a transport message."""

    START = auto()
    OCSP = auto()
    SOAP = auto()
    ATTACHMENTS = auto()
    REST_HEADER = auto()
    REST_BODY = auto()
    HASH_CHAIN_RESULT = auto()
    HASH_CHAIN = auto()
    SIGNATURE = auto()
    FAULT = auto()
    END = auto()

    # By identity, in C: every part of a message is looked up in several tables.
    __hash__ = object.__hash__


Grammar = Mapping[Part, frozenset[Part]]

_SIGNED = frozenset({Part.HASH_CHAIN_RESULT, Part.SIGNATURE})
_MESSAGE = frozenset({Part.SOAP, Part.REST_HEADER})
_FAULT = frozenset({Part.FAULT})

_BODY: Grammar = {
    Part.SOAP: _SIGNED | {Part.ATTACHMENTS},
    Part.ATTACHMENTS: _SIGNED,
    Part.REST_HEADER: _SIGNED | {Part.REST_BODY},
    Part.REST_BODY: _SIGNED,
    Part.HASH_CHAIN_RESULT: frozenset({Part.HASH_CHAIN}),
    Part.HASH_CHAIN: frozenset({Part.SIGNATURE}),
    Part.SIGNATURE: frozenset({Part.END}),
}

# "Since the previous parts of the message have already been sent to the other party,
# the SOAP fault must be sent as the last part." -- PR-MESSTRANSP 3.1
_FAULT_INSTEAD_OF_SIGNATURE: Grammar = {
    **{
        part: _BODY[part] | _FAULT
        for part in (Part.SOAP, Part.ATTACHMENTS, Part.REST_HEADER, Part.REST_BODY)
    },
    Part.FAULT: frozenset({Part.END}),
}

SENT: Mapping[Direction, Grammar] = {
    Direction.REQUEST: {
        Part.START: frozenset({Part.OCSP}),
        Part.OCSP: _MESSAGE | {Part.OCSP},
        **_BODY,
    },
    Direction.RESPONSE: {
        Part.START: _MESSAGE | _FAULT,
        **_BODY,
        **_FAULT_INSTEAD_OF_SIGNATURE,
    },
}

# A hash-chain result without a chain is what the reference decoder takes too: then the signature
# is over the message itself, or does not verify.
_LONE_RESULT: Grammar = {Part.HASH_CHAIN_RESULT: frozenset({Part.HASH_CHAIN, Part.SIGNATURE})}

ACCEPTED: Mapping[Direction, Grammar] = {
    Direction.REQUEST: {
        **SENT[Direction.REQUEST],
        # Without OCSP responses the caller cannot be authenticated; that refusal has its own code.
        Part.START: _MESSAGE | {Part.OCSP},
        **_LONE_RESULT,
    },
    Direction.RESPONSE: {
        **SENT[Direction.RESPONSE],
        # A fault in place of the message has the content type of a SOAP message: what it is shows
        # when it has been read.
        Part.START: _MESSAGE,
        Part.HASH_CHAIN_RESULT: _LONE_RESULT[Part.HASH_CHAIN_RESULT] | _FAULT,
        Part.HASH_CHAIN: _BODY[Part.HASH_CHAIN] | _FAULT,
    },
}

OCSP_TYPE = "application/ocsp-response"
XML_TYPE = "text/xml"
ATTACHMENTS_TYPE = "multipart/mixed"
REST_HEADER_TYPES: Mapping[Direction, str] = {
    Direction.REQUEST: "application/x-road-rest-request",
    Direction.RESPONSE: "application/x-road-rest-response",
}


def _types(direction: Direction) -> Mapping[Part, tuple[str, ...]]:
    return {
        Part.OCSP: (OCSP_TYPE,),
        Part.SOAP: (XML_TYPE, "application/xop+xml"),
        Part.ATTACHMENTS: (ATTACHMENTS_TYPE,),
        Part.REST_HEADER: (REST_HEADER_TYPES[direction],),
        Part.REST_BODY: ("application/x-road-rest-body",),
        Part.HASH_CHAIN_RESULT: ("application/hash-chain-result",),
        Part.HASH_CHAIN: ("application/hash-chain",),
        Part.SIGNATURE: ("signature/bdoc-1.0/ts",),
        Part.FAULT: (XML_TYPE,),
    }


TYPES_OF_PART: Mapping[Direction, Mapping[Part, tuple[str, ...]]] = {
    direction: _types(direction) for direction in Direction
}

_NEXT: Mapping[Direction, Mapping[Part, Mapping[str, Part]]] = {
    direction: {
        after: {
            media_type: part
            for part in allowed - {Part.END}
            for media_type in TYPES_OF_PART[direction][part]
        }
        for after, allowed in grammar.items()
    }
    for direction, grammar in ACCEPTED.items()
}


def next_part(direction: Direction, after: Part, media_type: str) -> Part:
    """Say what a part of this type is, standing where it stands.

    Raises InvalidMessage behind the last part, InvalidContentType elsewhere.
    """
    allowed = _NEXT[direction].get(after, {})
    part = allowed.get(media_type)
    if part is not None:
        return part
    message = f"{media_type} may not follow {after.name} in a {direction.value}"
    raise InvalidContentType(message) if allowed else InvalidMessage(message)


def check_sent(direction: Direction, after: Part, part: Part) -> None:
    """Raise InvalidMessage unless the part may be sent after the other."""
    if part not in SENT[direction].get(after, frozenset()):
        raise InvalidMessage(f"{part.name} may not follow {after.name} in a {direction.value}")
