"""What the Central Server needs of others."""

from typing import Protocol

from sild.model.tokens import Key, KeyAlgorithm, KeyUsage, Token
from sild.protocol.globalconf.anchor import Anchor
from sild.protocol.pki.certificate import Certificate


class Keys(Protocol):
    """The tokens of this node, which the signer process holds.

    What the signer refuses comes as its own errors: subclasses of ProtocolError with its codes.
    """

    async def tokens(self) -> tuple[Token, ...]:
        """Every token with its keys."""
        ...

    async def initialize(self, pin: str) -> None:
        """Set the software token's PIN, once."""
        ...

    async def login(self, token_id: str, pin: str) -> None:
        """Open a token."""
        ...

    async def logout(self, token_id: str) -> None:
        """Close a token."""
        ...

    async def generate_key(
        self, token_id: str, label: str, usage: KeyUsage, algorithm: KeyAlgorithm
    ) -> Key:
        """Make a key on a token."""
        ...

    async def delete_key(self, key_id: str) -> None:
        """Remove a key for good."""
        ...

    async def sign(self, key_id: str, digest: bytes, algorithm: str) -> bytes:
        """The signature of a signing key over a digest.

        `algorithm` is the XML signature URI. RSA gives the raw value, EC gives DER.
        """
        ...


class Partners(Protocol):
    """Other instances, as they publish themselves."""

    async def verify(self, anchor: Anchor) -> None:
        """Raise unless the anchor leads to external configuration that can be used now.

        What is wrong comes as a ProtocolError.
        """
        ...


class Outcomes(Protocol):
    """Where the outcome of each round of generating configuration is remembered."""

    async def succeeded(self) -> None:
        """Say that this node has generated configuration just now."""
        ...

    async def failed(self) -> None:
        """Say that this node could not generate configuration just now."""
        ...


class RegistrationService(Protocol):
    """The registration service of this node, as clients recognise it."""

    async def find_certificate(self) -> Certificate | None:
        """Its TLS certificate, if it has one."""
        ...
