"""Clients, services, endpoints, rights and groups of a security server, and a client's states."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from urllib.parse import urlsplit

from sild.model.refusals import BadRequest, Conflict
from sild.protocol.ids import ClientId, ServiceId, SubjectId

ANY_METHOD = "*"
ANY_PATH = "**"
DEFAULT_TIMEOUT_SECONDS = 60
_LONGEST_TIMEOUT_SECONDS = 1000
_LONGEST_URL = 255
_LONGEST_CODE = 255
_LONGEST_PATTERN = 255

METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"})

# Service codes that the protocols give a meaning of their own.
RESERVED_SERVICE_CODES = frozenset(
    {
        "listClients",
        "listMethods",
        "allowedMethods",
        "getWsdl",
        "getOpenAPI",
        "getSecurityServerMetrics",
        "getSecurityServerOperationalData",
        "getSecurityServerHealthData",
    }
)

# What the management APIs refuse in a new identifier (wire facts, 10): separators and controls.
_NOT_IN_CODES = frozenset(":;/\\%\u200b\ufeff")


class InvalidConfiguration(BadRequest):
    """A value that the configuration of a security server may not hold."""

    code = "invalid_configuration"


class InvalidMove(Conflict):
    """An event that may not happen to something in this state."""

    code = "action_not_possible"


class ConnectionType(Enum):
    """How a client's information systems connect to the security server."""

    NOSSL = "NOSSL"
    SSLNOAUTH = "SSLNOAUTH"
    SSLAUTH = "SSLAUTH"


class ServiceType(Enum):
    """What describes a service."""

    WSDL = "WSDL"
    REST = "REST"
    OPENAPI3 = "OPENAPI3"


class ClientStatus(Enum):
    """Where a client stands between this server and the Central Server."""

    SAVED = "saved"
    REGISTRATION_IN_PROGRESS = "registration in progress"
    REGISTERED = "registered"
    DELETION_IN_PROGRESS = "deletion in progress"
    GLOBAL_ERROR = "global error"
    DISABLED = "disabled"
    DISABLING_IN_PROGRESS = "disabling in progress"
    ENABLING_IN_PROGRESS = "enabling in progress"


class ClientEvent(Enum):
    """What an administrator does to a client."""

    REGISTER = "register"
    UNREGISTER = "unregister"
    DISABLE = "disable"
    ENABLE = "enable"


_S, _E = ClientStatus, ClientEvent

CLIENT_MOVES: Mapping[tuple[ClientStatus, ClientEvent], ClientStatus] = {
    (_S.SAVED, _E.REGISTER): _S.REGISTRATION_IN_PROGRESS,
    (_S.REGISTERED, _E.UNREGISTER): _S.DELETION_IN_PROGRESS,
    (_S.REGISTRATION_IN_PROGRESS, _E.UNREGISTER): _S.DELETION_IN_PROGRESS,
    (_S.DISABLED, _E.UNREGISTER): _S.DELETION_IN_PROGRESS,
    (_S.REGISTERED, _E.DISABLE): _S.DISABLING_IN_PROGRESS,
    (_S.DISABLED, _E.ENABLE): _S.ENABLING_IN_PROGRESS,
}

CLIENT_APPEARS: Mapping[ClientStatus, ClientStatus] = {
    _S.SAVED: _S.REGISTERED,
    _S.REGISTRATION_IN_PROGRESS: _S.REGISTERED,
    _S.GLOBAL_ERROR: _S.REGISTERED,
    _S.ENABLING_IN_PROGRESS: _S.REGISTERED,
}

CLIENT_VANISHES: Mapping[ClientStatus, ClientStatus] = {
    _S.REGISTERED: _S.GLOBAL_ERROR,
    _S.DISABLING_IN_PROGRESS: _S.DISABLED,
}

DELETABLE_CLIENTS = frozenset({_S.SAVED, _S.DELETION_IN_PROGRESS, _S.GLOBAL_ERROR})


def client_after(status: ClientStatus, event: ClientEvent) -> ClientStatus:
    """The state of a client after an administrator's act.

    Raises InvalidMove where the act is not allowed.
    """
    try:
        return CLIENT_MOVES[status, event]
    except KeyError:
        raise InvalidMove(f"a client that is {status.value} cannot {event.value}") from None


def next_status(status: ClientStatus, *, in_global_conf: bool) -> ClientStatus:
    """The state of a client once the global configuration lists it on this server, or does not."""
    return (CLIENT_APPEARS if in_global_conf else CLIENT_VANISHES).get(status, status)


def client_once_taken(before: ClientStatus, now: ClientStatus, event: ClientEvent) -> ClientStatus:
    """The state of a client once the Central Server has taken what was asked in state `before`.

    By the time of its answer the global configuration may have moved the client to `now` already.
    Raises InvalidMove where the act is not allowed, or something else has happened to the client.
    """
    after = client_after(before, event)
    if now is before:
        return after
    for listed in (True, False):
        if now is next_status(before, in_global_conf=listed):
            return next_status(after, in_global_conf=listed)
    raise InvalidMove(f"a client that became {now.value} meanwhile cannot {event.value}")


@dataclass(frozen=True, slots=True)
class Client:
    """A member or subsystem that uses this security server; `certificates` are DER."""

    id: ClientId
    status: ClientStatus = ClientStatus.SAVED
    connection_type: ConnectionType = ConnectionType.SSLAUTH
    certificates: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Service:
    """A service of a client of this server; a notice means that it is switched off."""

    id: ServiceId
    type: ServiceType
    url: str
    timeout_seconds: int = DEFAULT_TIMEOUT_SECONDS
    verify_tls: bool = True
    disabled_notice: str | None = None
    title: str | None = None

    @property
    def full_code(self) -> str:
        """The code with the version, if there is one: getData.v1."""
        version = self.id.service_version
        return f"{self.id.service_code}.{version}" if version else self.id.service_code


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A method and path pattern of a service, or with `* **` the whole service, any version."""

    provider: ClientId
    service_code: str
    method: str = ANY_METHOD
    path: str = ANY_PATH

    @property
    def is_base(self) -> bool:
        """Whether this stands for the whole service."""
        return self.method == ANY_METHOD and self.path == ANY_PATH


@dataclass(frozen=True, slots=True)
class AccessRight:
    """One subject's right to one endpoint; a local group is one of the endpoint's provider."""

    endpoint: Endpoint
    subject: SubjectId


@dataclass(frozen=True, slots=True)
class LocalGroup:
    """Subsystems that a client gives rights to as one."""

    owner: ClientId
    code: str
    members: frozenset[ClientId] = frozenset()
    description: str = ""


def check_code(name: str, text: str) -> None:
    """Refuse a service or group code that could not be written in an identifier.

    Raises InvalidConfiguration.
    """
    if not text or text != text.strip() or len(text) > _LONGEST_CODE:
        raise InvalidConfiguration(
            f"{name} must have 1 to {_LONGEST_CODE} characters and no blanks around it: {text!r}"
        )
    if not text.isprintable() or not _NOT_IN_CODES.isdisjoint(text):
        raise InvalidConfiguration(
            f"{name} may not hold control characters or any of : ; / \\ %: {text!r}"
        )


def check_service_code(code: str) -> None:
    """Refuse a service code that cannot be written, or that a metaservice has."""
    check_code("the service code", code)
    if code in RESERVED_SERVICE_CODES:
        raise InvalidConfiguration(f"the service code {code!r} is reserved")


def check_url(url: str) -> None:
    """Refuse a service address that is not http or https, or that could not be called."""
    if len(url) > _LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url:
        raise InvalidConfiguration(
            f"a service address must be printable ASCII of at most {_LONGEST_URL} characters"
        )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InvalidConfiguration(f"{url!r} is not an address") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise InvalidConfiguration(f"{url!r} is not an http or https address")
    if parts.username is not None or "#" in url:
        raise InvalidConfiguration(f"{url!r} may have no user or fragment")


def check_base_path(url: str) -> None:
    """Refuse the address of a REST service to which no path can be added."""
    check_url(url)
    if "?" in url:
        raise InvalidConfiguration(f"{url!r} may have no query: paths are added to it")


def check_endpoint(method: str, path: str) -> None:
    """Refuse a method that requests cannot have, and a pattern that no path can match."""
    if method != ANY_METHOD and method not in METHODS:
        raise InvalidConfiguration(f"{method!r} is no method of an endpoint")
    if path != ANY_PATH and not path.startswith("/"):
        raise InvalidConfiguration(f"the path of an endpoint begins with a slash: {path!r}")
    if len(path) > _LONGEST_PATTERN or not path.isprintable():
        raise InvalidConfiguration(
            f"the path of an endpoint has at most {_LONGEST_PATTERN} printable characters"
        )


def check_timeout(seconds: int) -> None:
    """Refuse a service timeout that is nothing or an age."""
    if not 1 <= seconds <= _LONGEST_TIMEOUT_SECONDS:
        raise InvalidConfiguration(
            f"a service timeout is 1 to {_LONGEST_TIMEOUT_SECONDS} seconds, not {seconds}"
        )
