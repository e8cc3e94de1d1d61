"""All settings of a Central Server: one section a component, one file, frozen."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from sild.adminapi.settings import AdminApiSettings
from sild.components.accounts.settings import AccountSettings
from sild.components.backup.settings import BackupSettings
from sild.components.centralserver.settings import CenterListeners, CenterSettings
from sild.components.signer.devices import read_devices
from sild.components.signer.settings import SignerSettings
from sild.runtime.logs import LogSettings
from sild.runtime.settings import SettingsError, holds_secrets, read_settings
from sild.servers.central_layout import CentralLayout


@dataclass(frozen=True, slots=True)
class CentralServerSection:
    """The processes of the server."""

    stop_grace: float = 10.0
    """How long running requests may take when the server stops, in seconds."""
    token_pin_file: Path | None = None
    """A private file with the PIN of the software token, entered at each start."""
    first_user_file: Path | None = None
    """A private file with NAME:PASSWORD of a user with every role, made when there is none."""
    tls_host: str = "localhost"
    """The host name or address in the TLS certificates that the server makes for itself."""


@dataclass(frozen=True, slots=True)
class CentralServerSettings:
    """The sections of a Central Server's settings file."""

    server: CentralServerSection = field(default_factory=CentralServerSection)
    center: CenterSettings = field(default_factory=CenterSettings)
    listeners: CenterListeners = field(default_factory=CenterListeners)
    admin_api: AdminApiSettings = field(default_factory=AdminApiSettings)
    accounts: AccountSettings = field(default_factory=AccountSettings)
    signer: SignerSettings = field(default_factory=SignerSettings)
    backup: BackupSettings = field(default_factory=BackupSettings)
    logs: LogSettings = field(default_factory=LogSettings)


def read_central_settings(layout: CentralLayout) -> CentralServerSettings:
    """The server's settings from its file, where there is one, and the environment.

    Raises SettingsError.
    """
    path = layout.settings_file if layout.settings_file.exists() else None
    settings = read_settings(CentralServerSettings, path, os.environ)
    read_devices(settings.signer.devices_file or layout.devices_file)
    return settings


def tells_secrets(path: Path) -> bool:
    """Whether a settings file has passwords in it, for all that can be read of it."""
    try:
        return holds_secrets(read_settings(CentralServerSettings, path, {}))
    except SettingsError:
        return True
