"""What the sending of management requests needs of the rest of the security server."""

from typing import Protocol

from sild.model.services import ClientEvent, ClientStatus
from sild.model.snapshot import ServerSnapshot
from sild.model.tokens import CertificateEvent, CertificateStatus, Token
from sild.protocol.globalconf.lookup import GlobalConf
from sild.protocol.ids import ClientId
from sild.runtime.http_client_types import Target


class Keys(Protocol):
    """The signer, as far as requests need it; its own client satisfies this."""

    async def tokens(self) -> tuple[Token, ...]:
        """Every token with its keys and certificates."""
        ...

    async def move_certificate(
        self, sha256: str, event: CertificateEvent, before: CertificateStatus
    ) -> None:
        """Note what was asked for an authentication certificate that then was `before`."""
        ...

    async def sign(self, key_id: str, digest: bytes, algorithm: str) -> bytes:
        """The signature of a signing key: RSA gives the raw value, EC gives DER."""
        ...

    async def sign_as_server(self, key_id: str, digest: bytes, algorithm: str) -> bytes:
        """The signature of an authentication key."""
        ...


class LocalClients(Protocol):
    """The server's own clients."""

    async def move(
        self, client: ClientId, event: ClientEvent, before: ClientStatus
    ) -> ClientStatus:
        """Note that a request about the client, which was `before`, was sent; give its status."""
        ...


class Standing(Protocol):
    """What the server knows of itself and of the world."""

    def snapshot(self) -> ServerSnapshot:
        """The server's configuration and the certificates that it can use now."""
        ...

    def conf(self) -> GlobalConf:
        """The global configuration; raises GlobalConfOutdated where none is valid."""
        ...

    def own_proxy(self) -> Target:
        """Where this server's own proxy takes messages, with the internal TLS identity."""
        ...
