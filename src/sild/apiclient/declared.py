"""A security server as a file declares it: plain values, each checked by itself.

The file is YAML; names of keys have dashes where fields here have underscores. What a declaration
does not say of a client is not there: services, rights, groups and certificates that a declared
client has beyond it are removed. Clients that are not declared are left alone.
"""

from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

Text: TypeAlias = Annotated[str, Meta(min_length=1, max_length=255)]
Url: TypeAlias = Annotated[str, Meta(pattern=r"^https?://[^\s]+$", max_length=255)]
MemberId: TypeAlias = Annotated[str, Meta(pattern=r"^[^:]+:[^:]+:[^:]+$", max_length=767)]
ClientId: TypeAlias = Annotated[str, Meta(pattern=r"^[^:]+(:[^:]+){2,3}$", max_length=1023)]
Subject: TypeAlias = Annotated[
    str, Meta(pattern=r"^[^:]+$|^[^:]+:[^:]+$|^[^:]+(:[^:]+){3}$", max_length=1023)
]
"""Who has a right: a local group (CODE), a global group (INSTANCE:CODE) or a subsystem."""
Method: TypeAlias = Annotated[
    str, Meta(pattern=r"^(\*|GET|POST|PUT|DELETE|PATCH|HEAD|OPTIONS|TRACE)$")
]
Seconds: TypeAlias = Annotated[int, Meta(ge=0, le=1000)]
ConnectionType: TypeAlias = Annotated[str, Meta(pattern=r"^(HTTP|HTTPS|HTTPS_NO_AUTH)$")]
Usage: TypeAlias = Annotated[str, Meta(pattern=r"^(AUTHENTICATION|SIGNING)$")]

ANY_METHOD, ANY_PATH = "*", "**"
DEFAULT_TIMEOUT = 60
SOFTWARE_TOKEN = "0"  # noqa: S105 - the name of a token, no secret
AUTHENTICATION, SIGNING = "AUTHENTICATION", "SIGNING"


class _Declared(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """What every part of a declaration is."""


class Secret(_Declared, frozen=True):
    """Where a secret stands: in a file, in the environment, or in what a command prints."""

    file: Text | None = None
    environment: Text | None = None
    command: tuple[Text, ...] | None = None

    def __post_init__(self) -> None:
        if sum(each is not None for each in (self.file, self.environment, self.command)) != 1:
            raise ValueError("a secret has one of file, environment and command")
        if self.command == ():
            raise ValueError("the command of a secret is empty")


class DeclaredKey(_Declared, frozen=True):
    """A key with its certificate; without a label, any such key that has one will do.

    `member` is whom a signing key signs for, the owner if it is left out. `fields` are those of
    the certificate's subject that the certification authority wants.
    """

    usage: Usage
    label: Text | None = None
    member: MemberId | None = None
    authority: Text | None = None
    fields: dict[str, str] = {}


class DeclaredToken(_Declared, frozen=True):
    """A token, who opens it, and its keys.

    Without `keys` the software token has an authentication key, and a signing key for the owner
    and for each other member that has a client.
    """

    id: Text = SOFTWARE_TOKEN
    pin: Secret | None = None
    name: Text | None = None
    keys: tuple[DeclaredKey, ...] | None = None


class DeclaredEndpoint(_Declared, frozen=True):
    """A method and path of a REST service, and who may call just that."""

    path: Annotated[str, Meta(pattern=r"^/", max_length=255)]
    method: Method = ANY_METHOD
    access: tuple[Subject, ...] = ()


class _Service(_Declared, frozen=True, kw_only=True, tag_field="type"):
    """What services of all types have; `disabled` is the notice of one that is switched off.

    `verify_tls` says whether the certificate of an application behind https is verified; it is,
    unless it is switched off.
    """

    timeout: Seconds = DEFAULT_TIMEOUT
    verify_tls: bool = True
    access: tuple[Subject, ...] = ()
    disabled: Text | None = None


class RestService(_Service, frozen=True, kw_only=True, tag="REST"):
    """A REST service below a base address."""

    code: Text
    url: Url
    endpoints: tuple[DeclaredEndpoint, ...] = ()


class OpenApiService(_Service, frozen=True, kw_only=True, tag="OPENAPI3"):
    """A REST service with an OpenAPI description at `url`.

    `service_url` is where the service is, if the description does not say so. The endpoints of the
    description are there by themselves; here stand others, and who may call which.
    """

    code: Text
    url: Url
    service_url: Url | None = None
    endpoints: tuple[DeclaredEndpoint, ...] = ()


class DeclaredOperation(_Declared, frozen=True):
    """A service of a WSDL, by its code and version (`code.version`), where it differs."""

    code: Text
    url: Url | None = None
    timeout: Seconds | None = None
    verify_tls: bool | None = None
    access: tuple[Subject, ...] = ()


class WsdlService(_Service, frozen=True, kw_only=True, tag="WSDL"):
    """SOAP services that the WSDL at `url` describes; `access` is to every one of them."""

    url: Url
    service_url: Url | None = None
    services: tuple[DeclaredOperation, ...] = ()


Service: TypeAlias = RestService | OpenApiService | WsdlService


class DeclaredGroup(_Declared, frozen=True):
    """A local group; without a description its code describes it."""

    code: Text
    description: (
        Annotated[str, Meta(pattern=r"^[a-zA-Z0-9\-_,.;:!? ]+$", max_length=255)] | None
    ) = None
    members: tuple[ClientId, ...] = ()


class DeclaredClient(_Declared, frozen=True):
    """A member or subsystem that uses this server; certificates are files.

    `register` is false for one that the Central Server registers by itself, such as the provider
    of the management services: it is waited for, not asked for.
    """

    id: ClientId
    name: Text | None = None
    connection_type: ConnectionType = "HTTPS"
    register: bool = True
    certificates: tuple[Text, ...] = ()
    groups: tuple[DeclaredGroup, ...] = ()
    services: tuple[Service, ...] = ()


class DeclaredServer(_Declared, frozen=True):
    """A whole security server; what is None is left as it is found.

    `anchor` is a file or an address. `timestamping` names services, by name or address, or is
    `all` that are approved. `maintenance` is the message of it, or whether there is any.
    `authority` and `fields` count for every key that has no other.
    """

    owner: MemberId
    code: Text
    address: Text
    anchor: Text | None = None
    anchor_hash: Annotated[str, Meta(pattern=r"^[0-9A-Fa-f:]{56,111}$")] | None = None
    pin: Secret | None = None
    tokens: tuple[DeclaredToken, ...] = (DeclaredToken(),)
    authority: Text | None = None
    fields: dict[str, str] = {}
    clients: tuple[DeclaredClient, ...] = ()
    timestamping: Text | tuple[Text, ...] | None = None
    maintenance: bool | Annotated[str, Meta(max_length=255)] | None = None

    @property
    def id(self) -> str:
        """The server's own identifier."""
        return f"{self.owner}:{self.code}"
