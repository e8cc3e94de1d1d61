"""A request with its proofs as multipart: signatures, certificates, OCSP (PR-MSERV 2.1, 2.3)."""

from collections.abc import Mapping
from dataclasses import dataclass

from sild.protocol.algorithms import DigestAlgorithm, SignatureAlgorithm, UnsupportedAlgorithm
from sild.protocol.errors import InvalidContentType, InvalidRequest, MissingSoap, ProtocolError
from sild.protocol.management.codec import MANAGEMENT_LIMITS
from sild.protocol.mime import (
    MultipartWriter,
    PartHeaders,
    boundary_of,
    media_type_of,
    split_parts,
)
from sild.protocol.soap.http_headers import SOAP_TYPES
from sild.protocol.soap.message import SoapMessage, read_soap

LARGEST_BODY = MANAGEMENT_LIMITS.size

MULTIPART = "multipart/related"
SOAP_TYPE = "text/xml; charset=UTF-8"
BINARY = "application/octet-stream"
# Peers look for it in lower case only, and the specification writes `-ID`.
ALGORITHM_HEADER = "signature-algorithm-id"
_MOST_PARTS = 6

# SHA-1 is known to peers, too, and refused here: what it signed proves nothing any more.
_ALGORITHMS: Mapping[str, SignatureAlgorithm] = {
    each.jca_name.lower(): each
    for each in SignatureAlgorithm
    if each.digest_algorithm is not DigestAlgorithm.SHA1
}


class UnexpectedContent(ProtocolError):
    """A part behind those that a request may have."""


@dataclass(frozen=True, slots=True)
class RequestSignature:
    """A signature over the bytes of the SOAP message; ECDSA values are DER."""

    algorithm: SignatureAlgorithm
    value: bytes


@dataclass(frozen=True, slots=True)
class MemberProof:
    """That a member asks: its signature, signing certificate and OCSP response, both DER."""

    signature: RequestSignature
    certificate: bytes
    ocsp: bytes


@dataclass(frozen=True, slots=True)
class PossessionProof:
    """That the server has the key: its signature, and the authentication certificate (DER)."""

    signature: RequestSignature
    certificate: bytes


@dataclass(frozen=True, slots=True)
class RequestPart:
    """A part behind the SOAP message."""

    headers: PartHeaders
    data: bytes


@dataclass(frozen=True, slots=True)
class RequestPackage:
    """A request as it came: its message, and the parts behind it, not looked at yet."""

    message: SoapMessage
    parts: tuple[RequestPart, ...] = ()


def read_package(data: bytes, content_type: str) -> RequestPackage:
    """The message and the parts of a request.

    Raises InvalidContentType, MimeParsingFailed, MissingSoap, UnexpectedContent, what `read_soap`
    raises, and InvalidRequest for a body that is too long.
    """
    if len(data) > LARGEST_BODY:
        raise InvalidRequest(f"a management request of more than {LARGEST_BODY} bytes")
    media_type = media_type_of(content_type)
    if media_type in SOAP_TYPES:
        return RequestPackage(read_soap(data, content_type, MANAGEMENT_LIMITS))
    if media_type != MULTIPART:
        raise InvalidContentType(f"{media_type} is no content type of a management request")
    parts = [
        RequestPart(headers, data[start:end])
        for headers, start, end in split_parts(data, boundary_of(content_type))
    ]
    if not parts:
        raise MissingSoap("the request has no parts")
    if len(parts) > _MOST_PARTS:
        raise UnexpectedContent("unexpected content in the multipart body")
    for part in parts:
        if not part.headers.content_type:
            raise InvalidContentType("a part of the request has no content type")
    first, *others = parts
    message = read_soap(first.data, first.headers.content_type, MANAGEMENT_LIMITS)
    return RequestPackage(message, tuple(others))


@dataclass(frozen=True, slots=True)
class Proofs:
    """The proofs of a signed request; only an authCertReg proves possession of a key."""

    member: MemberProof
    possession: PossessionProof | None = None


def read_member_proof(package: RequestPackage) -> Proofs:
    """The proof of a request that a member signs: signature, certificate, OCSP.

    Raises InvalidRequest for what is missing, UnexpectedContent for what is too much.
    """
    signature, certificate, ocsp = _exactly(
        package, "client signature", "client certificate", "client certificate OCSP"
    )
    return Proofs(MemberProof(_signature(signature), certificate.data, ocsp.data))


def read_registration_proofs(package: RequestPackage) -> Proofs:
    """The proofs of an authCertReg: two signatures, two certificates, OCSP.

    Raises what `read_member_proof` does.
    """
    possession, owner, auth_certificate, certificate, ocsp = _exactly(
        package,
        "auth signature",
        "owner signature",
        "auth certificate",
        "owner certificate",
        "owner certificate OCSP",
    )
    return Proofs(
        MemberProof(_signature(owner), certificate.data, ocsp.data),
        PossessionProof(_signature(possession), auth_certificate.data),
    )


def _exactly(package: RequestPackage, *names: str) -> tuple[RequestPart, ...]:
    if len(package.parts) > len(names):
        raise UnexpectedContent("unexpected content in the multipart body")
    for name, part in zip(names, (*package.parts, *(None for _ in names)), strict=False):
        if part is None or not part.data:
            raise InvalidRequest(f"{name} is missing")
    return package.parts


def _signature(part: RequestPart) -> RequestSignature:
    found = [value for name, value in part.headers.others if name.lower() == ALGORITHM_HEADER]
    if len(found) != 1:
        raise InvalidRequest("a signature does not say its algorithm, or says several")
    algorithm = _ALGORITHMS.get(found[0].strip().lower())
    if algorithm is None:
        raise UnsupportedAlgorithm(f"the signature algorithm {found[0][:40]!r} is not supported")
    return RequestSignature(algorithm, part.data)


def package_type(boundary: str) -> str:
    """The content type of a package, as peers write it."""
    return f'{MULTIPART}; type="{BINARY}"; charset=UTF-8; boundary={boundary}'


def write_package(soap: bytes, proofs: Proofs | None, boundary: str) -> bytes:
    """The body of a signed request; without proofs, of a dry run that only asks who answers."""
    writer = MultipartWriter(boundary)
    body = [writer.start_part(SOAP_TYPE), soap]
    if proofs is not None:
        member, possession = proofs.member, proofs.possession
        signatures = [*([possession.signature] if possession else []), member.signature]
        certificates = [*([possession.certificate] if possession else []), member.certificate]
        for signature in signatures:
            name = (ALGORITHM_HEADER, signature.algorithm.jca_name)
            body += [writer.start_part(BINARY, (name,)), signature.value]
        for content in (*certificates, member.ocsp):
            body += [writer.start_part(BINARY), content]
    return b"".join([*body, writer.close()])
