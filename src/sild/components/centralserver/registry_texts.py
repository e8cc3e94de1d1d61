"""Which texts identify what is registered, and what an identifier with colons says."""

import re

from sild.components.centralserver.registry_errors import (
    InvalidEncodedId,
    InvalidMemberId,
    InvalidSubsystemId,
    InvalidText,
)
from sild.protocol.errors import InvalidIdentifier
from sild.protocol.ids import ClientId, SecurityServerId

_LONGEST = 255
_SEPARATORS = frozenset(":;/\\%")
# As a segment of a path these would be another resource.
_PATHS = frozenset({".", ".."})
_DESCRIPTION = re.compile(r"[a-zA-Z0-9\-_,.;:!? ]*")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u200b\ufeff]")
_MEMBER_COLONS, _SUBSYSTEM_COLONS = 2, 3


def check_identifier(name: str, text: str) -> None:
    """Raise InvalidText for what can be no class, code or subsystem of a new registration.

    What separates identifiers, or would not come through a path, is refused here; which other
    characters there may be is a setting of the API.
    """
    _check_length(name, text)
    if not _SEPARATORS.isdisjoint(text) or _CONTROL.search(text) or text in _PATHS:
        raise InvalidText(f"{name} has characters that identifiers do not have", name)


def check_name(name: str, text: str) -> None:
    """Raise InvalidText for what can name nobody."""
    _check_length(name, text)
    if _CONTROL.search(text):
        raise InvalidText(f"{name} has control characters", name)


def check_description(name: str, text: str) -> None:
    """Raise InvalidText for what can describe no class or group."""
    _check_length(name, text)
    if not _DESCRIPTION.fullmatch(text):
        raise InvalidText(f"{name} has characters that descriptions do not have", name)


def member_from_encoded(text: str) -> ClientId:
    """The member of DEV:GOV:M1; raises InvalidMemberId, InvalidEncodedId."""
    if text.count(":") != _MEMBER_COLONS:
        raise InvalidMemberId(f"{text!r} is no member", text)
    return client_from_encoded(text)


def subsystem_from_encoded(text: str) -> ClientId:
    """The subsystem of DEV:GOV:M1:SUB; raises InvalidSubsystemId, InvalidEncodedId."""
    if text.count(":") != _SUBSYSTEM_COLONS:
        raise InvalidSubsystemId(f"{text!r} is no subsystem", text)
    return client_from_encoded(text)


def client_from_encoded(text: str) -> ClientId:
    """A member or subsystem; raises InvalidEncodedId."""
    try:
        return ClientId.from_encoded(text)
    except InvalidIdentifier as error:
        raise InvalidEncodedId(error.message, text) from None


def server_from_encoded(text: str) -> SecurityServerId:
    """The server of DEV:GOV:M1:SS1; raises InvalidEncodedId."""
    owner, _, code = text.rpartition(":")
    if text.count(":") != _SUBSYSTEM_COLONS:
        raise InvalidEncodedId(f"{text!r} is no security server", text)
    try:
        return SecurityServerId(ClientId.from_encoded(owner), code)
    except InvalidIdentifier as error:
        raise InvalidEncodedId(error.message, text) from None


def _check_length(name: str, text: str) -> None:
    if not text.strip():
        raise InvalidText(f"{name} is missing or blank", name)
    if len(text) > _LONGEST:
        raise InvalidText(f"{name} is longer than {_LONGEST} characters", name)
