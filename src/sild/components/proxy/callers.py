"""Check the information system that calls, as its client's connection type demands (PX-22)."""

import logging
from collections.abc import Callable
from datetime import datetime
from typing import TypeAlias

from sild.components.proxy.settings import ProxySettings
from sild.components.proxy.view import View
from sild.model.services import Client, ConnectionType
from sild.protocol.errors import ProtocolError, SslAuthenticationFailed
from sild.protocol.ids import ClientId
from sild.protocol.pki.certificate import read_certificate
from sild.runtime.clock import Clock
from sild.runtime.transport import Peer

_log = logging.getLogger("sild.proxy")


OwnCertificate: TypeAlias = Callable[[], bytes]
"""The server's own internal certificate, in DER, as it is now."""


class Callers:
    """Checks information systems as the settings say."""

    def __init__(
        self, settings: ProxySettings, clock: Clock, own_certificate: OwnCertificate | None
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._own_certificate = own_certificate

    def get_client(self, view: View, client_id: ClientId, peer: Peer) -> Client:
        """The client that this connection may speak for.

        Raises UnknownMember and SslAuthenticationFailed.
        """
        client = view.get_client(client_id)
        if self._settings.verify_client_cert:
            is_dated = self._settings.enforce_client_is_cert_validity_period_check
            valid_at = self._clock.now() if is_dated else None
            own = self._own_certificate and self._own_certificate()
            check_caller(client, peer, own, valid_at)
        return client


def check_caller(
    client: Client, peer: Peer, own_certificate: bytes | None, valid_at: datetime | None = None
) -> None:
    """Return if this connection may speak for the client; raises SslAuthenticationFailed.

    NOSSL takes any connection, SSLNOAUTH refuses plain HTTP, SSLAUTH wants one of the client's
    registered certificates, or this server's own internal one, byte for byte; with a moment given,
    one that is valid then.
    """
    if client.connection_type is ConnectionType.NOSSL:
        return
    if peer.tls_version is None:
        message = (
            f"{client.id} must connect by HTTPS: its connection type is "
            f"{client.connection_type.value}"
        )
        raise SslAuthenticationFailed(message)
    if client.connection_type is ConnectionType.SSLNOAUTH:
        return
    if peer.certificate is None:
        message = f"{client.id} must connect with a client certificate, and none was shown"
        raise SslAuthenticationFailed(message)
    if peer.certificate not in client.certificates and peer.certificate != own_certificate:
        message = f"the client certificate shown is not one of those registered for {client.id}"
        raise SslAuthenticationFailed(message)
    if valid_at is not None:
        _check_validity(client, peer.certificate, valid_at)


def _check_validity(client: Client, der: bytes, valid_at: datetime) -> None:
    certificate = read_certificate(der)
    if not certificate.not_before <= valid_at <= certificate.not_after:
        message = (
            f"the client certificate shown for {client.id} is valid from {certificate.not_before}"
            f" to {certificate.not_after}"
        )
        raise SslAuthenticationFailed(message)


def log_certificate(client: Client, peer: Peer) -> None:
    """Name in the log the certificate that an information system shows (PX-30)."""
    shown = "no certificate" if peer.certificate is None else _subject(peer.certificate)
    _log.info("a request for %s came from %s with %s", client.id, peer.address[0], shown)


def _subject(der: bytes) -> str:
    try:
        return read_certificate(der).x509.subject.rfc4514_string()
    except ProtocolError as error:
        return f"a certificate that cannot be read: {error.message}"
