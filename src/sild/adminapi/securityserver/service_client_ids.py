"""Who and what rights are about, as requests name them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from sild.components.serverconf.rights import NamedService, NamedSubject
from sild.model.refusals import BadRequest, NotFound
from sild.protocol.errors import InvalidIdentifier
from sild.protocol.ids import ClientId, GlobalGroupId, SecurityServerId

_SERVICE_COLONS, _SUBSYSTEM_COLONS, _GROUP_COLONS = 4, 3, 1
_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)


class InvalidEncodedId(BadRequest):
    """What should be an identifier with colons is none."""

    code = "invalid_encoded_id"


class InvalidServiceClientId(BadRequest):
    """What should name a subsystem, a global group or a local group names none."""

    code = "invalid_service_client_id"


class IdNotANumber(NotFound):
    """What is named by a number was named by something else."""

    code = "id_not_a_number"


def client_from_encoded(text: str) -> ClientId:
    """The client of DEV:GOV:M1 or DEV:GOV:M1:SUB; raises InvalidEncodedId."""
    with _refusing(InvalidEncodedId(f"{text!r} is no client", text)):
        return ClientId.from_encoded(text)


def server_from_encoded(text: str) -> SecurityServerId:
    """The server of DEV:GOV:M1:SS1; raises InvalidEncodedId."""
    owner, _, code = text.rpartition(":")
    with _refusing(InvalidEncodedId(f"{text!r} is no security server", text)):
        return SecurityServerId(ClientId.from_encoded(owner), code)


def service_from_encoded(text: str) -> NamedService:
    """The service of DEV:GOV:M1:SUB:getData.v1; raises InvalidEncodedId."""
    provider, _, full_code = text.rpartition(":")
    if text.count(":") != _SERVICE_COLONS:
        raise InvalidEncodedId(f"{text!r} is no service")
    return NamedService(client_from_encoded(provider), full_code)


def endpoint_from_text(text: str) -> int:
    """The number of an endpoint; raises IdNotANumber."""
    if not _NUMBER.fullmatch(text):
        raise IdNotANumber(f"{text!r} is no number")
    return int(text)


def subject_from_encoded(text: str) -> NamedSubject:
    """The subsystem of DEV:GOV:M1:SUB, the global group of DEV:all or the local group of 17.

    Raises InvalidServiceClientId.
    """
    with _refusing(InvalidServiceClientId(f"{text!r} is no service client")):
        if text.count(":") == _SUBSYSTEM_COLONS:
            return ClientId.from_encoded(text)
        if text.count(":") == _GROUP_COLONS:
            return GlobalGroupId(*text.split(":"))
        if _NUMBER.fullmatch(text):
            return int(text)
        raise InvalidIdentifier(text)


@contextmanager
def _refusing(refusal: BadRequest) -> Iterator[None]:
    try:
        yield
    except InvalidIdentifier:
        raise refusal from None
