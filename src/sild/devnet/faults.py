"""What can be broken in a devnet on purpose."""

from dataclasses import dataclass
from enum import Enum

from sild.protocol.ids import ClientId, SecurityServerId


class OcspFault(Enum):
    """How the OCSP responder misbehaves about one certificate."""

    SILENT = "silent"
    """The request is taken and never answered."""
    STALE = "stale"
    """The answer was true long ago."""
    WRONG_CERTIFICATE = "wrong certificate"
    """The answer is about another certificate."""
    WRONG_SIGNER = "wrong signer"
    """The answer is signed by a key that no CA appointed."""
    UNKNOWN = "unknown"
    """The answer is that nobody knows the certificate."""


@dataclass(frozen=True, slots=True)
class FaultyOcsp:
    """Misbehaviour about the signing certificate of a member, or a server's authentication."""

    of: ClientId | SecurityServerId
    fault: OcspFault


@dataclass(frozen=True, slots=True)
class Broken:
    """All that is broken; revoked are the certificates that members and servers hold."""

    revoked_signing: tuple[ClientId, ...] = ()
    revoked_authentication: tuple[SecurityServerId, ...] = ()
    ocsp: tuple[FaultyOcsp, ...] = ()
    silent_tsas: tuple[str, ...] = ()
