"""Tokens, keys, requests and certificates as bodies, and as data of the audit record."""

from collections.abc import Mapping
from typing import Protocol

from sild.adminapi.certificates import CertificateDetails
from sild.adminapi.securityserver.client_bodies import told_certificate
from sild.adminapi.securityserver.server import SecurityServer
from sild.adminapi.securityserver.token_bodies import (
    CertificateOcspStatus,
    CertificateStatus,
    Key,
    KeyAlgorithm,
    KeyUsageType,
    KeyValuePair,
    Token,
    TokenCertificate,
    TokenCertificateSigningRequest,
    TokenStatus,
    TokenType,
)
from sild.model import tokens as model
from sild.model.tokens import OcspStatus, PossibleAction
from sild.protocol.ids import ClientId
from sild.protocol.pki.certificate import Certificate, read_certificate

_OCSP: Mapping[OcspStatus, CertificateOcspStatus] = {
    OcspStatus.GOOD: CertificateOcspStatus.OCSP_RESPONSE_GOOD,
    OcspStatus.REVOKED: CertificateOcspStatus.OCSP_RESPONSE_REVOKED,
    OcspStatus.SUSPENDED: CertificateOcspStatus.OCSP_RESPONSE_SUSPENDED,
}
_ORDER = {action: place for place, action in enumerate(PossibleAction)}


class OnToken(Protocol):
    """A key or certificate that is held, on its token."""

    @property
    def token(self) -> model.Token: ...  # noqa: D102 - the protocol says it
    @property
    def key(self) -> model.Key: ...  # noqa: D102


class TokenViews:
    """Lays out what is on tokens, as it stands at one moment."""

    def __init__(self, server: SecurityServer) -> None:
        self._acts = server.certificates
        self._now = server.clock.now()
        self._owner = server.certificates.find_owner()

    def token(self, token: model.Token) -> Token:
        """Lay out a token with all that is on it."""
        return Token(
            id=token.id,
            name=token.label,
            type=TokenType.SOFTWARE if token.is_software else TokenType.HARDWARE,
            keys=[self.key(token, key) for key in token.keys],
            status=TokenStatus(token.status.value),
            logged_in=token.logged_in,
            available=token.available,
            saved_to_configuration=token.saved_to_configuration,
            read_only=token.read_only,
            serial_number=token.serial_number,
            token_infos=[KeyValuePair(key=key, value=value) for key, value in token.details],
            possible_actions=self.actions(token),
        )

    def key(self, token: model.Token, key: model.Key) -> Key:
        """Lay out a key with its certificates and requests."""
        is_ec = key.algorithm is model.KeyAlgorithm.EC_P256
        return Key(
            id=key.id,
            name=key.label,
            label=key.device_label or key.label,
            certificates=[self.certificate(token, key, each) for each in key.certificates],
            certificate_signing_requests=[self._request(token, each) for each in key.requests],
            usage=None if key.usage is None else KeyUsageType(key.usage.value),
            available=key.id in token.available_keys,
            saved_to_configuration=key.saved_to_configuration,
            possible_actions=self.actions(token, key),
            key_algorithm=KeyAlgorithm.EC if is_ec else KeyAlgorithm.RSA,
        )

    def certificate(
        self, token: model.Token, key: model.Key, entry: model.CertificateEntry
    ) -> TokenCertificate:
        """Lay out a certificate."""
        certificate = read_certificate(entry.certificate)
        return TokenCertificate(
            ocsp_status=self._ocsp_status(certificate, entry),
            owner_id=self._owner_id(entry.member, key),
            active=entry.active,
            saved_to_configuration=entry.saved,
            ocsp_verify_before_activation_error=self._acts.find_failure(entry.sha256),
            certificate_details=CertificateDetails.of(certificate),
            status=CertificateStatus[entry.status.name],
            possible_actions=self.actions(token, entry),
        )

    def actions(
        self,
        token: model.Token,
        item: model.Key | model.CertificateEntry | model.RequestEntry | None = None,
    ) -> list[PossibleAction]:
        """List what can be done now with a token, or with what is on it."""
        return sorted(self._acts.possible_actions(token, item), key=_ORDER.__getitem__)

    def _request(
        self, token: model.Token, request: model.RequestEntry
    ) -> TokenCertificateSigningRequest:
        member = request.member or self._owner
        return TokenCertificateSigningRequest(
            id=request.id,
            owner_id=None if member is None else member.encoded,
            certificate_profile=request.profile or None,
            possible_actions=self.actions(token, request),
        )

    def _owner_id(self, member: ClientId | None, key: model.Key) -> str | None:
        """Whose a certificate is: an authentication certificate is the server's owner's."""
        if member is None and key.usage is model.KeyUsage.AUTHENTICATION:
            member = self._owner
        return None if member is None else member.encoded

    def _ocsp_status(
        self, certificate: Certificate, entry: model.CertificateEntry
    ) -> CertificateOcspStatus:
        if not entry.active:
            return CertificateOcspStatus.DISABLED
        if self._now > certificate.not_after:
            return CertificateOcspStatus.EXPIRED
        status = self._acts.ocsp_status(entry.certificate)
        return _OCSP.get(status, CertificateOcspStatus.OCSP_RESPONSE_UNKNOWN)


def told_token(token: model.Token) -> Mapping[str, object]:
    """What the audit record tells of a token."""
    return {
        "tokenId": token.id,
        "tokenSerialNumber": token.serial_number,
        "tokenFriendlyName": token.label,
    }


def told_key(held: OnToken) -> Mapping[str, object]:
    """What the audit record tells of a key, and of its token."""
    usage = held.key.usage
    return {
        **told_token(held.token),
        "keyId": held.key.id,
        "keyFriendlyName": held.key.label,
        "keyUsage": None if usage is None else usage.value,
    }


def told_held_certificate(entry: model.CertificateEntry) -> Mapping[str, object]:
    """What the audit record tells of a certificate that a key has."""
    return {"certId": entry.sha256, **told_certificate(read_certificate(entry.certificate))}
