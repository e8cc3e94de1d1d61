"""What a proxy worker knows of its own server: one immutable value, swapped as a whole.

Bytes, text, numbers and identifiers only, so that it travels between processes as it is.
"""

from dataclasses import dataclass

from sild.model.services import AccessRight, Client, Endpoint, LocalGroup, Service
from sild.protocol.ids import ClientId, SecurityServerId


@dataclass(frozen=True, slots=True)
class SigningCertificate:
    """The certificate that signs for a member now.

    `chain` holds the intermediates, the issuer of the certificate first; `ocsp` the responses of
    the certificate and then of each intermediate. `batch` says whether messages may share a
    signature, which with any key of software costs half of one for each: what is shared is also
    verified, sent to the signer and stored once.
    """

    member: ClientId
    key_id: str
    certificate: bytes
    chain: tuple[bytes, ...]
    ocsp: tuple[bytes, ...]
    batch: bool
    pss: bool = False
    """Whether its RSA key signs by RSA-PSS, as the settings of its device may say."""


@dataclass(frozen=True, slots=True)
class AuthenticationCertificate:
    """The certificate by which this server is known to others now; fields as above."""

    key_id: str
    certificate: bytes
    chain: tuple[bytes, ...]
    ocsp: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class ServerSnapshot:
    """The server's configuration, rights and usable certificates at one moment."""

    generation: int
    server: SecurityServerId
    clients: tuple[Client, ...] = ()
    services: tuple[Service, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    rights: tuple[AccessRight, ...] = ()
    groups: tuple[LocalGroup, ...] = ()
    signing: tuple[SigningCertificate, ...] = ()
    authentication: AuthenticationCertificate | None = None
