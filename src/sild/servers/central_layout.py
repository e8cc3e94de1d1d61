"""Where a Central Server keeps things: one directory, the same for every process."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class CentralLayout:
    """The files of one Central Server (or one node of it) below its home directory."""

    home: Path

    @property
    def settings_file(self) -> Path:
        """What the administrator sets."""
        return self.home / "sild.toml"

    @property
    def devices_file(self) -> Path:
        """The PKCS #11 devices, unless the settings name another file."""
        return self.home / "devices.toml"

    @property
    def run(self) -> Path:
        """Sockets and what a restart may forget."""
        return self.home / "run"

    @property
    def signer_socket(self) -> Path:
        """Where the signer signs for workers, of which a Central Server has none."""
        return self.run / "signer.sock"

    @property
    def signer_admin_socket(self) -> Path:
        """Where the signer's tokens and keys are administered."""
        return self.run / "signer-admin.sock"

    @property
    def central_socket(self) -> Path:
        """Where the server answers commands of this machine."""
        return self.run / "central.sock"

    @property
    def keys(self) -> Path:
        """The signer's keys and what it knows of them."""
        return self.home / "signer"

    @property
    def database(self) -> Path:
        """The registry, where no other database is set."""
        return self.home / "central.db"

    @property
    def published(self) -> Path:
        """The global configuration as it is distributed; a plain web server can serve it too."""
        return self.home / "globalconf"

    @property
    def configuration_parts(self) -> Path:
        """Descriptions of further optional parts of the configuration."""
        return self.home / "configuration-parts"

    @property
    def api_tls(self) -> Path:
        """The key and certificate of the management API, PEM in one file."""
        return self.home / "api-tls.pem"

    @property
    def services_tls(self) -> Path:
        """The key and certificate of the registration and management services, and of HTTPS."""
        return self.home / "management-service-tls.pem"

    @property
    def backups(self) -> Path:
        """Backups of this server."""
        return self.home / "backup"

    @property
    def gnupg(self) -> Path:
        """The GnuPG home whose key signs backups."""
        return self.home / "gnupg"

    @property
    def audit_log(self) -> Path:
        """One line for each change."""
        return self.home / "audit.log"
