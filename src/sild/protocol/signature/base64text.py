"""Base64 as XML signatures hold it: strict, but for white space."""

import binascii
import re

from sild.protocol.errors import Malformed

_WHITE_SPACE = re.compile(r"[ \t\r\n]+")


class NotBase64(Malformed):
    """A text that is not base64 in its one canonical form."""


def decode_base64(text: str) -> bytes:
    """The bytes of a base64 text; white space may stand anywhere in it, nothing else may.

    Raises NotBase64 also for missing padding and for bits that no byte takes up.
    """
    try:
        return decode_unbroken(_WHITE_SPACE.sub("", text).encode("ascii"))
    except UnicodeEncodeError:
        raise NotBase64("not base64: it has characters beyond ASCII") from None


def decode_unbroken(text: bytes) -> bytes:
    """The bytes of a base64 text without white space; raises NotBase64."""
    try:
        value = binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error as error:
        raise NotBase64(f"not base64: {error}") from None
    # Strict mode lets unused bits of the last character be anything.
    if encode_base64(value) != text:
        raise NotBase64("not base64: its last character has bits that no byte takes up")
    return value


def encode_base64(data: bytes) -> bytes:
    """The data in base64, in one line."""
    return binascii.b2a_base64(data, newline=False)
