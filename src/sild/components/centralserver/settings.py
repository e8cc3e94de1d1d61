"""The Central Server's settings, named as in the reference's `[center]` and its services."""

from dataclasses import dataclass
from enum import Enum
from typing import Annotated

from sild.runtime.addresses import AllowedAddresses
from sild.runtime.settings import Between, Secret


class SigningKeyAlgorithm(Enum):
    """The keys that sign global configuration."""

    RSA = "RSA"
    EC = "EC"


@dataclass(frozen=True, slots=True)
class CenterSettings:
    """Times are in seconds."""

    database: Annotated[str | None, Secret()] = None
    """The PostgreSQL of the registry, postgresql://user:password@host/name; by default SQLite."""
    ha_node_name: str = "node_0"
    """The name of this node among those that share the database."""
    high_availability: bool = False
    """Whether this is one of several nodes on one database."""
    global_conf_generation_interval: Annotated[float, Between(0.1)] = 60.0
    """How often global configuration is generated and signed."""
    generate_on_change: bool = True
    """Whether each change generates global configuration at once, too."""
    minimum_global_configuration_version: Annotated[int, Between(2, 6)] = 2
    """Versions below this are not generated."""
    auto_approve_auth_cert_reg_requests: bool = False
    """Whether a server's own registration request needs nobody to approve it, if its owner is
    known."""
    auto_approve_client_reg_requests: bool = False
    """Whether a client's registration request needs nobody to approve it, if the member is
    known."""
    auto_approve_owner_change_requests: bool = False
    """Whether a request for another owner needs nobody to approve it."""
    trusted_anchors_allowed: bool = True
    """Whether other instances may be federated with."""
    internal_key_algorithm: SigningKeyAlgorithm = SigningKeyAlgorithm.RSA
    """The keys that are made to sign the configuration of this instance's servers."""
    external_key_algorithm: SigningKeyAlgorithm = SigningKeyAlgorithm.RSA
    """The keys that are made to sign the configuration for other instances."""


@dataclass(frozen=True, slots=True)
class CenterListeners:
    """Where the Central Server listens; a port of 0 is not served."""

    listen_address: str = "0.0.0.0"  # noqa: S104 - a server for all who may reach it
    api_port: Annotated[int, Between(0, 65535)] = 4000
    """The management API."""
    registration_port: Annotated[int, Between(0, 65535)] = 4001
    """Authentication certificates' registration, called by Security Servers."""
    management_port: Annotated[int, Between(0, 65535)] = 4002
    """Management requests, called by the Security Server of the management services."""
    configuration_http_port: Annotated[int, Between(0, 65535)] = 80
    """Global configuration over HTTP; it is signed."""
    configuration_https_port: Annotated[int, Between(0, 65535)] = 443
    """Global configuration over HTTPS."""
    management_requests_per_minute: Annotated[int, Between(1)] = 10
    """How many requests one address may make of the registration and management services."""
    management_service_callers: tuple[str, ...] = ()
    """Addresses and networks that may call the management service; where none is listed, this
    machine's own and those of the security servers that have the provider for a client."""

    def __post_init__(self) -> None:
        AllowedAddresses(self.management_service_callers)
