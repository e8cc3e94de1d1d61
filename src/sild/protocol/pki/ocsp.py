"""OCSP requests, responses and their freshness policy (RFC 6960).

Stricter than the reference in four points: a response of the future is refused, so is one signed
by a responder whose certificate is out of its validity, one with a critical extension, and one
that brings a certificate which nobody signed.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from functools import lru_cache
from typing import Any

from asn1crypto import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from sild.protocol.errors import (
    CertValidation,
    IncorrectValidationInfo,
    InvalidSignatureValue,
    TrustError,
)
from sild.protocol.pki import der
from sild.protocol.pki.certificate import Certificate, read_certificate
from sild.protocol.pki.names import backward_name_key, name_key
from sild.protocol.pki.signed import Signed, Strength, read_signed
from sild.protocol.pki.trust import OcspPolicy, Trust

_SHA1 = "1.3.14.3.2.26"
_SIZE_LIMIT = 128 * 1024
_MOST_CERTIFICATES = 8
_BASIC = "1.3.6.1.5.5.7.48.1.1"
_SUCCESSFUL = b"\x0a\x01\x00"
_CONTEXT_0 = 0xA0
# How far the clocks of a responder and of this server may differ.
_ID_HASHES = frozenset({"sha1", "sha256", "sha384", "sha512"})


class OcspStatus(Enum):
    """What a responder says of a certificate."""

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class CertificateId:
    """Which certificate a response is about: hashes of its issuer, and its serial number."""

    hash_name: str
    issuer_name_hash: bytes
    issuer_key_hash: bytes
    serial: int

    def matches(self, certificate: Certificate, issuer: Certificate) -> bool:
        """Whether this is the given certificate of the given issuer."""
        return self.serial == certificate.serial and (
            self.issuer_name_hash,
            self.issuer_key_hash,
        ) == _issuer_hashes(issuer, self.hash_name)


@lru_cache(maxsize=256)
def _issuer_hashes(issuer: Certificate, hash_name: str) -> tuple[bytes, bytes]:
    key_bits = der.contents_of(der.parts_of(issuer.public_key_der)[1])[1:]
    return (
        hashlib.new(hash_name, issuer.subject_der, usedforsecurity=False).digest(),
        hashlib.new(hash_name, key_bits, usedforsecurity=False).digest(),
    )


@dataclass(frozen=True, slots=True)
class ResponderId:
    """Who says to have signed a response: by name, in either order, or by SHA-1 of a key.

    It only finds candidates: the signature decides.
    """

    names: frozenset[bytes]
    key_sha1: bytes | None

    def matches(self, certificate: Certificate) -> bool:
        """Whether this may be the responder of the certificate."""
        return certificate.subject_key in self.names or certificate.key_sha1 == self.key_sha1


@dataclass(frozen=True, slots=True)
class OcspResponse:
    """An OCSP response, read but not verified; of several answers only the first counts."""

    der: bytes
    certificate_id: CertificateId
    status: OcspStatus
    this_update: datetime
    next_update: datetime | None
    produced_at: datetime
    responder: ResponderId
    certificates: tuple[Certificate, ...]
    signed: Signed
    on_hold: bool = False
    """Whether the revocation may be taken back: its reason is certificateHold."""


@dataclass(frozen=True, slots=True)
class VerifiedOcsp:
    """A response that says "good", by an authorised responder, fresh until `stale_at`."""

    response: OcspResponse
    signer: Certificate
    stale_at: datetime


def build_ocsp_request(certificate: Certificate, issuer: Certificate) -> bytes:
    """An unsigned request about one certificate, in the form that the reference sends."""
    name_hash, key_hash = _issuer_hashes(issuer, "sha1")
    certificate_id = der.sequence(
        der.algorithm(_SHA1),
        der.octets(name_hash),
        der.octets(key_hash),
        der.integer(certificate.serial),
    )
    request = der.sequence(certificate_id)
    return der.sequence(der.sequence(der.sequence(request)))


def read_ocsp_response(data: bytes) -> OcspResponse:
    """A response from DER; raises IncorrectValidationInfo, also where it holds no answer.

    Cheap to repeat for the same bytes.
    """
    if len(data) > _SIZE_LIMIT:
        raise IncorrectValidationInfo(f"an OCSP response of {len(data)} bytes is too long")
    return _read(bytes(data))


@lru_cache(maxsize=4096)
def _read(data: bytes) -> OcspResponse:
    try:
        return _from_asn1(data, ocsp.OCSPResponse.load(data, strict=True))
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError) as error:
        raise IncorrectValidationInfo(f"an OCSP response cannot be read: {error}") from None
    except (TrustError, InvalidSignatureValue) as error:
        raise IncorrectValidationInfo(error.message) from None


def _from_asn1(data: bytes, answer: Any) -> OcspResponse:
    status = answer["response_status"].native
    if status != "successful":
        raise IncorrectValidationInfo(f"the OCSP responder answered {status}")
    if answer["response_bytes"]["response_type"].native != "basic_ocsp_response":
        raise IncorrectValidationInfo("the OCSP response is of an unknown type")
    basic = answer["response_bytes"]["response"].parsed
    _check_der(data, basic)
    signed_part = basic["tbs_response_data"]
    single = signed_part["responses"][0]
    _check_extensions(signed_part["response_extensions"])
    _check_extensions(single["single_extensions"])
    next_update = single["next_update"]
    return OcspResponse(
        der=data,
        certificate_id=_certificate_id(single["cert_id"]),
        status=OcspStatus(single["cert_status"].name),
        this_update=_moment(single["this_update"]),
        next_update=_moment(next_update) if next_update.native is not None else None,
        produced_at=_moment(signed_part["produced_at"]),
        responder=_responder(signed_part["responder_id"]),
        certificates=_certificates(basic["certs"]),
        signed=read_signed(
            signed_part.dump(), basic["signature"].native, basic["signature_algorithm"]
        ),
        on_hold=_is_on_hold(single["cert_status"]),
    )


def _is_on_hold(status: Any) -> bool:
    if status.name != "revoked":
        return False
    return bool(status.chosen["revocation_reason"].native == "certificate_hold")


def _check_extensions(extensions: Any) -> None:
    for extension in extensions if extensions.native is not None else ():
        if extension["critical"].native:
            oid = extension["extn_id"].dotted
            raise IncorrectValidationInfo(f"the OCSP response has a critical extension {oid}")


def _certificate_id(value: Any) -> CertificateId:
    name = value["hash_algorithm"]["algorithm"].native
    if name not in _ID_HASHES:
        raise IncorrectValidationInfo(f"the OCSP response identifies its certificate by {name}")
    return CertificateId(
        name,
        value["issuer_name_hash"].native,
        value["issuer_key_hash"].native,
        value["serial_number"].native,
    )


def _moment(value: Any) -> datetime:
    moment = value.native
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise IncorrectValidationInfo("the OCSP response has a time without a zone")
    return moment


def _responder(value: Any) -> ResponderId:
    if value.name == "by_name":
        name = value.chosen.chosen.untag().dump()
        return ResponderId(frozenset({name_key(name), backward_name_key(name)}), None)
    return ResponderId(frozenset(), value.chosen.native)


def _certificates(values: Any) -> tuple[Certificate, ...]:
    if values.native is None:
        return ()
    if len(values) > _MOST_CERTIFICATES:
        raise IncorrectValidationInfo(f"the OCSP response has {len(values)} certificates")
    return tuple(read_certificate(value.dump()) for value in values)


def _check_der(data: bytes, basic: Any) -> None:
    """Raise IncorrectValidationInfo unless what no signature covers is DER, and nothing besides.

    As evidence a response must stay what it was, to its last byte.
    """
    certificates = basic["certs"] if basic["certs"].native is not None else ()
    for certificate in certificates:
        inner = certificate["tbs_certificate"]
        if inner["signature"].dump() != certificate["signature_algorithm"].dump():
            raise IncorrectValidationInfo("a certificate names two signature algorithms")
    embedded = [_signed_der(each, "tbs_certificate", "signature_value") for each in certificates]
    brought = (der.tagged(_CONTEXT_0, der.sequence(*embedded)),) if embedded else ()
    response = _signed_der(basic, "tbs_response_data", "signature", *brought)
    typed = der.sequence(der.identifier(_BASIC), der.octets(response))
    if data != der.sequence(_SUCCESSFUL, der.tagged(_CONTEXT_0, typed)):
        raise IncorrectValidationInfo("the OCSP response is not in DER")


def _signed_der(value: Any, signed: str, signature: str, *more: bytes) -> bytes:
    algorithm = value["signature_algorithm"]
    parameters = algorithm["parameters"].dump()
    written = der.algorithm(algorithm["algorithm"].dotted, parameters)
    if parameters not in (b"", der.NULL) and algorithm.signature_algo != "rsassa_pss":
        raise IncorrectValidationInfo("a signature algorithm has parameters")
    return der.sequence(value[signed].dump(), written, der.bits(value[signature].native), *more)


def find_response_for(
    certificate: Certificate, issuer: Certificate, responses: Iterable[OcspResponse]
) -> OcspResponse | None:
    """The first response that is about the certificate."""
    return next((r for r in responses if r.certificate_id.matches(certificate, issuer)), None)


def stale_at(response: OcspResponse, policy: OcspPolicy) -> datetime:
    """The last moment at which a response is fresh."""
    aged = response.this_update + timedelta(seconds=policy.freshness_seconds)
    if policy.verify_next_update and response.next_update is not None:
        return min(aged, response.next_update)
    return aged


def is_fresh(response: OcspResponse, policy: OcspPolicy, at: datetime) -> bool:
    """Whether a response is neither too old nor of the future."""
    return not _is_of_the_future(response, policy, at) and at <= stale_at(response, policy)


def _is_of_the_future(response: OcspResponse, policy: OcspPolicy, at: datetime) -> bool:
    if policy.ahead_seconds is None:
        return False
    newest = max(response.this_update, response.produced_at)
    return newest - timedelta(seconds=policy.ahead_seconds) > at


def verify_ocsp(
    response: OcspResponse,
    certificate: Certificate,
    issuer: Certificate,
    trust: Trust,
    at: datetime,
) -> VerifiedOcsp:
    """Prove that the certificate is good at the moment.

    Raises IncorrectValidationInfo for a response that proves nothing, CertValidation for one that
    says "revoked" or "unknown".
    """
    if not response.certificate_id.matches(certificate, issuer):
        raise IncorrectValidationInfo(
            f"the OCSP response is not about {certificate.name}"
            f" with the serial number {certificate.serial}"
        )
    signer = _verify_signer(response, issuer, trust, at)
    _check_brought(response, issuer, trust)
    _check_times(response, trust.ocsp, at)
    if response.status is not OcspStatus.GOOD:
        raise CertValidation(f"the status of {certificate.name} is {response.status.value} by OCSP")
    return VerifiedOcsp(response, signer, stale_at(response, trust.ocsp))


def _check_times(response: OcspResponse, policy: OcspPolicy, at: datetime) -> None:
    if _is_of_the_future(response, policy, at):
        raise IncorrectValidationInfo(
            f"the OCSP response is of the future: thisUpdate {response.this_update},"
            f" producedAt {response.produced_at}, now {at}"
        )
    if response.this_update + timedelta(seconds=policy.freshness_seconds) < at:
        raise IncorrectValidationInfo(
            f"the OCSP response is too old: thisUpdate {response.this_update}, now {at}"
        )
    if stale_at(response, policy) < at:
        raise IncorrectValidationInfo(
            f"the OCSP response has been replaced: nextUpdate {response.next_update}, now {at}"
        )


def _verify_signer(
    response: OcspResponse, issuer: Certificate, trust: Trust, at: datetime
) -> Certificate:
    refused = "no certificate of its responder is known"
    for candidate in _signers(response, issuer, trust):
        if not response.responder.matches(candidate):
            continue
        try:
            _check_authorised(candidate, issuer, trust, at)
            response.signed.check(candidate.public_key, trust.strength)
        except (IncorrectValidationInfo, InvalidSignatureValue) as error:
            refused = error.message
        else:
            return candidate
    raise IncorrectValidationInfo(f"the signature of the OCSP response is refused: {refused}")


def _signers(response: OcspResponse, issuer: Certificate, trust: Trust) -> Iterator[Certificate]:
    yield issuer
    yield from trust.ocsp_signers_for(issuer)
    yield from response.certificates


def _check_brought(response: OcspResponse, issuer: Certificate, trust: Trust) -> None:
    """Raise IncorrectValidationInfo for an embedded certificate that was changed on the way.

    The signature of a response does not cover them, and as evidence they must stay what they were.
    """
    known = {issuer, *trust.all_ocsp_signers, *trust.all_ca_certificates}
    for certificate in response.certificates:
        if certificate not in known and not any(
            _has_signed(other, certificate, trust.strength)
            for other in (*known, *response.certificates)
        ):
            raise IncorrectValidationInfo(
                f"the OCSP response brings a certificate of {certificate.subject_text} that is not"
                f" signed by {certificate.issuer_text}, as far as is known"
            )


def _has_signed(issuer: Certificate, certificate: Certificate, strength: Strength) -> bool:
    try:
        certificate.check_issued_by(issuer, strength)
    except InvalidSignatureValue:
        return False
    return True


def _check_authorised(signer: Certificate, issuer: Certificate, trust: Trust, at: datetime) -> None:
    """RFC 6960, 4.2.2.2: the CA itself, one listed for it, or one it appointed."""
    if signer.authority == issuer.authority:
        return
    if not signer.is_valid_at(at):
        raise IncorrectValidationInfo(f"the responder {signer.name} is out of its validity")
    if signer in trust.ocsp_signers_for(issuer):
        return
    _check_appointed(signer, issuer, trust.strength)


def _check_appointed(signer: Certificate, issuer: Certificate, strength: Strength) -> None:
    if not signer.has_extended_usage(ExtendedKeyUsageOID.OCSP_SIGNING):
        raise IncorrectValidationInfo(
            f"the responder {signer.name} is not authorised by {issuer.name}"
        )
    signer.check_issued_by(issuer, strength)
