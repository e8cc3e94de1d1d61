"""One immutable view of all that a message's way depends on, indexed for look-ups.

A worker makes a new view when the server's snapshot or the global configuration changes, and
swaps it whole: a message sees one view from its first to its last step.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import NamedTuple
from urllib.parse import urlsplit

from sild.components.proxy.verdicts import Verdicts
from sild.model.access import AccessRules, Call
from sild.model.services import Client, ClientStatus, Service
from sild.model.snapshot import AuthenticationCertificate, ServerSnapshot, SigningCertificate
from sild.protocol.algorithms import SignatureAlgorithm
from sild.protocol.errors import (
    CannotCreateSignature,
    ServiceDisabled,
    ServiceMalformedUrl,
    ServiceMissingUrl,
    SslAuthenticationFailed,
    UnknownMember,
    UnknownService,
)
from sild.protocol.globalconf.lookup import GlobalConf
from sild.protocol.ids import ClientId, ServiceId
from sild.protocol.pki.certificate import Certificate, read_certificate
from sild.protocol.pki.path import PathUse
from sild.protocol.signature.verify import SignatureDocument, SignerProof
from sild.protocol.signature.xades import SigningIdentity

_VERDICTS = 2048
# Those of a batch come close together.
_SIGNATURES = 512


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that signs for a member, with all that its signatures carry."""

    member: ClientId
    key_id: str
    identity: SigningIdentity
    batch: bool


@dataclass(frozen=True, slots=True)
class ServiceAddress:
    """Where a service is called."""

    host: str
    port: int
    tls: bool
    path: str
    """The base path of a REST service, without a slash at its end."""
    target: str
    """Path and query as they are configured, where a SOAP service is posted to."""
    authority: str
    """The HTTP Host header."""


@dataclass(frozen=True, slots=True)
class PeerClaim:
    """What another security server shows to prove that it speaks for a member or subsystem."""

    chain: tuple[bytes, ...]
    responses: tuple[bytes, ...]
    member: ClientId
    use: PathUse


class SignerClaim(NamedTuple):
    """All that a signature document shows to prove that its signer is the member's."""

    member: ClientId
    certificate: Certificate
    extra_certificates: tuple[Certificate, ...]
    ocsp: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class KnownPeer:
    """Another security server whose claim was verified: its identifier, and until when."""

    server: str
    valid_until: datetime


@dataclass(frozen=True)
class View:
    """The server's own configuration and the global one, at one moment."""

    snapshot: ServerSnapshot
    conf: GlobalConf
    conf_valid_until: datetime
    peers: Verdicts[PeerClaim, KnownPeer] = field(
        default_factory=lambda: Verdicts(_VERDICTS), compare=False
    )
    """The claims of other security servers that were found to hold."""
    signatures: Verdicts[bytes, SignatureDocument] = field(
        default_factory=lambda: Verdicts(_SIGNATURES), compare=False
    )
    """Signature documents whose value was found good, by their bytes."""
    signers: Verdicts[SignerClaim, SignerProof] = field(
        default_factory=lambda: Verdicts(_VERDICTS), compare=False
    )
    """Signers found to be who they should be."""

    @cached_property
    def _clients(self) -> Mapping[ClientId, Client]:
        return {client.id: client for client in self.snapshot.clients}

    @cached_property
    def _services(self) -> Mapping[tuple[ClientId, str, str | None], Service]:
        return {
            (service.id.provider, service.id.service_code, service.id.service_version): service
            for service in self.snapshot.services
        }

    @cached_property
    def _rules(self) -> AccessRules:
        return AccessRules(self.snapshot.endpoints, self.snapshot.rights, self.snapshot.groups)

    @cached_property
    def signing_keys(self) -> Mapping[ClientId, SigningKey]:
        """The key that signs for each member."""
        keys: dict[ClientId, SigningKey] = {}
        for signing in self.snapshot.signing:
            keys.setdefault(signing.member.member, _signing_key(signing))
        return keys

    @cached_property
    def own_ocsp(self) -> tuple[bytes, ...]:
        """The OCSP responses of the authentication certificate and its intermediates."""
        return self.authentication.ocsp if self.authentication else ()

    @cached_property
    def ocsp_by_hash(self) -> Mapping[bytes, bytes]:
        """Those responses by the SHA-1 and the SHA-256 digests of their certificates."""
        authentication = self.authentication
        if authentication is None:
            return {}
        found: dict[bytes, bytes] = {}
        chain = (authentication.certificate, *authentication.chain)
        for der, response in zip(chain, authentication.ocsp, strict=False):
            certificate = read_certificate(der)
            found[certificate.sha1] = found[certificate.sha256] = response
        return found

    @property
    def authentication(self) -> AuthenticationCertificate | None:
        """The certificate that this server shows to others."""
        return self.snapshot.authentication

    def check_authentication(self) -> None:
        """Return if this server can prove who it is."""
        if self.snapshot.authentication is None:
            message = (
                "this security server has no usable authentication certificate: it needs one that "
                "is active, registered, in the global configuration, and with a good OCSP response"
            )
            raise SslAuthenticationFailed(message)

    def get_client(self, client: ClientId) -> Client:
        """A client registered on this server; raises UnknownMember."""
        found = self._clients.get(client)
        if found is None or found.status is not ClientStatus.REGISTERED:
            message = f"{client} is not a registered client of this security server"
            raise UnknownMember(message)
        return found

    def get_signing_key(self, client: ClientId) -> SigningKey:
        """The key that signs for the client's member; raises CannotCreateSignature."""
        found = self.signing_keys.get(client.member)
        if found is None:
            message = (
                f"no usable signing certificate for {client.member}: it needs one that is active, "
                "registered, in its validity period, and with a good OCSP response, and its token "
                "must be logged in"
            )
            raise CannotCreateSignature(message)
        return found

    def get_service(self, service: ServiceId) -> Service:
        """A service of a client of this server; raises UnknownService."""
        found = self._services.get(
            (service.provider, service.service_code, service.service_version)
        )
        if found is None:
            message = f"{service} is not offered here"
            raise UnknownService(message)
        return found

    def check_access(self, caller: ClientId, call: Call) -> None:
        """Return if the caller may make the call; raises AccessDenied."""
        self._rules.check_access(caller, self.conf.global_groups_of(caller), call)

    @cached_property
    def _addresses(self) -> dict[str, ServiceAddress]:
        return {}

    def get_address(self, service: Service) -> ServiceAddress:
        """Where the service is called; raises ServiceMissingUrl or ServiceMalformedUrl."""
        found = self._addresses.get(service.url)
        if found is None:
            found = self._addresses[service.url] = _read_address(service)
        return found


def check_enabled(service: Service) -> None:
    """Return if the service is switched on; raises ServiceDisabled with the provider's notice."""
    if service.disabled_notice is not None:
        message = f"{service.id} is disabled: {service.disabled_notice or 'no reason was given'}"
        raise ServiceDisabled(message)


def _signing_key(signing: SigningCertificate) -> SigningKey:
    certificate = read_certificate(signing.certificate)
    chain = tuple(
        (read_certificate(der), response)
        for der, response in zip(signing.chain, signing.ocsp[1:], strict=False)
    )
    algorithm = SignatureAlgorithm.for_key(certificate.public_key)
    if signing.pss and algorithm is SignatureAlgorithm.RSA_SHA512:
        algorithm = SignatureAlgorithm.PSS_SHA512
    identity = SigningIdentity(certificate, signing.ocsp[0], chain, algorithm)
    return SigningKey(signing.member, signing.key_id, identity, signing.batch)


def _read_address(service: Service) -> ServiceAddress:
    if not service.url:
        message = f"{service.id} has no address"
        raise ServiceMissingUrl(message)
    try:
        url = urlsplit(service.url)
        port = url.port
    except ValueError:
        url, port = urlsplit(""), None
    tls = url.scheme == "https"
    if url.scheme not in ("http", "https") or not url.hostname:
        message = f"{service.id} has an address that cannot be called: {service.url!r}"
        raise ServiceMalformedUrl(message)
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    if not target.isascii() or not target.isprintable() or " " in target:
        message = f"{service.id} has an address that is not percent-encoded: {service.url!r}"
        raise ServiceMalformedUrl(message)
    path = url.path.rstrip("/")
    authority = url.netloc.rpartition("@")[2]
    port = port or (443 if tls else 80)
    return ServiceAddress(url.hostname, port, tls, path, target, authority)
