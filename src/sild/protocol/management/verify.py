"""Verify who sends a management request, in the order and with the codes of the reference.

Three kinds: an authCertReg, which proves the possession of a key and is signed by the server's
owner; what a member signs; and what nobody signs, for which the security server that forwards it
vouches. Of two requests that name a server alone (addressChange, maintenance mode) the reference
does not ask whose certificate signed them: here it is the owner's, as PR-MSERV 2.6 has it.
"""

from dataclasses import dataclass
from datetime import datetime

from sild.protocol.errors import (
    CertValidation,
    IncorrectCertificate,
    InvalidClientIdentifier,
    InvalidRequest,
    InvalidSignatureValue,
    UnknownCertificationAuthority,
)
from sild.protocol.ids import ClientId, SecurityServerId
from sild.protocol.management.address import check_address
from sild.protocol.management.codec import read_request, read_request_type
from sild.protocol.management.package import (
    MemberProof,
    PossessionProof,
    RequestPackage,
    RequestSignature,
    read_member_proof,
    read_registration_proofs,
)
from sild.protocol.management.requests import (
    UNSIGNED_TYPES,
    AddressChange,
    AuthCertRegistration,
    ClientRegistration,
    ClientRename,
    ManagementRequest,
    RequestType,
    client_of,
)
from sild.protocol.pki.certificate import Certificate, read_certificate
from sild.protocol.pki.ocsp import read_ocsp_response, verify_ocsp
from sild.protocol.pki.profiles import get_profile
from sild.protocol.pki.trust import Trust
from sild.protocol.soap.message import SoapMessage

_SEPARATORS = frozenset(":;%/\\\ufeff\u200b")
_MISPLACED_NAME = "only the name of a subsystem can be changed"


@dataclass(frozen=True, slots=True)
class Ecosystem:
    """What a request is judged by: whom the instance trusts, and who provides the services."""

    trust: Trust
    management_services: ClientId | None


@dataclass(frozen=True, slots=True)
class VerifiedRequest:
    """A request whose sender has proved who it is; only this module makes them."""

    request: ManagementRequest
    message: SoapMessage
    signer: ClientId | None
    """The member that signed it, if it had to be signed."""


def verify_request(package: RequestPackage, ecosystem: Ecosystem, now: datetime) -> VerifiedRequest:
    """Prove that a request comes from whom it says.

    Raises InvalidRequest, InvalidClientIdentifier, CertValidation, IncorrectCertificate,
    IncorrectValidationInfo, InvalidSignatureValue, UnknownCertificationAuthority and what
    `read_request` does.
    """
    kind = read_request_type(package.message)
    if kind is RequestType.AUTH_CERT_REGISTRATION:
        return _verify_registration(package, ecosystem, now)
    if kind in UNSIGNED_TYPES:
        request = read_request(package.message)
        check_identifiers(request)
        _check_sender(package.message, request.server)
        return VerifiedRequest(request, package.message, None)
    return _verify_signed(package, ecosystem.trust, now)


def _verify_registration(
    package: RequestPackage, ecosystem: Ecosystem, now: datetime
) -> VerifiedRequest:
    proofs = read_registration_proofs(package)
    member, possession = proofs.member, proofs.possession
    request = read_request(package.message)
    if possession is None or not isinstance(request, AuthCertRegistration):
        raise InvalidRequest("the request proves no possession of a key")
    message, trust = package.message, ecosystem.trust
    _verify_possession(possession, message, trust, now)
    certificate = read_certificate(member.certificate)
    _verify_member_certificate(certificate, member, trust, now)
    _verify_signature(certificate, member.signature, message, "owner")
    _check_services(message, ecosystem)
    check_identifiers(request)
    _check_sender(message, request.server)
    if possession.certificate != request.certificate:
        raise CertValidation("Authentication certificates do not match.")
    signer = _member_of(certificate, trust)
    _check_signer(signer, request.server.owner, "security server owner")
    check_address(request.address)
    return VerifiedRequest(request, message, signer)


def _verify_possession(
    possession: PossessionProof, message: SoapMessage, trust: Trust, now: datetime
) -> None:
    certificate = read_certificate(possession.certificate)
    check_authentication_certificate(certificate, trust, now)
    _verify_signature(certificate, possession.signature, message, "auth")


def check_authentication_certificate(certificate: Certificate, trust: Trust, now: datetime) -> None:
    """Refuse what cannot be registered as an authentication certificate.

    It must come from an approved CA of the instance itself, be valid, and be meant for the use.
    Raises UnknownCertificationAuthority, CertValidation, IncorrectCertificate.
    """
    _check_issued(certificate, _issuer_of(certificate, trust), trust)
    if not certificate.is_valid_at(now):
        raise IncorrectCertificate(f"{certificate.name} is not valid at {now:%FT%TZ}")
    if not certificate.is_authentication:
        raise CertValidation("Authentication certificate is not valid")


def _verify_signed(package: RequestPackage, trust: Trust, now: datetime) -> VerifiedRequest:
    proof = read_member_proof(package).member
    request = read_request(package.message)
    certificate = read_certificate(proof.certificate)
    _verify_signature(certificate, proof.signature, package.message, "client")
    _verify_member_certificate(certificate, proof, trust, now)
    check_identifiers(request)
    _check_sender(package.message, request.server)
    signer = _member_of(certificate, trust)
    client = client_of(request)
    if client is not None:
        _check_signer(signer, client.member, "client's member")
    else:
        _check_signer(signer, request.server.owner, "security server owner")
    _check_content(request)
    return VerifiedRequest(request, package.message, signer)


def _check_content(request: ManagementRequest) -> None:
    match request:
        case ClientRegistration(client=client, subsystem_name=name):
            if name and not client.is_subsystem:
                raise InvalidRequest(_MISPLACED_NAME)
        case ClientRename(client=client, subsystem_name=name):
            if not client.is_subsystem:
                raise InvalidRequest(_MISPLACED_NAME)
            if not name.strip():
                raise InvalidRequest("Invalid subsystem name")
        case AddressChange(address=address):
            check_address(address)
        case _:
            pass


def _verify_member_certificate(
    certificate: Certificate, proof: MemberProof, trust: Trust, now: datetime
) -> None:
    issuer = _issuer_of(certificate, trust)
    _check_issued(certificate, issuer, trust)
    if not certificate.is_valid_at(now) or not certificate.is_signing:
        raise CertValidation("Member (owner/client) sign certificate is invalid")
    if not trust.may_issue_signing(issuer):
        raise CertValidation(f"{issuer.name} is approved for authentication only")
    verify_ocsp(read_ocsp_response(proof.ocsp), certificate, issuer, trust, now)


def _issuer_of(certificate: Certificate, trust: Trust) -> Certificate:
    issuer = trust.find_issuer(certificate)
    if issuer is None:
        raise UnknownCertificationAuthority(
            f"{certificate.name} is not issued by a certification service"
            f" approved in {trust.instance}"
        )
    return issuer.certificate


def _check_issued(certificate: Certificate, issuer: Certificate, trust: Trust) -> None:
    try:
        certificate.check_issued_by(issuer, trust.strength)
    except InvalidSignatureValue as error:
        raise CertValidation(f"{certificate.name} is invalid: {error.message}") from None


def _verify_signature(
    certificate: Certificate, signature: RequestSignature, message: SoapMessage, whose: str
) -> None:
    try:
        signature.algorithm.verify(certificate.public_key, signature.value, message.raw)
    except InvalidSignatureValue as error:
        raise InvalidSignatureValue(
            f"the {whose} signature does not hold: {error.message}"
        ) from None


def _check_services(message: SoapMessage, ecosystem: Ecosystem) -> None:
    header = message.header
    if (
        header.service.provider != ecosystem.management_services
        or header.client.instance != ecosystem.trust.instance
    ):
        raise InvalidRequest(
            "Invalid management service address. Contact central server administrator."
        )


def check_identifiers(request: ManagementRequest) -> None:
    """Raise InvalidClientIdentifier for a server or client that may not be called so."""
    _check_parts(request.server.parts)
    client = client_of(request)
    if client is not None:
        _check_parts(client.parts)


def _check_sender(message: SoapMessage, server: SecurityServerId) -> None:
    if message.header.client != server.owner:
        raise InvalidRequest("Sender does not match server owner.")


def _check_parts(parts: tuple[str, ...]) -> None:
    for part in parts:
        # ISO controls are C0, DEL and C1.
        controls = any(ord(sign) < 0x20 or 0x7F <= ord(sign) <= 0x9F for sign in part)
        if controls or not _SEPARATORS.isdisjoint(part):
            raise InvalidClientIdentifier("The management request contains an invalid identifier.")


def _member_of(certificate: Certificate, trust: Trust) -> ClientId:
    return get_profile(trust.get_ca_of(certificate).profile).member_of(certificate, trust.instance)


def _check_signer(signer: ClientId, expected: ClientId, whose: str) -> None:
    if signer != expected:
        raise InvalidRequest(
            f"Subject identifier ({signer}) in certificate does not match"
            f" {whose} identifier ({expected}) in request"
        )
