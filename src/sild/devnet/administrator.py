"""Whoever administers a server of the devnet by its management API."""

from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificates

from sild.apiclient.client import ApiClient
from sild.apiclient.errors import ApiUnreachable
from sild.apiclient.values import Login, Patience, Pin, Server
from sild.devnet.errors import DevnetError
from sild.protocol.algorithms import DigestAlgorithm
from sild.runtime.files import write_private

_USER, _PASSWORD = "devnet", "Devnet-password-0001"
_CONNECT_SECONDS = 10.0


class Administrator:
    """A user with every role; the server is known by the certificate that it made for itself."""

    def __init__(self, url: str, tls_file: Path) -> None:
        self._url = url
        self._tls_file = tls_file
        self._client: ApiClient | None = None

    @staticmethod
    def write_first_user(home: Path) -> Path:
        """The file that names this user to a server that has none; give its path."""
        path = home / "first-user"
        write_private(path, f"{_USER}:{_PASSWORD}".encode())
        return path

    @property
    def client(self) -> ApiClient:
        """Who asks; raises DevnetError before the server has answered."""
        if self._client is None:
            message = f"the server at {self._url} is not up yet"
            raise DevnetError(message)
        return self._client

    async def is_answered(self) -> bool:
        """Whether the server answers by now."""
        if not self._tls_file.exists():
            return False
        if self._client is None:
            (certificate,) = load_pem_x509_certificates(self._tls_file.read_bytes())
            pin = DigestAlgorithm.SHA256.digest(certificate.public_bytes(Encoding.DER))
            credentials = Login(_USER, _PASSWORD)
            server = Server(self._url, Pin(pin), credentials, Patience(connect=_CONNECT_SECONDS))
            self._client = ApiClient(server)
        try:
            await self._client.call("GET", "/system/version")
        except ApiUnreachable:
            return False
        return True

    async def close(self) -> None:
        """Ask no more."""
        if self._client is not None:
            await self._client.close()
            self._client = None
