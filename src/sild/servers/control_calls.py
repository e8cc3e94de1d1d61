"""What local administration asks of control."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sild.components.serverconf.declaration import ServerDeclaration
from sild.components.signer.usable import Refusal
from sild.model.tokens import CertificateEntry
from sild.protocol.ids import SecurityServerId


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

    async def activate(self, sha256: str) -> None:
        """Let a certificate be used, after its OCSP responder has said that it is good."""
        ...

    async def refresh(self) -> ControlStatus:
        """Download the configuration, fetch OCSP responses, and tell the workers, now."""
        ...
