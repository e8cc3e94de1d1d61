"""The message log's settings, named as the reference names its `[message-log]` parameters."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from sild.components.messagelog.archivegroups import Grouping
from sild.model.costs import Strategy
from sild.runtime.cron import Cron
from sild.runtime.settings import Between, Secret

_MIB = 1024 * 1024
_SUBSYSTEM_PARTS = 4


@dataclass(frozen=True, slots=True)
class MessageLogSettings:
    """What of a message is recorded, how it is kept, and when it is time-stamped."""

    enabled: bool = True
    """Whether there is a message log at all; without one nothing proves what was exchanged."""
    message_body_logging: bool = True
    """Whether bodies are kept. Without them a record says who asked whom for what, and no more: the
    message is reduced, too, so that its container does not verify."""
    enabled_body_logging_local_producer_subsystems: tuple[str, ...] = ()
    """Own subsystems (`DEV/GOV/M1/S1`) whose services' bodies are kept though others' are not."""
    enabled_body_logging_remote_producer_subsystems: tuple[str, ...] = ()
    """The same of others' subsystems whose services are called from here."""
    disabled_body_logging_local_producer_subsystems: tuple[str, ...] = ()
    """Own subsystems whose services' bodies are not kept though others' are."""
    disabled_body_logging_remote_producer_subsystems: tuple[str, ...] = ()
    """The same of others' subsystems whose services are called from here."""
    max_loggable_message_body_size: int = 10 * _MIB
    """A larger body is refused, or truncated in the log, in bytes; 0 logs no bodies."""
    truncated_body_allowed: bool = False
    """Whether of a larger body the log keeps so much, and the message goes on; its container holds
    what was kept, and whoever verifies it is told that it is not all."""
    segment_bytes: int = 64 * _MIB
    """When a journal segment is full."""
    take_interval: float = 1.0
    """How often journals are taken into the store, in seconds."""
    database: Annotated[str | None, Secret()] = None
    """Where records are kept: postgresql://USER:PASSWORD@HOST/NAME; without it, an SQLite file."""
    commit_to_database: bool = False
    """Whether a message waits until the database, too, has committed its record."""
    timestamp_immediately: bool = False
    """Whether a message waits for a time-stamp of its own."""
    timestamp_records_limit: Annotated[int, Between(1, 10_000)] = 10_000
    """How many records one time-stamp covers."""
    timestamp_retry_delay: float = 60.0
    """How long after a failure time-stamping is tried again, in seconds, if before its time."""
    timestamping_prioritization_strategy: Strategy = Strategy.NONE
    """Which services are used, and which first, by what they cost."""
    auto_update_timestamp_service_url: bool = False
    """Whether chosen services follow the addresses in the global configuration."""
    timestamper_client_connect_timeout: int = 20_000
    """How long connecting to a time-stamping service may take, in milliseconds."""
    timestamper_client_read_timeout: int = 60_000
    """How long its answer may take, in milliseconds."""
    acceptable_timestamp_failure_period: int = 14_400
    """For how long time-stamping may fail before messages are refused, in seconds; 0: for ever."""
    messagelog_encryption_enabled: bool = False
    """Whether messages and bodies are encrypted in the store; what is there already stays."""
    messagelog_keystore: Path | None = None
    """A PKCS #12 file with the secret keys; `sild log new-key` makes it."""
    messagelog_keystore_password: Annotated[str | None, Secret()] = None
    """The password of that file."""
    messagelog_key_id: str = ""
    """The alias of the key to encrypt with."""
    keep_records_for: Annotated[int, Between(0, 36_500)] = 30
    """How many days archived records stay in the store."""
    clean_interval: str = "0 0 0/12 1/1 * ? *"
    """When archived records are deleted that have stayed long enough: a Quartz cron expression."""
    clean_transaction_batch: Annotated[int, Between(1, 1_000_000)] = 10_000
    """How many records one transaction deletes."""

    archive_interval: str = "0 0 0/6 1/1 * ? *"
    """When time-stamped records are archived: a Quartz cron expression."""
    archive_path: Path | None = None
    """The directory of archives; without it, one of the server's own."""
    archive_max_filesize: Annotated[int, Between(1, 4 * 1024 * _MIB)] = 32 * _MIB
    """How large the containers of one archive may become together, in bytes."""
    archive_transaction_batch: Annotated[int, Between(1, 1_000_000)] = 10_000
    """How many records one archive holds at most."""
    archive_grouping: Grouping = Grouping.NONE
    """Whether each member or subsystem has a chain of archives of its own."""
    archive_transfer_command: str = ""
    """What takes archives away after each archiving: a shell command, run in their directory."""
    archive_encryption_enabled: bool = False
    """Whether archives are signed and encrypted by GnuPG."""
    archive_gpg_home_directory: Path | None = None
    """The GnuPG home directory with the server's key and those of recipients."""
    archive_encryption_keys_config: Path | None = None
    """A file of lines INSTANCE/CLASS/CODE = KEY: to whom a member's archives are encrypted."""
    archive_default_encryption_key: str = ""
    """To whom all others are encrypted; without it, to the server's own key."""

    def __post_init__(self) -> None:
        has_key = self.messagelog_keystore is not None and self.messagelog_key_id
        if self.messagelog_encryption_enabled and not has_key:
            raise ValueError(
                "messagelog-encryption-enabled needs messagelog-keystore and messagelog-key-id"
            )
        if self.archive_encryption_enabled and self.archive_gpg_home_directory is None:
            raise ValueError("archive-encryption-enabled needs archive-gpg-home-directory")
        Cron.read(self.clean_interval)
        Cron.read(self.archive_interval)
        self._check_subsystems()

    def _check_subsystems(self) -> None:
        unused = "enabled" if self.message_body_logging else "disabled"
        for kind in ("enabled", "disabled"):
            for side in ("local", "remote"):
                name = f"{kind}_body_logging_{side}_producer_subsystems"
                subsystems = getattr(self, name)
                if subsystems and kind == unused:
                    logged = str(self.message_body_logging).lower()
                    problem = f"{name} means nothing while message-body-logging is {logged}"
                    raise ValueError(problem.replace("_", "-"))
                for text in subsystems:
                    _check_subsystem(text)


def _check_subsystem(text: str) -> None:
    parts = [part.strip() for part in text.split("/")]
    if len(parts) != _SUBSYSTEM_PARTS or not all(parts):
        raise ValueError(f"{text!r} is no subsystem, write INSTANCE/CLASS/MEMBER/SUBSYSTEM")
