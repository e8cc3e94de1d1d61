"""What local administration asks of control."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sild.components.messagelog.authorities import ChosenService
from sild.components.messagelog.errors import (
    ArchivingFailed,
    NoTimestampingProvider,
    RecordNotFound,
    TimestampingServiceNotFound,
)
from sild.components.messagelog.records import RecordSummary
from sild.components.serverconf.declaration import ServerDeclaration
from sild.components.serverconf.errors import ServerNotSet
from sild.components.signer import errors as signer_errors
from sild.components.signer.usable import Refusal
from sild.model.tokens import CertificateEntry
from sild.protocol.errors import (
    CertValidation,
    GlobalConfOutdated,
    IncorrectCertificate,
    TimestampRefused,
)
from sild.protocol.ids import ClientId, SecurityServerId
from sild.runtime.rpc import RpcOptions
from sild.servers.kept_messages import MessageLogStatus

_ERRORS: tuple[type[Exception], ...] = (
    RecordNotFound,
    NoTimestampingProvider,
    TimestampingServiceNotFound,
    TimestampRefused,
    GlobalConfOutdated,
    ArchivingFailed,
    ServerNotSet,
    *signer_errors.ALL,
    CertValidation,
    IncorrectCertificate,
    OSError,
)
CONTROL_OPTIONS = RpcOptions(
    errors={error.__name__: error for error in _ERRORS},
    # Several time-stamping authorities may have to be waited for, and archives to be taken away.
    timeouts={"export_container": 120.0, "stamp_waiting": 300.0, "archive": 86_400.0},
)


@dataclass(frozen=True, slots=True)
class ControlStatus:
    """How the server fares, for people and scripts."""

    generation: int
    server: SecurityServerId | None
    configuration_expires: datetime | None
    configuration_error: str | None
    signing_members: tuple[str, ...]
    authenticated: bool
    refusals: tuple[Refusal, ...]
    message_log: MessageLogStatus


class ControlCalls(Protocol):
    """What local administration may ask."""

    async def status(self) -> ControlStatus:
        """How the server fares."""
        ...

    async def declare(self, declaration: ServerDeclaration) -> None:
        """Make the server's own configuration equal to the declaration."""
        ...

    async def import_certificate(self, certificate: bytes) -> CertificateEntry:
        """Keep a certificate of one of the keys, after the checks that the CA's approval needs."""
        ...

    async def import_from_token(self, sha256: str) -> CertificateEntry:
        """Use a signing certificate that was found on a token, after the same checks."""
        ...

    async def activate(self, sha256: str) -> None:
        """Let a certificate be used, after its OCSP responder has said that it is good."""
        ...

    async def disable(self, sha256: str) -> None:
        """Let a certificate be used no more."""
        ...

    async def refresh(self) -> ControlStatus:
        """Download the configuration, fetch OCSP responses, and tell the workers, now."""
        ...

    async def refresh_ocsp(self) -> None:
        """Ask the OCSP responders about every certificate now, and tell the workers."""
        ...

    async def find_records(self, query_id: str) -> tuple[RecordSummary, ...]:
        """The message records with this query id, in the order of the log."""
        ...

    async def record_count(self) -> int:
        """How many message records there are."""
        ...

    async def stamp_waiting(self) -> int:
        """Time-stamp all records that wait, now; give how many there were.

        Raises NoTimestampingProvider, TimestampRefused, GlobalConfOutdated.
        """
        ...

    async def timestamping_services(self) -> tuple[ChosenService, ...]:
        """The services that were chosen for this server; where none were, all approved are used."""
        ...

    async def choose_timestamping_services(self, services: tuple[ChosenService, ...]) -> None:
        """Use these approved services, top to bottom.

        Raises TimestampingServiceNotFound, GlobalConfOutdated.
        """
        ...

    async def export_container(
        self,
        query_id: str,
        owner: ClientId,
        is_response: bool,
        path: str,
    ) -> str:
        """Write the owner's request or response with this id as a container; give its path.

        The path may be a directory or a new file's. Raises RecordNotFound,
        NoTimestampingProvider, TimestampRefused, GlobalConfOutdated, OSError.
        """
        ...

    async def archive(self) -> int:
        """Archive what is time-stamped now; give how many records that were.

        Raises ArchivingFailed, OSError.
        """
        ...
