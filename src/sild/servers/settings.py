"""All settings of a security server: one section a component, one file, frozen."""

import os
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Annotated

from sild.adminapi.settings import AdminApiSettings
from sild.components.accounts.settings import AccountSettings
from sild.components.backup.settings import BackupSettings
from sild.components.confclient.settings import ConfigurationClientSettings
from sild.components.diagnostics.settings import (
    DiagnosticsSettings,
    HealthSettings,
    MetricsSettings,
)
from sild.components.messagelog.settings import MessageLogSettings
from sild.components.proxy.settings import AntiDosSettings, ProxySettings
from sild.components.serverconf.service_settings import ServiceSettings
from sild.components.signer.devices import read_devices
from sild.components.signer.settings import OcspSettings, SignerSettings
from sild.runtime.logs import LogSettings
from sild.runtime.settings import Between, Secret, SettingsError, holds_secrets, read_settings
from sild.servers.layout import Layout
from sild.servers.server_tls import information_system_policy, server_policy


class NodeType(Enum):
    """What a server is among those that share a configuration."""

    STANDALONE = "standalone"
    PRIMARY = "primary"
    SECONDARY = "secondary"


@dataclass(frozen=True, slots=True)
class ServerSection:
    """The processes of the server."""

    workers: int = 1
    """Processes on the message path; one per core that they may have for themselves."""
    stop_grace: float = 10.0
    """How long running messages may take when the server stops, in seconds."""
    refresh_interval: float = 1.0
    """How often control looks whether the workers need a new snapshot, in seconds."""
    database: Annotated[str | None, Secret()] = None
    """postgresql://... for the server's configuration, accounts and message log; files without."""
    node_type: NodeType = NodeType.STANDALONE
    """Whether it is one of a cluster, and which: on a secondary node nothing can be changed."""
    first_user_file: Path | None = None
    """A private file with NAME:PASSWORD of a user with every role, made when there is none."""
    token_pin_file: Path | None = None
    """A private file with the PIN of the software token, entered at each start."""
    internal_host: str = "localhost"
    """The host name or address in the TLS certificates that the server makes for itself."""


@dataclass(frozen=True, slots=True)
class ServerListeners:
    """Where the server is administered; information systems and peers call the proxy."""

    listen_address: str = "0.0.0.0"  # noqa: S104 - a server for all who may reach it
    """The address of the management API."""
    api_port: Annotated[int, Between(0, 65535)] = 4000
    """The port of the management API; with 0 there is none."""


@dataclass(frozen=True, slots=True)
class SecurityServerSettings:
    """The sections of a security server's settings file."""

    server: ServerSection = field(default_factory=ServerSection)
    listeners: ServerListeners = field(default_factory=ServerListeners)
    admin_api: AdminApiSettings = field(default_factory=AdminApiSettings)
    accounts: AccountSettings = field(default_factory=AccountSettings)
    backup: BackupSettings = field(default_factory=BackupSettings)
    proxy: ProxySettings = field(default_factory=ProxySettings)
    anti_dos: AntiDosSettings = field(default_factory=AntiDosSettings)
    message_log: MessageLogSettings = field(default_factory=MessageLogSettings)
    signer: SignerSettings = field(default_factory=SignerSettings)
    ocsp: OcspSettings = field(default_factory=OcspSettings)
    configuration_client: ConfigurationClientSettings = field(
        default_factory=ConfigurationClientSettings
    )
    services: ServiceSettings = field(default_factory=ServiceSettings)
    diagnostics: DiagnosticsSettings = field(default_factory=DiagnosticsSettings)
    health: HealthSettings = field(default_factory=HealthSettings)
    metrics: MetricsSettings = field(default_factory=MetricsSettings)
    logs: LogSettings = field(default_factory=LogSettings)


def read_server_settings(layout: Layout) -> SecurityServerSettings:
    """The server's settings from its file, where there is one, and the environment.

    Raises SettingsError, also for what OpenSSL does not know.
    """
    path = layout.settings_file if layout.settings_file.exists() else None
    settings = read_settings(SecurityServerSettings, path, os.environ)
    server_policy(settings.proxy)
    information_system_policy(settings.proxy)
    read_devices(settings.signer.devices_file or layout.devices_file)
    return settings


def tells_secrets(path: Path) -> bool:
    """Whether a settings file has passwords in it, for all that can be read of it."""
    try:
        return holds_secrets(read_settings(SecurityServerSettings, path, {}))
    except SettingsError:
        return True
