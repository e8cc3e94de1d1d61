"""The signed directory of a global configuration: read, verified, and written for signing.

PR-GCONF 2.3: a MIME entity of two parts, the directory and its signature. The signature covers
the body of the first part exactly as it lies, so nothing in that body is looked at before the
signature over it holds. PR-GCONF 2.4: the directory names files by location and digest.
"""

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from urllib.parse import unquote_to_bytes

from sild.protocol.algorithms import DigestAlgorithm, SignatureAlgorithm, UnsupportedAlgorithm
from sild.protocol.errors import (
    GlobalConfExpiredDirectory,
    GlobalConfMissingExpirationDate,
    GlobalConfMissingSignature,
    GlobalConfMissingVerificationCert,
    GlobalConfSignatureFailure,
    InvalidSignatureValue,
    MalformedGlobalConf,
)
from sild.protocol.globalconf.multipart import (
    Entity,
    read_entity,
    read_multipart,
    read_parameters,
    write_headers,
    write_multipart,
)
from sild.protocol.pki.certificate import Certificate

SUPPORTED_VERSIONS = (6, 5, 4, 3, 2)

_SIZE_LIMIT = 1024 * 1024
_PART_LIMIT = 1000
_LOCATION_LIMIT = 1024
_WEAK = frozenset({DigestAlgorithm.SHA1})
# A relative path, too, but none whose first segment would be read as a scheme.
_LOCATION = re.compile(r"(?:/|(?![^/]*:))[A-Za-z0-9._~!$&'()*+,;=:@%/-]+")
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?(?:Z|[+-][0-9]{2}:[0-9]{2})"
)
_BINARY = "application/octet-stream"


class PartKind(Enum):
    """The parts that have a meaning here, by content identifier (PR-GCONF 2.5)."""

    SHARED_PARAMETERS = "SHARED-PARAMETERS"
    PRIVATE_PARAMETERS = "PRIVATE-PARAMETERS"
    MONITORING = "MONITORING"
    FETCHINTERVAL = "FETCHINTERVAL"
    NEXTUPDATE = "NEXTUPDATE"

    @property
    def file_name(self) -> str:
        """The file that holds such a part, in publications and in copies of them."""
        return _FILE_NAMES[self]


_FILE_NAMES = {
    PartKind.SHARED_PARAMETERS: "shared-params.xml",
    PartKind.PRIVATE_PARAMETERS: "private-params.xml",
    PartKind.MONITORING: "monitoring-params.xml",
    PartKind.FETCHINTERVAL: "fetchinterval-params.xml",
    PartKind.NEXTUPDATE: "nextupdate-params.xml",
}


@dataclass(frozen=True, slots=True)
class Part:
    """One file that the directory names: what it is, where it is, and its digest."""

    identifier: str
    instance: str
    location: str
    algorithm: DigestAlgorithm
    digest: bytes

    @property
    def kind(self) -> PartKind | None:
        """Its meaning here, if it has one: sources are free to add parts of their own."""
        return _KINDS.get(self.identifier)

    def is_of(self, content: bytes) -> bool:
        """Whether the content is the file meant."""
        return self.algorithm.digest(content) == self.digest


_KINDS = {kind.value: kind for kind in PartKind}


@dataclass(frozen=True, slots=True)
class DirectoryContents:
    """What a directory says; a moment of expiry is aware and in UTC."""

    version: int
    expires: datetime
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Directory(DirectoryContents):
    """A directory whose signature was verified, and by which certificate."""

    signer: Certificate


@dataclass(frozen=True, slots=True)
class UnverifiedDirectory:
    """The signed bytes of a directory that nobody has looked into, and their signature."""

    signed: bytes
    content_type: str
    signature: bytes
    algorithm: SignatureAlgorithm
    certificate_digest: bytes
    certificate_digest_algorithm: DigestAlgorithm


def read_directory(data: bytes) -> UnverifiedDirectory:
    """The envelope of a signed directory.

    Without a second part, nothing is signed and no date of expiry is known, which is the error
    that the reference implementation reports.
    """
    if len(data) > _SIZE_LIMIT:
        raise MalformedGlobalConf(f"a directory of {len(data)} bytes is over {_SIZE_LIMIT}")
    whole = read_entity(data)
    content_type = whole.get("content-type")
    envelope = read_multipart(whole.body, content_type, "multipart/related")
    if len(envelope.parts) == 1:
        raise GlobalConfMissingExpirationDate("the directory is not signed, nor its expiry known")
    if len(envelope.parts) != 2 or not envelope.closed:
        raise MalformedGlobalConf(
            f"a signed directory has two parts and an end, this has {len(envelope.parts)} parts"
        )
    contents, signature = envelope.parts
    _check_encoding(signature)
    value, parameters = read_parameters(signature.get("verification-certificate-hash"))
    return UnverifiedDirectory(
        signed=contents.body,
        content_type=contents.get("content-type"),
        signature=_read_signature(signature),
        algorithm=_signature_algorithm(signature.get("signature-algorithm-id")),
        certificate_digest=_from_base64(value.encode("utf-8")),
        certificate_digest_algorithm=_digest_algorithm(parameters.get("hash-algorithm-id", "")),
    )


def _read_signature(part: Entity) -> bytes:
    if not (signature := _from_base64(part.body)):
        raise GlobalConfMissingSignature("the signature of the directory is empty")
    return signature


def _check_encoding(part: Entity) -> None:
    # The reference implementation compares both exactly.
    part.check("content-type", _BINARY)
    part.check("content-transfer-encoding", "base64")


def _signature_algorithm(uri: str) -> SignatureAlgorithm:
    try:
        algorithm = SignatureAlgorithm.from_uri(uri)
    except UnsupportedAlgorithm as error:
        raise MalformedGlobalConf(error.message) from None
    if algorithm.digest_algorithm in _WEAK:
        raise MalformedGlobalConf(f"signatures with {algorithm.name} are no longer accepted")
    return algorithm


def _digest_algorithm(uri: str) -> DigestAlgorithm:
    try:
        algorithm = DigestAlgorithm.from_uri(uri)
    except UnsupportedAlgorithm as error:
        raise MalformedGlobalConf(error.message) from None
    if algorithm in _WEAK:
        raise MalformedGlobalConf(f"digests with {algorithm.text} are no longer accepted")
    return algorithm


def _from_base64(text: bytes) -> bytes:
    try:
        return base64.b64decode(b"".join(text.split()), validate=True)
    except binascii.Error:
        raise MalformedGlobalConf(f"{text[:40]!r} is not base64") from None


def verify_directory(
    unverified: UnverifiedDirectory, certificates: Iterable[Certificate], at: datetime
) -> Directory:
    """The directory, if one of the certificates signed it and it is not expired.

    Of a certificate nothing but the public key counts (PR-GCONF 2.2).

    Raises GlobalConfMissingVerificationCert, GlobalConfSignatureFailure, MalformedGlobalConf,
    GlobalConfMissingExpirationDate and GlobalConfExpiredDirectory, in this order.
    """
    signer = _find_signer(unverified, certificates)
    try:
        unverified.algorithm.verify(signer.public_key, unverified.signature, unverified.signed)
    except InvalidSignatureValue as error:
        raise GlobalConfSignatureFailure(f"the directory: {error.message}") from None
    contents = _read_contents(unverified)
    if at > contents.expires:
        raise GlobalConfExpiredDirectory(f"the directory expired at {contents.expires:%FT%TZ}")
    return Directory(contents.version, contents.expires, contents.parts, signer)


def _find_signer(
    unverified: UnverifiedDirectory, certificates: Iterable[Certificate]
) -> Certificate:
    algorithm = unverified.certificate_digest_algorithm
    for certificate in certificates:
        if algorithm.digest(certificate.der) == unverified.certificate_digest:
            return certificate
    wanted = base64.b64encode(unverified.certificate_digest).decode("ascii")
    raise GlobalConfMissingVerificationCert(
        f"no trusted certificate has the {algorithm.text} digest {wanted} of the one that signed"
    )


def _read_contents(unverified: UnverifiedDirectory) -> DirectoryContents:
    entities = read_multipart(unverified.signed, unverified.content_type, "multipart/mixed").parts
    if not entities or not entities[0].headers.get("expire-date"):
        raise GlobalConfMissingExpirationDate("the first entry of the directory has no Expire-date")
    if len(entities) > _PART_LIMIT:
        raise MalformedGlobalConf(f"a directory of {len(entities)} parts is over {_PART_LIMIT}")
    head, *files = entities
    parts = tuple(_read_part(file) for file in files)
    if len({(part.identifier, part.instance) for part in parts if part.kind}) != sum(
        part.kind is not None for part in parts
    ):
        raise MalformedGlobalConf("the directory names two files for one part")
    return DirectoryContents(
        version=_read_version(head.headers.get("version", "2")),
        expires=_read_moment(head.get("expire-date")),
        parts=parts,
    )


def _read_version(text: str) -> int:
    if text not in {str(version) for version in SUPPORTED_VERSIONS}:
        raise MalformedGlobalConf(f"version {text!r} of the configuration is not supported")
    return int(text)


def _read_moment(text: str) -> datetime:
    try:
        if _MOMENT.fullmatch(text):
            return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise MalformedGlobalConf(f"the Expire-date {text!r} is not a moment")


def _read_part(entity: Entity) -> Part:
    _check_encoding(entity)
    identifier, parameters = read_parameters(entity.headers.get("content-identifier", ""))
    instance = parameters.get("instance", "")
    if identifier in _KINDS and (not instance or instance.isspace()):
        raise MalformedGlobalConf(f"the part {identifier} does not say of which instance it is")
    algorithm = _digest_algorithm(entity.get("hash-algorithm-id"))
    digest = _from_base64(entity.body)
    if len(digest) != algorithm.size:
        raise MalformedGlobalConf(f"the digest of the part {identifier} has {len(digest)} bytes")
    location = entity.get("content-location")
    check_location(location)
    return Part(identifier, instance, location, algorithm, digest)


def check_location(location: str) -> None:
    """Raise MalformedGlobalConf unless this is a plain path on the server of the directory.

    PR-GCONF 2.4 allows any URL. Nobody publishes parts elsewhere, and another host, a query or a
    path that climbs is only ever an attack.
    """
    if len(location) > _LOCATION_LIMIT or not _LOCATION.fullmatch(location):
        raise MalformedGlobalConf(f"{location[:200]!r} is not a location on the same server")
    for segment in location.removeprefix("/").split("/"):
        if not _is_plain_segment(unquote_to_bytes(segment)):
            raise MalformedGlobalConf(f"the location {location!r} leaves its directory")


def _is_plain_segment(name: bytes) -> bool:
    """Whether a decoded name means nothing else to whoever decodes it again, or less strictly."""
    try:
        name.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return name not in {b"", b".", b".."} and not re.search(rb"[/\\%\x00-\x1f\x7f]", name)


@dataclass(frozen=True, slots=True)
class Boundaries:
    """The two boundaries of a directory that is written: each 20 random letters and digits."""

    envelope: str
    contents: str


@dataclass(frozen=True, slots=True)
class UnsignedDirectory:
    """A directory that waits for its signature over `to_sign`."""

    to_sign: bytes
    certificate: Certificate
    algorithm: SignatureAlgorithm
    boundaries: Boundaries
    certificate_digest: DigestAlgorithm = DigestAlgorithm.SHA512

    @property
    def digest_to_sign(self) -> bytes:
        """The digest of what is to be signed, by the signature's own algorithm."""
        return self.algorithm.digest_algorithm.digest(self.to_sign)

    def finish(self, signature: bytes) -> bytes:
        """The whole MIME entity; an ECDSA signature is given in DER."""
        mixed = f"multipart/mixed; charset=UTF-8; boundary={self.boundaries.contents}"
        related = f"multipart/related; charset=UTF-8; boundary={self.boundaries.envelope}"
        hashed = self.certificate_digest
        digest = base64.b64encode(hashed.digest(self.certificate.der)).decode("ascii")
        headers = (
            ("Content-Type", _BINARY),
            ("Content-Transfer-Encoding", "base64"),
            ("Signature-Algorithm-Id", self.algorithm.uri),
            ("Verification-certificate-hash", f'{digest}; hash-algorithm-id="{hashed.uri}"'),
        )
        first = write_headers([("Content-Type", mixed)]) + b"\r\n" + self.to_sign
        second = write_headers(headers) + b"\r\n" + base64.b64encode(signature)
        return (
            write_headers([("Content-Type", related)])
            + b"\r\n"
            + write_multipart((first, second), self.boundaries.envelope)
        )


def prepare_directory(
    contents: DirectoryContents,
    certificate: Certificate,
    algorithm: SignatureAlgorithm,
    boundaries: Boundaries,
    certificate_digest: DigestAlgorithm = DigestAlgorithm.SHA512,
) -> UnsignedDirectory:
    """The directory as a central server writes it, for the certificate's key to sign."""
    head = write_headers(
        [("Expire-date", f"{contents.expires:%FT%TZ}"), ("Version", str(contents.version))]
    )
    parts = (_write_part(part) for part in contents.parts)
    signed = write_multipart((head, *parts), boundaries.contents)
    return UnsignedDirectory(signed, certificate, algorithm, boundaries, certificate_digest)


def _write_part(part: Part) -> bytes:
    check_location(part.location)
    if re.search(r"[;'\"\x00-\x1f\x7f]", part.identifier + part.instance):
        raise MalformedGlobalConf(f"no part can be named for {part.identifier} {part.instance!r}")
    headers = (
        ("Content-type", _BINARY),
        ("Content-transfer-encoding", "base64"),
        ("Content-identifier", f"{part.identifier}; instance='{part.instance}'"),
        ("Content-location", part.location),
        ("Hash-algorithm-id", part.algorithm.uri),
    )
    return write_headers(headers) + b"\r\n" + base64.b64encode(part.digest)
