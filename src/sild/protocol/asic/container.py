"""Read and write ASiC-E containers: the zip archives in which signed messages are kept.

They are written as the reference writes them, which is not quite as ASiC-E says: the mimetype is
compressed like all else, and the comment of the archive repeats it.
"""

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sild.protocol.algorithms import DigestAlgorithm
from sild.protocol.asic.manifests import write_asic_manifest, write_manifest
from sild.protocol.errors import (
    AsicError,
    AsicHashChainNotFound,
    AsicHashChainResultNotFound,
    AsicInvalidMimeType,
    AsicManifestNotFound,
    AsicMessageNotFound,
    AsicMimeTypeNotFound,
    AsicSignatureNotFound,
    AsicTimestampNotFound,
    InvalidXml,
    MalformedSignature,
)
from sild.protocol.safexml import get_child, read_xml, sub_element, write_xml
from sild.protocol.signature.base64text import encode_base64
from sild.protocol.signature.names import (
    MESSAGE,
    SIG_HASH_CHAIN,
    SIG_HASH_CHAIN_RESULT,
    SIGNATURES,
    TS_HASH_CHAIN,
    TS_HASH_CHAIN_RESULT,
    is_attachment,
)

MIME_TYPE = b"application/vnd.etsi.asic-e+zip"
ARCHIVE_COMMENT = b"mimetype=" + MIME_TYPE
MANIFEST_ENTRY = "META-INF/manifest.xml"

_MIMETYPE_ENTRY = "mimetype"
_ASIC_MANIFEST = "META-INF/ASiCManifest.xml"
_TIMESTAMP = "META-INF/timestamp.tst"
_XADES = "{http://uri.etsi.org/01903/v1.3.2#}"
_DS = "{http://www.w3.org/2000/09/xmldsig#}"

_LOCAL_HEADER = struct.Struct("<4s2xHHxxxxIIIHH")
_LOCAL_MAGIC, _DESCRIPTOR_MAGIC = b"PK\x03\x04", b"PK\x07\x08"
_SUMS = struct.Struct("<III")
_ENCRYPTED, _WITH_DESCRIPTOR = 0x0001, 0x0008
# Compressed text may shrink a great deal as long as it stays small.
_SMALL = 1_000_000
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ -]*(?:/[A-Za-z0-9][A-Za-z0-9._ -]*)*/?")
_ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    OSError,
    RuntimeError,
    struct.error,
    ValueError,
)


@dataclass(frozen=True, slots=True)
class ContainerLimits:
    """How much of a container is read: entries, bytes of all entries, unpacked to packed."""

    entries: int = 1_100
    size: int = 256_000_000
    ratio: int = 200


_DEFAULT_LIMITS = ContainerLimits()


@dataclass(frozen=True, slots=True)
class Container:
    """A signed message with all that proves it, each as its exact bytes.

    A time-stamp for several messages stands here with its own hash chain; one for this message
    alone is inside the signature.
    """

    message: bytes
    signature: bytes
    hash_chain_result: bytes | None = None
    hash_chain: bytes | None = None
    timestamp: bytes | None = None
    """The time-stamp token in DER."""
    timestamp_hash_chain_result: bytes | None = None
    timestamp_hash_chain: bytes | None = None
    attachments: Mapping[str, bytes] = field(default_factory=dict)
    """By name, such as /attachment1."""

    def __post_init__(self) -> None:
        if not self.message.strip():
            raise AsicMessageNotFound("the container has no message.xml")
        if not self.signature.strip():
            raise AsicSignatureNotFound("the container has no META-INF/signatures.xml")
        _check_pair(self.hash_chain_result, self.hash_chain)
        if self.timestamp is not None and not self.timestamp:
            raise AsicTimestampNotFound("the container has an empty META-INF/timestamp.tst")
        _check_pair(self.timestamp_hash_chain_result, self.timestamp_hash_chain)
        for name in self.attachments:
            if not is_attachment(name):
                raise AsicError(f"{name!r} is no name of an attachment")

    @property
    def documents(self) -> dict[str, bytes]:
        """All that a hash chain or a signature may refer to, by the name it has there."""
        named = {
            MESSAGE: self.message,
            SIGNATURES: self.signature,
            SIG_HASH_CHAIN_RESULT: self.hash_chain_result,
            SIG_HASH_CHAIN: self.hash_chain,
            TS_HASH_CHAIN_RESULT: self.timestamp_hash_chain_result,
            TS_HASH_CHAIN: self.timestamp_hash_chain,
            **self.attachments,
        }
        return {name: data for name, data in named.items() if data is not None}


def _check_pair(result: bytes | None, chain: bytes | None) -> None:
    if result is None and chain is None:
        return
    if not (result or b"").strip():
        raise AsicHashChainResultNotFound("the container has a hash chain without its result")
    if not (chain or b"").strip():
        raise AsicHashChainNotFound("the container has a hash chain result without its chain")


def write_container(container: Container, date: datetime) -> bytes:
    """The archive; the same container and date always give the same bytes."""
    entries = entries_of(container)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = ARCHIVE_COMMENT
        for name, data in entries.items():
            header = entry_header(name, date)
            archive.writestr(header, data)
            # Permissions of a Unix file have no place in evidence; writing puts them in.
            header.external_attr = 0
    return out.getvalue()


def entries_of(container: Container) -> dict[str, bytes]:
    """What is written of a container: the content of each entry by its name, in order."""
    documents = {name.removeprefix("/"): data for name, data in container.documents.items()}
    attachments = {name.removeprefix("/"): data for name, data in container.attachments.items()}
    files = [n for n in documents if not n.startswith("META-INF/") and n not in attachments]
    entries = {_MIMETYPE_ENTRY: MIME_TYPE}
    entries |= {name: data for name, data in documents.items() if name not in attachments}
    entries[MANIFEST_ENTRY] = write_manifest(files, attachments)
    result = container.timestamp_hash_chain_result
    if result is not None:
        digest = DigestAlgorithm.SHA512.digest(result)
        entries[_ASIC_MANIFEST] = write_asic_manifest(
            _TIMESTAMP, TS_HASH_CHAIN_RESULT.removeprefix("/"), digest
        )
    if container.timestamp is not None:
        entries[_TIMESTAMP] = container.timestamp
    return entries | attachments


_FIRST_DATE = datetime(1980, 1, 1, tzinfo=UTC)
_LAST_DATE = datetime(2105, 12, 31, tzinfo=UTC)


def entry_header(name: str, date: datetime) -> zipfile.ZipInfo:
    """How an entry of this name and date is written; ZIP knows no other years than these."""
    date = min(max(date.astimezone(UTC), _FIRST_DATE), _LAST_DATE)
    day, clock = (date.year, date.month, date.day), (date.hour, date.minute, date.second)
    header = zipfile.ZipInfo(name, (*day, *clock))
    header.compress_type = zipfile.ZIP_DEFLATED
    header.create_system = 0
    # The extended timestamp field, since the plain one has no time zone.
    header.extra = struct.pack("<2sHBI", b"UT", 5, 1, int(date.timestamp()))
    return header


def read_container(data: bytes, limits: ContainerLimits = _DEFAULT_LIMITS) -> Container:
    """The container in an archive; raises AsicError."""
    return _to_container(read_entries(data, limits))


def _to_container(entries: Mapping[str, bytes]) -> Container:
    mime_type = entries.get(_MIMETYPE_ENTRY, b"")
    if not mime_type.strip():
        raise AsicMimeTypeNotFound("the container has no mimetype")
    if mime_type.lower() != MIME_TYPE:
        raise AsicInvalidMimeType(f"the container has the mimetype {mime_type[:100]!r}")
    for manifest in (MANIFEST_ENTRY, _ASIC_MANIFEST):
        if not entries.get(manifest, b"-").strip():
            raise AsicManifestNotFound(f"the container has an empty {manifest}")
    return Container(
        message=entries.get("message.xml", b""),
        signature=entries.get("META-INF/signatures.xml", b""),
        hash_chain_result=entries.get("sig-hashchainresult.xml"),
        hash_chain=entries.get("sig-hashchain.xml"),
        timestamp=entries.get(_TIMESTAMP),
        timestamp_hash_chain_result=entries.get("ts-hashchainresult.xml"),
        timestamp_hash_chain=entries.get("ts-hashchain.xml"),
        attachments={
            f"/{name}": entry for name, entry in entries.items() if is_attachment(f"/{name}")
        },
    )


def read_entries(data: bytes, limits: ContainerLimits = _DEFAULT_LIMITS) -> dict[str, bytes]:
    """All entries of a container by their names, in the order of its directory.

    Raises AsicError.
    """
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except _ZIP_ERRORS as error:
        # The reference reads such a file as an archive without entries.
        raise AsicMimeTypeNotFound(f"the container is no zip archive: {error}") from None
    try:
        with archive:
            headers = _checked_headers(archive, limits)
            starts = _find_starts(data, headers, archive.start_dir)
            return {
                header.filename: _read_entry(data[start : start + header.compress_size], header)
                for header, start in zip(headers, starts, strict=True)
                if not header.is_dir()
            }
    except _ZIP_ERRORS as error:
        raise AsicError(f"the container cannot be read: {error}") from None


def _checked_headers(archive: zipfile.ZipFile, limits: ContainerLimits) -> list[zipfile.ZipInfo]:
    headers = archive.infolist()
    if len(headers) > limits.entries:
        raise AsicError(f"a container with {len(headers)} entries")
    if len({header.filename.lower() for header in headers}) != len(headers):
        raise AsicError("two entries of the container have one name")
    if sum(header.file_size for header in headers) > limits.size:
        raise AsicError(f"the entries of the container take more than {limits.size} bytes")
    for header in headers:
        _check_header(header, limits)
    return headers


def _check_header(header: zipfile.ZipInfo, limits: ContainerLimits) -> None:
    name = header.filename
    if not _PLAIN_NAME.fullmatch(name) or name != header.orig_filename:
        raise AsicError(f"an entry of the container has the name {name[:100]!r}")
    if header.flag_bits & _ENCRYPTED:
        raise AsicError(f"{name} is encrypted")
    if header.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise AsicError(f"{name} is compressed by a method that is not accepted")
    if header.file_size > max(_SMALL, header.compress_size * limits.ratio):
        raise AsicError(f"{name} would unpack to {header.file_size} bytes")


def _find_starts(data: bytes, headers: list[zipfile.ZipInfo], directory: int) -> list[int]:
    try:
        return _check_layout(data, headers, directory)
    except AsicError:
        _check_front(data, headers)
        raise


def _check_front(data: bytes, headers: list[zipfile.ZipInfo]) -> None:
    """Raise what the reference says, which goes by the entries' own headers, if it misses any."""
    found = {}
    for header in sorted(headers, key=lambda header: header.header_offset):
        magic, *_, size, _ = _LOCAL_HEADER.unpack_from(data, header.header_offset)
        if magic != _LOCAL_MAGIC:
            break
        place = header.header_offset + _LOCAL_HEADER.size
        found[data[place : place + size].decode("ascii", "replace")] = MIME_TYPE
    _to_container(found)


def _check_layout(data: bytes, headers: list[zipfile.ZipInfo], directory: int) -> list[int]:
    """Where the data of each entry begins, if the entries fill the archive as they are listed.

    Readers that do not go by the directory would otherwise see other entries than we do, so the
    header of each entry must agree with the directory. Raises AsicError.
    """
    starts = {}
    end = 0
    for header in sorted(headers, key=lambda header: header.header_offset):
        offset = header.header_offset
        if offset != end:
            raise AsicError("the container has bytes between its entries, or entries overlap")
        start = starts[header.filename] = _check_own_header(data, header)
        end = start + header.compress_size + _descriptor_size(data, header, start)
    if directory != end:
        raise AsicError("the container has bytes before its directory")
    return [starts[header.filename] for header in headers]


def _check_own_header(data: bytes, header: zipfile.ZipInfo) -> int:
    """Where the data of an entry begins, if its own header says what the directory says."""
    fields: tuple[bytes, int, int, int, int, int, int, int] = _LOCAL_HEADER.unpack_from(
        data, header.header_offset
    )
    magic, flags, method, *sums, name_size, extra_size = fields
    place = header.header_offset + _LOCAL_HEADER.size
    listed = header.flag_bits & (_ENCRYPTED | _WITH_DESCRIPTOR)
    found = (magic, data[place : place + name_size], method)
    expected = (_LOCAL_MAGIC, header.filename.encode("ascii"), header.compress_type)
    if found != expected or flags & (_ENCRYPTED | _WITH_DESCRIPTOR) != listed:
        raise AsicError(f"the container says of {header.filename} one thing and another")
    if not listed & _WITH_DESCRIPTOR and tuple(sums) != _sums(header):
        raise AsicError(f"{header.filename} has another size or checksum than is listed")
    return place + name_size + extra_size


def _descriptor_size(data: bytes, header: zipfile.ZipInfo, start: int) -> int:
    """The bytes behind the data of an entry that repeat its sizes and checksum."""
    if not header.flag_bits & _WITH_DESCRIPTOR:
        return 0
    place = start + header.compress_size
    magic = _DESCRIPTOR_MAGIC if data[place : place + 4] == _DESCRIPTOR_MAGIC else b""
    descriptor = magic + _SUMS.pack(*_sums(header))
    if data[place : place + len(descriptor)] != descriptor:
        raise AsicError(f"{header.filename} has another size or checksum than is listed")
    return len(descriptor)


def _sums(header: zipfile.ZipInfo) -> tuple[int, int, int]:
    return header.CRC, header.compress_size, header.file_size


def _read_entry(packed: bytes, header: zipfile.ZipInfo) -> bytes:
    data = packed
    if header.compress_type == zipfile.ZIP_DEFLATED:
        unpacking = zlib.decompressobj(-zlib.MAX_WBITS)
        data = unpacking.decompress(packed, header.file_size + 1)
        if not unpacking.eof or unpacking.unused_data:
            raise AsicError(f"{header.filename} has another size than it says")
    if len(data) != header.file_size:
        raise AsicError(f"{header.filename} has another size than it says")
    if zlib.crc32(data) != header.CRC:
        raise AsicError(f"{header.filename} has another checksum than it says")
    return data


# As peers write it, with no line end that nobody would miss.
_SIGNATURE_DECLARATION = b'<?xml version="1.0" encoding="UTF-8" standalone="no"?>'


def with_signature_timestamp(signature: bytes, token: bytes) -> bytes:
    """The signature document with a time-stamp token over its value, in DER, inside.

    Raises InvalidXml, MalformedSignature.
    """
    root = read_xml(signature)
    try:
        properties = root if root.tag == _DS + "Signature" else get_child(root, _DS + "Signature")
        for name in (
            _DS + "Object",
            _XADES + "QualifyingProperties",
            _XADES + "UnsignedProperties",
            _XADES + "UnsignedSignatureProperties",
        ):
            properties = get_child(properties, name)
    except InvalidXml as error:
        raise MalformedSignature(f"no place for a time-stamp: {error}") from None
    timestamp = sub_element(properties, _XADES + "SignatureTimeStamp")
    text = encode_base64(token).decode("ascii")
    sub_element(timestamp, _XADES + "EncapsulatedTimeStamp", text)
    properties.insert(0, timestamp)
    return _SIGNATURE_DECLARATION + write_xml(root, declaration=False)
