"""Which certificates may be used now: decided in the control process, from all that is known.

A signing certificate is usable if it is active, registered, valid, good by a fresh OCSP response,
and its key can be used; an authentication certificate if the global configuration knows it as this
server's as well. Nothing here outlives the moment that `changes_at` names.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sild.components.signer.chain import intermediates_of
from sild.components.signer.ocsp_cache import OcspCache
from sild.model.snapshot import AuthenticationCertificate, SigningCertificate
from sild.model.tokens import (
    CertificateEntry,
    CertificateStatus,
    Key,
    KeyUsage,
    Token,
    next_certificate_status,
)
from sild.protocol.errors import CertValidation, ProtocolError
from sild.protocol.globalconf.lookup import GlobalConf
from sild.protocol.ids import ClientId, SecurityServerId
from sild.protocol.pki.certificate import Certificate, read_certificate
from sild.protocol.pki.ocsp import read_ocsp_response
from sild.protocol.pki.path import PathUse, verify_path


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a certificate is not used."""

    sha256: str
    reason: str


@dataclass(frozen=True, slots=True)
class UsableCertificates:
    """What may be used, why the rest may not, and when that changes by itself."""

    signing: tuple[SigningCertificate, ...]
    authentication: AuthenticationCertificate | None
    refusals: tuple[Refusal, ...]
    changes_at: datetime | None


@dataclass(frozen=True, slots=True)
class _Evidence:
    """A certificate that is good now, with what proves it to others."""

    certificate: Certificate
    chain: tuple[bytes, ...]
    ocsp: tuple[bytes, ...]
    valid_until: datetime


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the decision depends on beside the tokens."""

    server: SecurityServerId
    conf: GlobalConf
    responses: OcspCache
    now: datetime


def choose_usable(tokens: tuple[Token, ...], circumstances: Circumstances) -> UsableCertificates:
    """The certificates to use: of several for one purpose, the one that is valid the longest."""
    signing: dict[ClientId, tuple[_Evidence, SigningCertificate]] = {}
    authentication: tuple[_Evidence, AuthenticationCertificate] | None = None
    refusals = []
    ends = []
    for token, key, entry in _entries(tokens):
        try:
            found = _evidence(token, key, entry, circumstances)
        except ProtocolError as error:
            refusals.append(Refusal(entry.sha256, error.message))
            continue
        ends.append(found.valid_until)
        if key.usage is KeyUsage.AUTHENTICATION:
            if authentication is None or _is_longer(found, authentication[0]):
                authentication = found, _authentication(key, found)
        elif entry.member is not None:
            member = entry.member.member
            if member not in signing or _is_longer(found, signing[member][0]):
                signing[member] = found, _signing(member, token, key, found)
    return UsableCertificates(
        tuple(chosen for _, chosen in signing.values()),
        authentication[1] if authentication else None,
        tuple(refusals),
        min(ends, default=None),
    )


def certificates_to_watch(tokens: tuple[Token, ...]) -> tuple[Certificate, ...]:
    """The certificates whose OCSP responses are to be kept fresh: active and registered."""
    return tuple(
        read_certificate(entry.certificate)
        for _, _, entry in _entries(tokens)
        if entry.active and entry.status is CertificateStatus.REGISTERED
    )


def statuses_to_set(
    tokens: tuple[Token, ...], conf: GlobalConf, server: SecurityServerId
) -> tuple[tuple[str, CertificateStatus], ...]:
    """What authentication certificates have become since the global configuration changed."""
    changes = []
    for _, key, entry in _entries(tokens):
        if key.usage is KeyUsage.AUTHENTICATION:
            listed = _is_listed(read_certificate(entry.certificate), conf, server)
            after = next_certificate_status(entry.status, in_global_conf=listed)
            if after is not entry.status:
                changes.append((entry.sha256, after))
    return tuple(changes)


def _entries(tokens: tuple[Token, ...]) -> Iterator[tuple[Token, Key, CertificateEntry]]:
    for token in tokens:
        for key in token.keys:
            for entry in key.certificates:
                if entry.saved:
                    yield token, key, entry


def _evidence(token: Token, key: Key, entry: CertificateEntry, around: Circumstances) -> _Evidence:
    if not token.logged_in or key.id not in token.available_keys:
        raise CertValidation(f"key {key.label!r} cannot be used: is its token logged in?")
    if not entry.active:
        raise CertValidation("the certificate is not active")
    if entry.status is not CertificateStatus.REGISTERED:
        raise CertValidation(f"the certificate is {entry.status.value}")
    certificate, conf = read_certificate(entry.certificate), around.conf
    if key.usage is KeyUsage.AUTHENTICATION:
        if not _is_listed(certificate, conf, around.server):
            raise CertValidation(
                f"the global configuration does not know the certificate as that of {around.server}"
            )
        # The strictest of what others ask: each certificate that is sent is good by OCSP.
        return _verified(certificate, PathUse.CONSUMER_TLS, around)
    return _verified(certificate, PathUse.SIGNATURE, around)


def _verified(certificate: Certificate, use: PathUse, around: Circumstances) -> _Evidence:
    trust = around.conf.trust(around.conf.instance)
    chain = intermediates_of(certificate, trust)
    ocsp = tuple(_response(each, around.responses) for each in (certificate, *chain))
    responses = [read_ocsp_response(response) for response in ocsp]
    path = verify_path(certificate, chain, responses, trust, around.now, use)
    return _Evidence(certificate, tuple(each.der for each in chain), ocsp, path.valid_until)


def _response(certificate: Certificate, responses: OcspCache) -> bytes:
    response = responses.find(certificate)
    if response is None:
        raise CertValidation(f"there is no OCSP response about {certificate.name}")
    return response


def _is_listed(certificate: Certificate, conf: GlobalConf, server: SecurityServerId) -> bool:
    entry = conf.find_server_by_auth_certificate(certificate)
    return entry is not None and entry.id == server


def _is_longer(one: _Evidence, other: _Evidence) -> bool:
    return one.certificate.not_after > other.certificate.not_after


def _signing(member: ClientId, token: Token, key: Key, found: _Evidence) -> SigningCertificate:
    return SigningCertificate(
        member,
        key.id,
        found.certificate.der,
        found.chain,
        found.ocsp,
        token.batch_signing,
        token.rsa_pss,
    )


def _authentication(key: Key, found: _Evidence) -> AuthenticationCertificate:
    return AuthenticationCertificate(key.id, found.certificate.der, found.chain, found.ocsp)
