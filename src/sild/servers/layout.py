"""Where a security server keeps things: one directory, the same for every process."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Layout:
    """The files of one security server below its home directory."""

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
    def anchor_file(self) -> Path:
        """The configuration anchor that the server starts from."""
        return self.home / "configuration-anchor.xml"

    @property
    def run(self) -> Path:
        """Sockets and what a restart may forget."""
        return self.home / "run"

    @property
    def snapshot_file(self) -> Path:
        """The server's configuration as the workers read it."""
        return self.run / "snapshot"

    @property
    def signer_socket(self) -> Path:
        """Where the signer signs."""
        return self.run / "signer.sock"

    @property
    def signer_admin_socket(self) -> Path:
        """Where the signer's tokens, keys and certificates are administered."""
        return self.run / "signer-admin.sock"

    @property
    def control_socket(self) -> Path:
        """Where control answers."""
        return self.run / "control.sock"

    def worker_socket(self, number: int) -> Path:
        """Where a worker answers."""
        return self.run / f"worker-{number}.sock"

    @property
    def keys(self) -> Path:
        """The signer's keys and what it knows of them."""
        return self.home / "signer"

    @property
    def globalconf(self) -> Path:
        """The verified copy of the global configuration."""
        return self.home / "globalconf"

    @property
    def ocsp_cache(self) -> Path:
        """OCSP responses of own certificates."""
        return self.home / "ocsp"

    @property
    def server_database(self) -> Path:
        """The server's own configuration."""
        return self.home / "serverconf.db"

    @property
    def message_database(self) -> Path:
        """The message log."""
        return self.home / "messagelog.db"

    @property
    def archives(self) -> Path:
        """Archives of the message log."""
        return self.home / "archive"

    @property
    def registration_socket(self) -> Path:
        """Where control sends management requests for local administration."""
        return self.run / "registration.sock"

    @property
    def log_socket(self) -> Path:
        """Where control settles what workers have logged."""
        return self.run / "log.sock"

    @property
    def documents_socket(self) -> Path:
        """Where control gives signed documents."""
        return self.run / "documents.sock"

    @property
    def documents(self) -> Path:
        """Signed documents on their way from control to a worker."""
        return self.run / "documents"

    @property
    def stamping_standing(self) -> Path:
        """How time-stamping stands, as control tells the workers."""
        return self.run / "time-stamping"

    @property
    def journals(self) -> Path:
        """The workers' journals, those of workers that are no more among them."""
        return self.home / "journal"

    def journal(self, number: int) -> Path:
        """A worker's journal, until it is taken into the message log."""
        return self.journals / f"worker-{number}"

    def spool(self, number: int) -> Path:
        """Where a worker rests large bodies while their signature is awaited."""
        return self.home / "spool" / f"worker-{number}"

    @property
    def api_tls(self) -> Path:
        """The key and certificate of the management API, PEM in one file."""
        return self.home / "api-tls.pem"

    @property
    def audit_log(self) -> Path:
        """Who did what, unless the settings name another file."""
        return self.home / "audit.log"

    @property
    def backups(self) -> Path:
        """Backups, unless the settings name another directory."""
        return self.home / "backup"

    @property
    def gnupg(self) -> Path:
        """The server's own GnuPG home: the key that signs backups."""
        return self.home / "gnupg"

    @property
    def internal_tls(self) -> Path:
        """The key and certificate shown to information systems, PEM in one file."""
        return self.home / "internal-tls.pem"
