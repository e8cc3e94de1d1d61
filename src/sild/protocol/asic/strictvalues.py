"""Time-stamp tokens and OCSP responses whose unsigned parts are settled by the signed ones.

Both are written in DER around a signed core. Each is put together again here from that core, and
must come out the same. Certificates that come along prove nothing, as those that count are known;
all the same, nothing stands there that has nothing to do with them.
"""

import contextlib
from collections.abc import Iterable, Sequence

from sild.protocol.errors import (
    AsicError,
    IncorrectCertificate,
    IncorrectValidationInfo,
    InvalidSignatureValue,
)
from sild.protocol.pki import der
from sild.protocol.pki.certificate import Certificate, read_certificate
from sild.protocol.pki.ocsp import read_ocsp_response
from sild.protocol.pki.signed import Strength
from sild.protocol.pki.trust import Trust

_READ_ERRORS = (ValueError, TypeError, KeyError, IndexError)
_SIGNED_DATA = der.identifier("1.2.840.113549.1.7.2")
_BASIC_RESPONSE = der.identifier("1.3.6.1.5.5.7.48.1.1")
_SUCCESSFUL = b"\x0a\x01\x00"
_SEQUENCE, _SET, _OCTETS, _BITS, _EXPLICIT = 0x30, 0x31, 0x04, 0x03, 0xA0
_PSS = der.identifier("1.2.840.113549.1.1.10")


class NotStrictValue(AsicError):
    """A token or response with something in it that its signature does not settle."""

    code = "not_strict"


def check_token(token: bytes, tsa: Certificate) -> None:
    """Return if a verified token of this authority could be no other; raises NotStrictValue."""
    try:
        _check_token(token, tsa)
    except _READ_ERRORS as error:
        raise NotStrictValue(f"the time-stamp is not written in DER: {error}") from None


def _check_token(token: bytes, tsa: Certificate) -> None:
    _, explicit = der.parts_of(token)
    (signed_data,) = der.parts_of(explicit)
    version, digests, content, *rest = der.parts_of(signed_data)
    certificates = rest[0] if len(rest) == 2 else None
    (signer,) = der.parts_of(rest[-1])
    signer_version, sid, digest, attributes, algorithm, signature = der.parts_of(signer)
    if certificates is not None:
        held = _read_certificates(der.parts_of(certificates))
        if tsa not in held:
            raise NotStrictValue("the time-stamp brings certificates, but not its authority's")
        _check_certificates(held, (tsa,))
        certificates = der.tagged(_EXPLICIT, *(found.der for found in held))
    _check_algorithms(digest, algorithm)
    named = der.sequence(tsa.issuer_der, der.integer(tsa.serial))
    by_key = sid[:1] != named[:1]
    again = der.sequence(
        _SIGNED_DATA,
        der.tagged(
            _EXPLICIT,
            der.sequence(
                der.integer(3),
                der.set_of(digest),
                _encapsulated(content),
                certificates or b"",
                der.set_of(
                    der.sequence(
                        der.integer(3 if by_key else 1),
                        sid if by_key else named,
                        digest,
                        attributes,
                        algorithm,
                        der.octets(der.contents_of(signature)),
                    )
                ),
            ),
        ),
    )
    if again != token:
        raise NotStrictValue("the time-stamp is written in another way than its content asks for")
    del version, digests, signer_version


def _encapsulated(content: bytes) -> bytes:
    kind, explicit = der.parts_of(content)
    (octets,) = der.parts_of(explicit)
    return der.sequence(kind, der.tagged(_EXPLICIT, der.octets(der.contents_of(octets))))


def check_ocsp_response(response: bytes, trust: Trust) -> None:
    """Return if a verified response could be no other; raises NotStrictValue."""
    try:
        _check_ocsp_response(response, trust)
    except _READ_ERRORS as error:
        raise NotStrictValue(f"an OCSP response is not written in DER: {error}") from None


def _check_ocsp_response(response: bytes, trust: Trust) -> None:
    _, explicit = der.parts_of(response)
    (typed,) = der.parts_of(explicit)
    _, octets = der.parts_of(typed)
    data, algorithm, signature, *rest = der.parts_of(der.contents_of(octets))
    known = (*trust.all_ca_certificates, *trust.all_ocsp_signers)
    around, certificates = [*known], b""
    if rest:
        (explicit_certificates,) = rest
        (listed,) = der.parts_of(explicit_certificates)
        held = _read_certificates(der.parts_of(listed))
        around = _check_certificates(held, known)
        certificates = der.tagged(_EXPLICIT, der.sequence(*(found.der for found in held)))
    _check_signed(response, around)
    _check_algorithms(algorithm)
    basic = der.sequence(data, algorithm, der.bits(der.contents_of(signature)[1:]), certificates)
    again = der.sequence(
        _SUCCESSFUL,
        der.tagged(_EXPLICIT, der.sequence(_BASIC_RESPONSE, der.octets(basic))),
    )
    if again != response:
        raise NotStrictValue("an OCSP response is written in another way than its content asks for")


def _check_algorithms(*algorithms: bytes) -> None:
    for algorithm in algorithms:
        identifier, *parameters = der.parts_of(algorithm)
        if identifier != _PSS and parameters not in ([], [der.NULL]):
            raise NotStrictValue("an algorithm has parameters that it does not take")
        if algorithm != der.sequence(identifier, *parameters):
            raise NotStrictValue("an algorithm is not written in DER")


def _read_certificates(values: Iterable[bytes]) -> list[Certificate]:
    try:
        return [read_certificate(value) for value in values]
    except IncorrectCertificate as error:
        raise NotStrictValue(f"a certificate that came along: {error.message}") from None


def _check_certificates(
    held: Sequence[Certificate], known: Sequence[Certificate]
) -> list[Certificate]:
    """The known certificates and those that came along, if all of these have to do with them."""
    around = [*known]
    waiting = [certificate for certificate in held if certificate not in known]
    while waiting:
        found = [certificate for certificate in waiting if _belongs(certificate, around)]
        if not found:
            raise NotStrictValue(f"nobody vouches for the certificate of {waiting[0].name}")
        around += found
        waiting = [certificate for certificate in waiting if certificate not in found]
    for certificate in around[len(known) :]:
        issuers = [other for other in around if other.subject_key == certificate.issuer_key]
        if issuers and not any(_has_issued(issuer, certificate) for issuer in issuers):
            raise NotStrictValue(f"{certificate.name} is not by {certificate.issuer_name}")
    return around


def _belongs(certificate: Certificate, around: Sequence[Certificate]) -> bool:
    """Whether one of the others issued it, or it issued one of them."""
    if any(_has_issued(other, certificate) for other in around):
        return True
    # Another certificate of the same authority would issue what that has issued.
    is_twin = certificate.authority in {other.authority for other in around}
    return not is_twin and any(_has_issued(certificate, other) for other in around)


def _has_issued(issuer: Certificate, certificate: Certificate) -> bool:
    try:
        certificate.check_issued_by(issuer, Strength.HISTORIC)
    except InvalidSignatureValue:
        return False
    return True


def _check_signed(response: bytes, around: Sequence[Certificate]) -> None:
    """Return if a responder that is at hand signed it; not every response is needed for a path."""
    try:
        read = read_ocsp_response(response)
    except IncorrectValidationInfo as error:
        raise NotStrictValue(error.message) from None
    for certificate in filter(read.responder.matches, around):
        with contextlib.suppress(InvalidSignatureValue):
            read.signed.check(certificate.public_key, Strength.HISTORIC)
            return
    raise NotStrictValue("nobody vouches for an OCSP response")
