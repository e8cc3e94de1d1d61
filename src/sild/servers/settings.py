"""All settings of a security server: one section a component, one file, frozen."""

from dataclasses import dataclass, field
from pathlib import Path

from sild.components.confclient.settings import ConfigurationClientSettings
from sild.components.messagelog.settings import MessageLogSettings
from sild.components.proxy.settings import AntiDosSettings, ProxySettings
from sild.components.signer.settings import OcspSettings, SignerSettings
from sild.runtime.logs import LogSettings


@dataclass(frozen=True, slots=True)
class ServerSection:
    """The processes of the server."""

    workers: int = 1
    """Processes on the message path; one per core that they may have for themselves."""
    stop_grace: float = 10.0
    """How long running messages may take when the server stops, in seconds."""
    refresh_interval: float = 1.0
    """How often control looks whether the workers need a new snapshot, in seconds."""
    token_pin_file: Path | None = None
    """A private file with the PIN of the software token, entered at each start."""
    internal_host: str = "localhost"
    """The host name or address in the internal TLS certificate, when it is first made."""


@dataclass(frozen=True, slots=True)
class SecurityServerSettings:
    """The sections of a security server's settings file."""

    server: ServerSection = field(default_factory=ServerSection)
    proxy: ProxySettings = field(default_factory=ProxySettings)
    anti_dos: AntiDosSettings = field(default_factory=AntiDosSettings)
    message_log: MessageLogSettings = field(default_factory=MessageLogSettings)
    signer: SignerSettings = field(default_factory=SignerSettings)
    ocsp: OcspSettings = field(default_factory=OcspSettings)
    configuration_client: ConfigurationClientSettings = field(
        default_factory=ConfigurationClientSettings
    )
    logs: LogSettings = field(default_factory=LogSettings)
