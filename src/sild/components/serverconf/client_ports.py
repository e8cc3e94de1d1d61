"""What the use cases on clients need of the signer and of its OCSP responses."""

from typing import Protocol

from sild.components.serverconf.ports import Tokens
from sild.model.tokens import OcspStatus


class OcspAnswers(Protocol):
    """The OCSP responses that are held."""

    def ocsp_status(self, certificate: bytes) -> OcspStatus:
        """What the response that is held says now of a certificate (DER)."""
        ...


class DeletableKeys(Tokens, Protocol):
    """The signer's tokens, of which something is to go; its own client satisfies this."""

    async def delete_key(self, key_id: str) -> None:
        """Remove a key for good."""
        ...

    async def delete_certificate(self, sha256: str) -> None:
        """Forget a certificate."""
        ...

    async def delete_request(self, request_id: str) -> None:
        """Forget a certificate signing request."""
        ...
