"""The tar of a backup is read, and what a hostile one tries is refused."""

import contextlib
import gzip
import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.takeover.builders import LABEL, label_header, tar_of
from sild.components.takeover.archive import ArchiveLimits, read_entries, read_whole
from sild.components.takeover.errors import BackupUnreadable

FILES = {"etc/xroad/a": b"one", "etc/xroad/b": b"x" * 5000, "etc/xroad/empty": b""}


def read(data, **limits):
    entries = read_entries(io.BytesIO(data), ArchiveLimits(**limits))
    return [(each.name, read_whole(each, 10**6) if each.is_file else None) for each in entries]


def entry(name, kind=tarfile.REGTYPE, content=b"", **fields):
    made = tarfile.TarInfo(name)
    made.type = kind
    made.size = len(content)
    for field, value in fields.items():
        setattr(made, field, value)
    return made, content


def test_entries_are_read_in_order():
    assert read(tar_of(FILES)) == [(LABEL, None), *FILES.items()]


def test_content_that_nobody_reads_is_skipped():
    names = [each.name for each in read_entries(io.BytesIO(tar_of(FILES)), ArchiveLimits())]
    assert names == [LABEL, *FILES]


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
def test_every_form_of_tar_is_read(form):
    packed = io.BytesIO()
    name = "etc/xroad/" + "d/" * 50 + "f" * 60
    long = name if form == tarfile.USTAR_FORMAT else name + "ü" * 100
    made, content = entry(long, content=b"x")
    with tarfile.open(fileobj=packed, mode="w", format=form) as archive:
        archive.addfile(made, io.BytesIO(content))
    assert read(packed.getvalue()) == [(long, b"x")]


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../x", "etc/../../x", "etc/xroad/..", "a\nb", "a\x7fb"]
)
def test_a_name_that_leads_elsewhere_is_refused(name):
    with pytest.raises(BackupUnreadable):
        read(tar_of({name: b"x"}))


@pytest.mark.parametrize(
    "kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE, b"M"]
)
def test_what_is_no_file_directory_or_link_is_refused(kind):
    with pytest.raises(BackupUnreadable, match="neither a file"):
        read(tar_of({}, extra=[entry("etc/xroad/x", kind)]))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE])
def test_links_and_directories_are_no_files(kind):
    found = read(tar_of({}, extra=[entry("etc/xroad/x", kind, linkname="/etc/shadow")]))
    assert [(name.rstrip("/"), content) for name, content in found[1:]] == [("etc/xroad/x", None)]


@pytest.mark.parametrize("cut", [100, 512, 700, 1500, 6000])
def test_a_tar_that_is_cut_short_is_refused(cut):
    with pytest.raises(BackupUnreadable):
        read(tar_of(FILES)[:cut])


def test_a_damaged_header_is_refused():
    data = bytearray(tar_of(FILES))
    data[512 + 3] ^= 1
    with pytest.raises(BackupUnreadable, match="checksum"):
        read(bytes(data))


def test_more_than_the_limits_is_refused():
    with pytest.raises(BackupUnreadable, match="more than 2 files"):
        read(tar_of(FILES), entries=2)
    with pytest.raises(BackupUnreadable, match="or 4000 bytes"):
        read(tar_of(FILES), size=4000)
    for each in read_entries(io.BytesIO(tar_of({"a": b"xyz"}, label=None)), ArchiveLimits()):
        with pytest.raises(BackupUnreadable, match="more than 2"):
            read_whole(each, 2)


@pytest.mark.parametrize(
    "field", [b"\xff" * 12, b"\x80" + b"\xff" * 11, b"-0000000001\0", b"9" * 12]
)
def test_a_size_that_is_none_or_too_large_is_refused(field):
    data = bytearray(tar_of({"a": b"x"}, label=None))
    data[124:136] = field
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    with pytest.raises(BackupUnreadable):
        read(bytes(data))


def test_long_names_that_are_too_long_are_refused():
    with pytest.raises(BackupUnreadable, match="too much said"):
        read(tar_of({"x" * 70_000: b""}))


@pytest.mark.parametrize("said", [b"9 size=x\n", b"12 size=-99\n", b"99 path=x\n", b"junk"])
def test_what_pax_says_wrongly_is_refused(said):
    with pytest.raises(BackupUnreadable):
        read(tar_of({}, extra=[entry("x", tarfile.XHDTYPE, said), entry("y")]))


@pytest.mark.parametrize(
    ("packed", "told"),
    [(gzip.compress(b"x"), "gzip"), (b"BZh9", "bzip2")],
    ids=["gzip", "bzip2"],
)
def test_a_compressed_file_is_called_so(packed, told):
    with pytest.raises(BackupUnreadable, match=told):
        read(packed + bytes(600))


def test_an_empty_file_is_refused():
    with pytest.raises(BackupUnreadable, match="no tar"):
        read(b"")


@given(st.binary(max_size=1500))
def test_any_bytes_give_entries_or_a_refusal(data):
    for content in (data, label_header("x") + data, tar_of({"a": data}) + data):
        with contextlib.suppress(BackupUnreadable):
            read(content, size=10_000)


@given(st.integers(0, 2**16), st.integers(0, 255))
def test_any_changed_byte_gives_entries_or_a_refusal(place, value):
    data = bytearray(tar_of({"etc/xroad/" + "n" * 120: b"content"}))
    data[place % len(data)] = value
    with contextlib.suppress(BackupUnreadable):
        read(bytes(data), size=10_000)
