"""Zip files of containers with one reading only: no byte of the file is outside of its entries.

Every header is compared with what it must be, given the names, dates, sizes and checksums of the
directory. So whoever reads by the directory, and whoever reads from the front,
see the same entries.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from sild.protocol.errors import AsicError

_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
_DESCRIPTOR = struct.Struct("<4sIII")
_END = struct.Struct("<4sHHHHIIH")
_LOCAL_MAGIC, _CENTRAL_MAGIC, _END_MAGIC = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
_DESCRIPTOR_MAGIC = b"PK\x07\x08"
_WITH_DESCRIPTOR = 0x0008
# Java's writer says that names are in UTF-8; they are ASCII in any case.
_FLAGS = frozenset({0, 0x0800, _WITH_DESCRIPTOR, 0x0800 | _WITH_DESCRIPTOR})
_DEFLATED, _VERSION = 8, 20
# The extended timestamp field, in its shortest form.
_DATE_FIELD = struct.Struct("<2sHBI")
_MOST_ENTRIES = 1_100


class NotStrictZip(AsicError):
    """A zip file that holds more than its entries, or that can be read in two ways."""

    code = "not_strict"


@dataclass(frozen=True, slots=True)
class ZipEntry:
    """An entry as the directory and its own header agree to describe it."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class _Listed:
    """An entry of the directory."""

    name: bytes
    flags: int
    date: tuple[int, int]
    crc: int
    packed: int
    size: int
    offset: int
    extra: bytes

    @property
    def header(self) -> bytes:
        """What must stand before the entry's data."""
        sums = (0, 0, 0) if self.flags & _WITH_DESCRIPTOR else self.sums
        fixed = (_LOCAL_MAGIC, _VERSION, self.flags, _DEFLATED, *self.date, *sums)
        sizes = (len(self.name), len(self.extra))
        return _LOCAL.pack(*fixed, *sizes) + self.name + self.extra

    @property
    def descriptor(self) -> bytes:
        """What must stand behind the entry's data."""
        if not self.flags & _WITH_DESCRIPTOR:
            return b""
        return _DESCRIPTOR.pack(_DESCRIPTOR_MAGIC, *self.sums)

    @property
    def sums(self) -> tuple[int, int, int]:
        """Checksum and sizes, as both headers order them."""
        return self.crc, self.packed, self.size


def read_strict_zip(data: bytes, comment: bytes) -> list[ZipEntry]:
    """The entries of an archive that holds these and its comment; raises NotStrictZip."""
    directory, count = _read_end(data, comment)
    entries = []
    place = 0
    listed = list(_read_directory(data, directory, len(data) - _END.size - len(comment)))
    if len(listed) != count:
        raise NotStrictZip("the zip file counts its entries wrongly")
    for entry in listed:
        if entry.offset != place:
            raise NotStrictZip(f"the zip file has bytes before {_name(entry)}, or entries overlap")
        start = place + len(entry.header)
        stop = start + entry.packed
        place = stop + len(entry.descriptor)
        if data[entry.offset : start] != entry.header or data[stop:place] != entry.descriptor:
            raise NotStrictZip(f"the zip file says of {_name(entry)} one thing and another")
        entries.append(ZipEntry(_name(entry), _inflate(entry, data[start:stop])))
    if place != directory:
        raise NotStrictZip("the zip file has bytes before its directory")
    return entries


def _read_end(data: bytes, comment: bytes) -> tuple[int, int]:
    """Where the directory begins, and how many entries it lists."""
    place = len(data) - _END.size - len(comment)
    if place < 0 or not data.endswith(comment):
        raise NotStrictZip(f"the zip file does not end with the comment {comment.decode('ascii')}")
    magic, disk, first_disk, here, count, size, offset, length = _END.unpack_from(data, place)
    if (magic, disk, first_disk, length) != (_END_MAGIC, 0, 0, len(comment)) or here != count:
        raise NotStrictZip("the zip file does not end as it must")
    if offset + size != place or count > _MOST_ENTRIES:
        raise NotStrictZip("the directory of the zip file is not where it must be")
    return offset, count


def _read_directory(data: bytes, place: int, end: int) -> Iterator[_Listed]:
    while place < end:
        if place + _CENTRAL.size > end:
            raise NotStrictZip("the directory of the zip file is cut short")
        fields = _CENTRAL.unpack_from(data, place)
        magic, made, needs, flags, method, time, day, crc, packed, size = fields[:10]
        name_size, extra_size, comment_size, disk, internal, external, offset = fields[10:]
        if magic != _CENTRAL_MAGIC or (comment_size, disk, internal, external) != (0, 0, 0, 0):
            raise NotStrictZip("an entry of the zip file has attributes that no server writes")
        if (made, needs, method) != (_VERSION, _VERSION, _DEFLATED) or flags not in _FLAGS:
            raise NotStrictZip("an entry of the zip file is packed as no server packs it")
        place += _CENTRAL.size
        name = data[place : place + name_size]
        extra = data[place + name_size : place + name_size + extra_size]
        place += name_size + extra_size
        _check_extra(extra)
        date = (time, day)
        yield _Listed(name, flags, date, crc, packed, size, offset, extra)
    if place != end:
        raise NotStrictZip("the directory of the zip file is longer than it says")


def _check_extra(extra: bytes) -> None:
    if not extra:
        return
    if len(extra) == _DATE_FIELD.size:
        tag, size, flags, _ = _DATE_FIELD.unpack(extra)
        if (tag, size, flags) == (b"UT", _DATE_FIELD.size - 4, 1):
            return
    raise NotStrictZip("an entry of the zip file has extra fields that no server writes")


def _inflate(entry: _Listed, packed: bytes) -> bytes:
    unpacking = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        data = unpacking.decompress(packed, entry.size + 1)
    except zlib.error as error:
        raise NotStrictZip(f"{_name(entry)} cannot be unpacked: {error}") from None
    if not unpacking.eof or unpacking.unused_data or len(data) != entry.size:
        raise NotStrictZip(f"{_name(entry)} has bytes behind its packed data, or another size")
    if zlib.crc32(data) != entry.crc:
        raise NotStrictZip(f"{_name(entry)} has another checksum")
    return data


def _name(entry: _Listed) -> str:
    return entry.name.decode("ascii", "backslashreplace")
