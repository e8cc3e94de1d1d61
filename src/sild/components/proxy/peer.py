"""Authenticate another security server: its certificate, its revocation status, whose it is.

TLS proves that the other side holds the key of the certificate it showed. These functions prove
the rest, from the global configuration (PR-MESSTRANSP; each numbered step is theirs):

1. the certificate is an authentication certificate,
2. a path leads from it to an authority approved in the instance of the member it speaks for,
3. each certificate of the path has a good and fresh OCSP response,
4. the certificate is registered for a security server of that member or subsystem.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sild.components.proxy.view import KnownPeer, PeerClaim, View
from sild.protocol.errors import SslAuthenticationFailed, inside
from sild.protocol.ids import ClientId
from sild.protocol.pki.certificate import Certificate, read_certificate
from sild.protocol.pki.ocsp import read_ocsp_response
from sild.protocol.pki.path import PathUse, verify_path

_STAGE = "ssl_authentication_failed"


@dataclass(frozen=True, slots=True)
class AuthenticatedPeer:
    """Another security server that has proved who it is; only this module makes them."""

    peer: KnownPeer
    speaks_for: ClientId

    @property
    def valid_until(self) -> datetime:
        """When its proof ends: with its certificates, or when an OCSP response is stale."""
        return self.peer.valid_until


def verify_provider(
    chain: Sequence[bytes],
    responses: Sequence[bytes],
    provider: ClientId,
    view: View,
    now: datetime,
) -> AuthenticatedPeer:
    """Verify that a connection leads to a security server of the provider."""
    return _verify(
        PeerClaim(tuple(chain), tuple(responses), provider, PathUse.PROVIDER_TLS), view, now
    )


def verify_consumer(
    chain: Sequence[bytes], responses: Sequence[bytes], client: ClientId, view: View, now: datetime
) -> AuthenticatedPeer:
    """Verify that a connection comes from a security server of the client.

    The responses are the OCSP parts of the message; there must be one at least.
    """
    if not responses:
        message = "the message brought no OCSP response for the authentication certificate"
        raise SslAuthenticationFailed(message)
    return _verify(
        PeerClaim(tuple(chain), tuple(responses), client, PathUse.CONSUMER_TLS), view, now
    )


def _verify(claim: PeerClaim, view: View, now: datetime) -> AuthenticatedPeer:
    if not claim.chain:
        message = "the other security server showed no certificate"
        raise SslAuthenticationFailed(message)
    known = view.peers.find(claim, now)
    if known is None:
        with inside(_STAGE):
            known = _judge(claim, view, now)
        view.peers.keep(claim, known, known.valid_until)
    return AuthenticatedPeer(known, claim.member)


def _judge(claim: PeerClaim, view: View, now: datetime) -> KnownPeer:
    leaf, *extra = (read_certificate(der) for der in claim.chain)
    if not leaf.is_authentication:
        message = f"{leaf.name} is not an authentication certificate"
        raise SslAuthenticationFailed(message)
    responses = [read_ocsp_response(der) for der in claim.responses]
    trust = view.conf.trust(claim.member.instance)
    path = verify_path(leaf, extra, responses, trust, now, claim.use)
    return KnownPeer(_owner(leaf, claim.member, view), path.valid_until)


def _owner(leaf: Certificate, member: ClientId, view: View) -> str:
    if not view.conf.is_auth_certificate_of(leaf, member):
        message = f"the certificate {leaf.name} is not registered for a security server of {member}"
        raise SslAuthenticationFailed(message)
    server = view.conf.find_server_by_auth_certificate(leaf)
    return str(server.id) if server else leaf.name
