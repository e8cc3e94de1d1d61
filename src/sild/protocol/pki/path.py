"""Build and check a certificate path to an approved CA at a moment (RFC 5280, section 6).

Certificates below the anchor must each have a good and fresh OCSP response. The anchor itself is
a name and a key that the global configuration approves: like the reference, and as RFC 5280 has
it, neither its validity nor its status is asked about.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from cryptography.x509.oid import ExtensionOID

from sild.protocol.errors import (
    CannotCreateCertPath,
    CertValidation,
    IncorrectCertificate,
    InvalidCertPath,
    InvalidSignatureValue,
    UnknownCertificationAuthority,
    inside,
)
from sild.protocol.pki.certificate import Certificate
from sild.protocol.pki.ocsp import OcspResponse, VerifiedOcsp, find_response_for, verify_ocsp
from sild.protocol.pki.signed import Strength
from sild.protocol.pki.trust import ApprovedCaCert, Trust

_LONGEST_PATH = 8
_MOST_EXTRA = 16
# The critical extensions that are either checked here or do not concern paths.
_UNDERSTOOD = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.CERTIFICATE_POLICIES,
    }
)


class PathUse(Enum):
    """What a path is to prove; the value names the certificate whose issuer is the anchor.

    The reference has two variants: whoever verifies a signature or a provider's TLS certificate
    anchors the path in the issuer of the leaf, whoever verifies a consumer's TLS certificate in
    the issuer of the last certificate that was sent.
    """

    SIGNATURE = "leaf of a signature"
    PROVIDER_TLS = "leaf of a provider"
    CONSUMER_TLS = "last of a consumer"


@dataclass(frozen=True, slots=True)
class VerifiedPath:
    """A path that held, leaf first and without its anchor, and until when it is known to hold."""

    certificates: tuple[Certificate, ...]
    anchor: Certificate
    valid_until: datetime


def verify_path(
    leaf: Certificate,
    extra: Sequence[Certificate],
    responses: Sequence[OcspResponse],
    trust: Trust,
    at: datetime,
    use: PathUse = PathUse.SIGNATURE,
) -> VerifiedPath:
    """Prove that the leaf leads to an approved CA and is good at the moment.

    Raises IncorrectCertificate for a leaf that is not meant for the use,
    UnknownCertificationAuthority where no approved CA bears the name of the issuer,
    CannotCreateCertPath where certificates or signatures are missing, InvalidCertPath for a path
    that does not hold, and the errors of OCSP inside `invalid_cert_path`.
    """
    _check_use(leaf, use)
    path, anchor = _build(leaf, extra, trust, use)
    with inside("invalid_cert_path"):
        _check_path(path, anchor, at)
        proofs = _verify_statuses((*path, anchor), responses, trust, at)
    ends = [certificate.not_after for certificate in path]
    return VerifiedPath(path, anchor, min(ends + [proof.stale_at for proof in proofs]))


def _check_use(leaf: Certificate, use: PathUse) -> None:
    if use is PathUse.SIGNATURE and not leaf.is_signing:
        raise IncorrectCertificate(f"{leaf.name} has no signing certificate")
    if use is not PathUse.SIGNATURE and not leaf.is_authentication:
        raise IncorrectCertificate(f"{leaf.name} has no authentication certificate")


def _build(
    leaf: Certificate, extra: Sequence[Certificate], trust: Trust, use: PathUse
) -> tuple[tuple[Certificate, ...], Certificate]:
    if len(extra) > _MOST_EXTRA:
        raise CannotCreateCertPath(f"{len(extra)} certificates came beside {leaf.name}")
    if use is PathUse.CONSUMER_TLS:
        anchor = _find_anchor(extra[-1] if extra else leaf, trust).certificate
    else:
        with inside("cannot_create_cert_path"):
            anchor = _find_anchor(leaf, trust).certificate
    if use is PathUse.SIGNATURE and not trust.may_issue_signing(anchor):
        raise CannotCreateCertPath(f"{anchor.name} is approved for authentication only")
    path = [leaf]
    while not _is_issuer(anchor, path[-1], trust.strength):
        path.append(_next_of(path, extra, trust))
        if len(path) > _LONGEST_PATH:
            raise CannotCreateCertPath(f"the path from {leaf.name} is too long")
    return tuple(path), anchor


def _find_anchor(certificate: Certificate, trust: Trust) -> ApprovedCaCert:
    anchor = trust.find_issuer(certificate)
    if anchor is None:
        raise UnknownCertificationAuthority(
            f"{certificate.name} is not issued by a certification service approved in"
            f" {trust.instance}: {certificate.issuer_name} is none"
        )
    return anchor


def _is_issuer(issuer: Certificate, certificate: Certificate, strength: Strength) -> bool:
    try:
        certificate.check_issued_by(issuer, strength)
    except InvalidSignatureValue:
        return False
    return True


def _next_of(
    path: Sequence[Certificate], extra: Sequence[Certificate], trust: Trust
) -> Certificate:
    for candidate in extra:
        if candidate not in path and _is_issuer(candidate, path[-1], trust.strength):
            return candidate
    raise CannotCreateCertPath(
        f"{path[-1].name} is not signed by {path[-1].issuer_name}, as far as is known"
    )


def _check_path(path: Sequence[Certificate], anchor: Certificate, at: datetime) -> None:
    for certificate in path:
        if not certificate.is_valid_at(at):
            raise InvalidCertPath(
                f"{certificate.name} is valid from {certificate.not_before}"
                f" to {certificate.not_after}, not at {at}"
            )
        _check_critical_extensions(certificate)
    for below, issuer in enumerate((*path[1:], anchor)):
        _check_may_issue(issuer, below)


def _check_may_issue(issuer: Certificate, below: int) -> None:
    if not issuer.is_ca:
        raise InvalidCertPath(f"{issuer.name} may not issue certificates")
    if issuer.path_length is not None and below > issuer.path_length:
        raise InvalidCertPath(
            f"{issuer.name} allows {issuer.path_length} CAs below it, not {below}"
        )


def _check_critical_extensions(certificate: Certificate) -> None:
    for extension in certificate.x509.extensions:
        if extension.critical and extension.oid not in _UNDERSTOOD:
            raise InvalidCertPath(
                f"{certificate.name} has the critical extension"
                f" {extension.oid.dotted_string}, which is not understood"
            )


def _verify_statuses(
    chain: Sequence[Certificate],
    responses: Sequence[OcspResponse],
    trust: Trust,
    at: datetime,
) -> list[VerifiedOcsp]:
    proofs = []
    for certificate, issuer in itertools.pairwise(chain):
        response = find_response_for(certificate, issuer, responses)
        if response is None:
            raise CertValidation(f"there is no OCSP response for {certificate.name}")
        proofs.append(verify_ocsp(response, certificate, issuer, trust, at))
    return proofs
