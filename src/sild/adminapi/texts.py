"""Which texts may stand in requests; refusals carry the codes of the reference's validators."""

import ipaddress
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from pydantic_core import PydanticCustomError

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u200b\ufeff]")
_STRICT = re.compile(r"[a-zA-Z0-9'()+,\-.=?]*", re.ASCII)
_SEPARATORS = frozenset(":;/\\%")
_NOT_OF_ADDRESSES = re.compile(r"[^a-zA-Z0-9.\-]", re.ASCII)
_LABEL = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9\-_]{0,61}[a-zA-Z0-9])?", re.ASCII)
_LONGEST_NAME, _MOST_LABELS = 253, 127

_strict: ContextVar[bool] = ContextVar("strict_identifiers", default=True)


@contextmanager
def identifiers_are(*, strict: bool) -> Iterator[None]:
    """Say how new identifiers are checked in the block: the `strict-identifier-checks` setting."""
    token = _strict.set(strict)
    try:
        yield
    finally:
        _strict.reset(token)


def check_plain(text: str) -> str:
    """Refuse control characters."""
    if _CONTROL.search(text):
        raise PydanticCustomError("NoControlChars", "must not contain control characters")
    return text


def check_identifier(text: str) -> str:
    """Refuse what cannot be a part of a new identifier."""
    is_loosely_valid = _SEPARATORS.isdisjoint(text) and not _CONTROL.search(text)
    if not (_STRICT.fullmatch(text) if _strict.get() else is_loosely_valid):
        raise PydanticCustomError("IdentifierChars", "has characters that identifiers do not have")
    return text


def check_host(text: str) -> str:
    """Refuse what is neither a host's name nor an IPv4 address."""
    if _NOT_OF_ADDRESSES.search(text):
        raise PydanticCustomError("OnlyAddressChars", "has characters that addresses do not have")
    if not (_is_ip(text) or _is_name(text)):
        raise PydanticCustomError("ValidHostAddress", "is no host's name or address")
    return text


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_name(text: str) -> bool:
    labels = text.removesuffix(".").split(".")
    return (
        len(text) <= _LONGEST_NAME
        and len(labels) <= _MOST_LABELS
        and all(map(_LABEL.fullmatch, labels))
        # A last label of digits is a mistyped IPv4 address.
        and not labels[-1][0].isdigit()
    )
