"""The signer as other processes see it: one socket for workers, another for administration.

A worker can sign with signing keys and have the key of its TLS connections. Everything else is
the control process's.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from sild.components.signer import errors
from sild.components.signer.certificates import (
    CertificateImport,
    CertificateRequest,
    Certificates,
    RequestOrder,
)
from sild.components.signer.tokens import Tokens
from sild.model.services import InvalidConfiguration, InvalidMove
from sild.model.tokens import (
    CertificateEntry,
    CertificateEvent,
    CertificateStatus,
    Key,
    KeyAlgorithm,
    KeyUsage,
    Token,
)
from sild.protocol.algorithms import UnsupportedAlgorithm
from sild.protocol.errors import IncorrectCertificate, InvalidIdentifier
from sild.runtime.rpc import RpcOptions, RpcServer, connect_rpc, serve_rpc

_SLOW = ("initialize", "login", "logout", "change_pin", "generate_key", "delete_key")
_SLOW_SECONDS = 90.0
# A device has 10 seconds by default, and up to as long as this to make up for a lost session.
_SIGNING = ("sign", "sign_as_server", "generate_request")
_SIGNING_SECONDS = 30.0


class SignerForWorkers(Protocol):
    """What a worker may ask."""

    async def sign(self, key_id: str, digest: bytes, algorithm: str) -> bytes:
        """The signature of a signing key over a digest.

        `algorithm` is the XML signature URI. RSA gives the raw value, EC gives DER.
        """
        ...

    async def auth_key(self, sha256: str) -> bytes | None:
        """The private key of an authentication certificate, PKCS #8 in DER.

        None where it is in a device. The certificate is named by the SHA-256 of its DER in
        lowercase hexadecimal.
        """
        ...

    async def sign_handshake(self, sha256: str, digest: bytes, algorithm: str) -> bytes:
        """The signature of an authentication certificate's key in a TLS handshake, as `sign`."""
        ...


class SignerForControl(Protocol):
    """What administration may ask; the use cases are described in `tokens` and `certificates`."""

    async def tokens(self) -> tuple[Token, ...]:
        """Every token with its keys, requests and certificates, the software token first."""
        ...

    async def token(self, token_id: str) -> Token:
        """One token; raises TokenNotFound. The software token is "0"."""
        ...

    async def initialize(self, pin: str) -> None:
        """Set the software token's PIN, once."""
        ...

    async def login(self, token_id: str, pin: str) -> None:
        """Open a token's keys."""
        ...

    async def logout(self, token_id: str) -> None:
        """Close them."""
        ...

    async def change_pin(self, token_id: str, old: str, new: str) -> None:
        """Let a token's keys be opened by another PIN, and log out."""
        ...

    async def rename_token(self, token_id: str, label: str) -> None:
        """Give a token another friendly name."""
        ...

    async def delete_token(self, token_id: str) -> None:
        """Forget a token that is not there, with its keys."""
        ...

    async def generate_key(
        self,
        token_id: str,
        label: str,
        usage: KeyUsage | None = None,
        algorithm: KeyAlgorithm | None = None,
    ) -> Key:
        """Make a key on a token, of the settings' kind if none is said."""
        ...

    async def rename_key(self, key_id: str, label: str) -> None:
        """Give a key another label."""
        ...

    async def delete_key(self, key_id: str) -> None:
        """Remove a key for good."""
        ...

    async def generate_request(self, order: RequestOrder) -> CertificateRequest:
        """Make a certificate signing request."""
        ...

    async def get_request(self, request_id: str) -> CertificateRequest:
        """A request that was made, once more."""
        ...

    async def import_certificate(self, order: CertificateImport) -> CertificateEntry:
        """Keep a certificate with its key."""
        ...

    async def move_certificate(
        self, sha256: str, event: CertificateEvent, before: CertificateStatus
    ) -> None:
        """Note what was asked for an authentication certificate that then was `before`.

        Raises ActionNotPossible.
        """
        ...

    async def set_active(self, sha256: str, active: bool) -> None:
        """Let a certificate be used, or not."""
        ...

    async def set_status(self, sha256: str, status: CertificateStatus) -> None:
        """Note where a certificate stands."""
        ...

    async def delete_certificate(self, sha256: str) -> None:
        """Forget a certificate."""
        ...

    async def delete_request(self, request_id: str) -> None:
        """Forget a certificate signing request."""
        ...

    async def sign(self, key_id: str, digest: bytes, algorithm: str) -> bytes:
        """The signature of a signing key, for management requests."""
        ...

    async def sign_as_server(self, key_id: str, digest: bytes, algorithm: str) -> bytes:
        """The signature of an authentication key, for requests that prove its possession."""
        ...


class ServedControl:
    """Administration, answered by the use cases."""

    def __init__(self, tokens: Tokens, certificates: Certificates) -> None:
        self.initialize = tokens.initialize
        self.login = tokens.login
        self.logout = tokens.logout
        self.change_pin = tokens.change_pin
        self.rename_token = tokens.rename_token
        self.delete_token = tokens.delete_token
        self.generate_key = tokens.generate_key
        self.rename_key = tokens.rename_key
        self.delete_key = tokens.delete_key
        self.sign = tokens.sign
        self.sign_as_server = tokens.sign_as_server
        self.generate_request = certificates.generate_request
        self.get_request = certificates.get_request
        self.move_certificate = certificates.move_certificate
        self.import_certificate = certificates.import_certificate
        self.set_active = certificates.set_active
        self.set_status = certificates.set_status
        self.delete_certificate = certificates.delete_certificate
        self.delete_request = certificates.delete_request
        self._tokens = tokens

    async def tokens(self) -> tuple[Token, ...]:
        """Every token with its keys, requests and certificates."""
        return self._tokens.tokens()

    async def token(self, token_id: str) -> Token:
        """One token with its keys, requests and certificates."""
        return self._tokens.token(token_id)


class ServedWorkers:
    """Workers' calls, answered by the use cases."""

    def __init__(self, tokens: Tokens) -> None:
        self.sign = tokens.sign
        self.sign_handshake = tokens.sign_handshake
        self._tokens = tokens

    async def auth_key(self, sha256: str) -> bytes | None:
        """The private key of an authentication certificate."""
        return self._tokens.auth_key(sha256)


_ERRORS: Mapping[str, type[Exception]] = {
    error.__name__: error
    for error in (
        *errors.ALL,
        IncorrectCertificate,
        InvalidConfiguration,
        InvalidIdentifier,
        InvalidMove,
        UnsupportedAlgorithm,
    )
}
OPTIONS = RpcOptions(
    errors=_ERRORS,
    timeouts=dict.fromkeys(_SLOW, _SLOW_SECONDS),
)


async def serve_workers(path: Path, tokens: Tokens) -> RpcServer:
    """Answer workers on this socket."""
    return await serve_rpc(path, ServedWorkers(tokens), SignerForWorkers, OPTIONS)


async def serve_control(path: Path, tokens: Tokens, certificates: Certificates) -> RpcServer:
    """Answer the control process on this socket."""
    return await serve_rpc(path, ServedControl(tokens, certificates), SignerForControl, OPTIONS)


def connect_worker(path: Path) -> SignerForWorkers:
    """The signer, for a worker."""
    return connect_rpc(path, SignerForWorkers, OPTIONS)  # type: ignore[type-abstract] # it is made


def connect_control(path: Path) -> SignerForControl:
    """The signer, for the control process."""
    return connect_rpc(path, SignerForControl, OPTIONS)  # type: ignore[type-abstract] # it is made
