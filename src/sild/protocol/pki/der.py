"""DER by hand: writes what requests to authorities are made of, takes values apart unchanged."""

from asn1crypto import core, parser

_LONG_FORM = 0x80
_MOST_PARTS = 1000

NULL = b"\x05\x00"
TRUE = b"\x01\x01\xff"


def tagged(tag: int, *parts: bytes) -> bytes:
    """Any value: its identifier octet, its length and its contents."""
    size = sum(map(len, parts))
    if size < _LONG_FORM:
        return bytes((tag, size)) + b"".join(parts)
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, _LONG_FORM | len(length))) + length + b"".join(parts)


def sequence(*parts: bytes) -> bytes:
    """A SEQUENCE of written values."""
    return tagged(0x30, *parts)


def set_of(*parts: bytes) -> bytes:
    """A SET OF written values, sorted as DER asks."""
    return tagged(0x31, *sorted(parts))


def octets(value: bytes) -> bytes:
    """An OCTET STRING."""
    return tagged(0x04, value)


def bits(value: bytes, unused: int = 0) -> bytes:
    """A BIT STRING."""
    return tagged(0x03, bytes((unused,)), value)


def integer(value: int) -> bytes:
    """An INTEGER."""
    return bytes(core.Integer(value).dump())


def identifier(dotted: str) -> bytes:
    """An OBJECT IDENTIFIER."""
    return bytes(core.ObjectIdentifier(dotted).dump())


def algorithm(dotted: str, parameters: bytes = NULL) -> bytes:
    """An AlgorithmIdentifier; no parameters are written for ECDSA, NULL for most others."""
    return sequence(identifier(dotted), parameters)


def contents_of(value: bytes) -> bytes:
    """What a value holds, without its identifier and length; raises ValueError."""
    return bytes(parser.parse(value, strict=True)[4])


def parts_of(value: bytes) -> list[bytes]:
    """The values that a constructed value holds, each as it stands; raises ValueError."""
    rest, parts = contents_of(value), []
    while rest:
        size = sum(map(len, parser.parse(rest)[3:]))
        parts.append(rest[:size])
        rest = rest[size:]
        if len(parts) > _MOST_PARTS:
            raise ValueError(f"a value with more than {_MOST_PARTS} parts")
    return parts
