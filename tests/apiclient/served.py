"""An application on a real socket over TLS, with a certificate of its own."""

import ipaddress
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from sild.apiclient.client import ApiClient
from sild.apiclient.values import Authorities, Pin, Server
from sild.runtime.asgi import asgi_handler
from sild.runtime.clock import SystemClock
from sild.runtime.http_server import serve
from sild.runtime.http_server_types import Endpoint, Limits


@dataclass(frozen=True)
class Served:
    """Where an application listens, and the certificate that it shows."""

    url: str
    file: Path
    pin: Pin

    def client(self, credentials=None, clock=None, **server):
        """A client that trusts it."""
        wish = {"verification": Authorities(self.file), "credentials": credentials} | server
        return ApiClient(Server(self.url, **wish), clock)


def _make_identity(folder, name):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    folder.mkdir()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "key.pem").write_bytes(private)
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    return Pin(certificate.fingerprint(hashes.SHA256()))


@asynccontextmanager
async def serving(application, folder):
    """Serve an application until the block ends."""
    pin = _make_identity(folder / "tls", "the server")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "tls/certificate.pem", folder / "tls/key.pem")
    endpoint = Endpoint("127.0.0.1", 0, context)
    server = await serve(asgi_handler(application), endpoint, Limits(), SystemClock())
    try:
        url = f"https://127.0.0.1:{server.port}"
        yield Served(url, folder / "tls/certificate.pem", pin)
    finally:
        await server.close(0)
