"""TLS on each side of a security server: which versions and suites, and with which certificate."""

import ssl
from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_der_private_key

from sild.components.proxy.settings import ProxySettings
from sild.model.snapshot import AuthenticationCertificate
from sild.protocol.pki.certificate import read_certificate
from sild.runtime.distant_keys import DistantKey
from sild.runtime.settings import SettingsError
from sild.runtime.tls import (
    AnyCertificate,
    SwappableContext,
    TlsIdentity,
    TlsPolicy,
    TlsSetupError,
    server_context,
    unverified_client_context,
)
from sild.servers.handshakes import SignerForHandshakes

_VERSIONS: Mapping[str, ssl.TLSVersion] = {
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}


def server_policy(settings: ProxySettings) -> TlsPolicy:
    """What is spoken between security servers; raises SettingsError."""
    return _policy("tls", settings.tls_protocols, settings.tls_ciphers)


def information_system_policy(settings: ProxySettings) -> TlsPolicy:
    """What is spoken with information systems, consumers and services; raises SettingsError."""
    return _policy("client-tls", settings.client_tls_protocols, settings.client_tls_ciphers)


def _policy(prefix: str, protocols: str, ciphers: str) -> TlsPolicy:
    versions = [_VERSIONS.get(name.strip()) for name in protocols.split(",")]
    known = [version for version in versions if version is not None]
    if len(known) < len(versions):
        message = f"{prefix}-protocols is {protocols!r}; it may list TLSv1.2 and TLSv1.3, by commas"
        raise SettingsError([message])
    policy = TlsPolicy(min(known), max(known), ciphers.replace(",", ":"))
    try:
        unverified_client_context(policy, None)
    except TlsSetupError as error:
        message = f"{prefix}-ciphers is {ciphers!r}; OpenSSL knows no such TLS 1.2 suite"
        raise SettingsError([message]) from error
    return policy


class ServerTls:
    """The TLS contexts between security servers, made anew when the certificate changes."""

    def __init__(self, settings: ProxySettings, handshakes: SignerForHandshakes) -> None:
        self._policy = server_policy(settings)
        self._handshakes = handshakes
        self._certificate: bytes | None = None
        self._client = unverified_client_context(self._policy, None)
        self.listening: SwappableContext | None = None

    def client(self) -> ssl.SSLContext:
        """The context of connections to other servers, who are authenticated by `Peers`."""
        return self._client

    def wants(self, authentication: AuthenticationCertificate | None) -> bool:
        """Whether the key of this certificate must be had first."""
        return authentication is not None and authentication.certificate != self._certificate

    def use(self, authentication: AuthenticationCertificate, key: bytes | None) -> None:
        """Show this certificate on new connections; without its key the signer signs for it."""
        chain = (authentication.certificate, *authentication.chain)
        private = self._distant(authentication) if key is None else load_der_private_key(key, None)
        identity = TlsIdentity(private, chain)  # type: ignore[arg-type] # the signer made it
        self._client = unverified_client_context(self._policy, identity)
        # Any certificate passes the handshake, as with the reference; `peer` judges it with the
        # OCSP responses of the message, before anything is done for it.
        context = server_context(self._policy, identity, AnyCertificate.REQUIRED)
        if self.listening is None:
            self.listening = SwappableContext(context)
        else:
            self.listening.current = context
        self._certificate = authentication.certificate

    def _distant(self, authentication: AuthenticationCertificate) -> DistantKey:
        certificate = read_certificate(authentication.certificate)
        key = certificate.public_key
        if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
            raise TlsSetupError(f"the key of {certificate.name} is of no kind for TLS")
        return DistantKey(key, self._handshakes.signer_of(certificate.sha256.hex(), key))
