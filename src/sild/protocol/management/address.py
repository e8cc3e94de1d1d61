"""The addresses that a security server may have: a DNS name or an IP address."""

import ipaddress
import re

from sild.protocol.errors import InvalidRequest

_LONGEST_NAME = 253
_LONGEST_TEXT = 255
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.IGNORECASE)


def is_address(text: str) -> bool:
    """Whether a server can be at this address, without a port."""
    return len(text) <= _LONGEST_TEXT and (_is_ip_address(text) or _is_name(text))


def check_address(text: str | None) -> None:
    """Raise InvalidRequest unless a server can be at this address."""
    if text is None or not is_address(text):
        raise InvalidRequest("Invalid server address")


def _is_ip_address(text: str) -> bool:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return False
    return not (isinstance(found, ipaddress.IPv6Address) and found.scope_id is not None)


def _is_name(text: str) -> bool:
    try:
        name = text.encode("idna").decode("ascii")
    except UnicodeError:
        return False
    labels = name.removesuffix(".").split(".")
    if len(name) > _LONGEST_NAME or labels[-1][:1].isdigit():
        return False
    return all(_LABEL.fullmatch(label) and not _is_edged(label) for label in labels)


def _is_edged(label: str) -> bool:
    # An underscore may stand inside a label, where people put it, but not at its ends.
    return label.startswith("_") or label.endswith("_")
