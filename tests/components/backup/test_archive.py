import contextlib
import hashlib
import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.backup.builders import MOMENT, manifest_of, tar_of
from sild.components.backup.archive import (
    MANIFEST,
    Entry,
    Manifest,
    UnpackLimits,
    describe_entries,
    unpack_archive,
    write_archive,
)
from sild.components.backup.errors import BackupFailed, BackupRefused

LIMIT = 10_000_000
NAME = "files/keys/one"
BODY = b"one"


def entry_of(content):
    return Entry(len(content), hashlib.sha256(content).hexdigest())


def unpack(tmp_path, content, limit=LIMIT, entries=100):
    path, stage = tmp_path / "backup.tar", tmp_path / "stage"
    path.write_bytes(content)
    stage.mkdir()
    return unpack_archive(path, stage, UnpackLimits(limit, entries))


def archive_of(*entries):
    told = {str(name): entry_of(content) for name, content in entries}
    return tar_of([(MANIFEST, manifest_of(told)), *entries])


def test_what_was_packed_comes_out(tmp_path):
    stage = tmp_path / "in"
    long = "files/keys/" + "d" * 90 + "/" + "f" * 90
    contents = {
        "databases/registry/person.jsonl": b'["id"]\n',
        "files/settings": b"[center]\n",
        "files/keys/ä b.p12": b"x" * 700_000,
        long: b"",
    }
    for name, content in contents.items():
        (stage / name).parent.mkdir(parents=True, exist_ok=True)
        (stage / name).write_bytes(content)
    manifest = Manifest("central", "DEV/node_0", "0.1", MOMENT, describe_entries(stage))
    path = tmp_path / "backup.tar"
    write_archive(path, manifest, stage)
    assert path.stat().st_mode & 0o777 == 0o600
    out = tmp_path / "out"
    out.mkdir()
    assert unpack_archive(path, out, UnpackLimits(LIMIT)) == manifest
    found = {p.relative_to(out).as_posix(): p for p in out.rglob("*") if p.is_file()}
    assert {name: p.read_bytes() for name, p in found.items() if name != MANIFEST} == contents
    assert all(p.stat().st_mode & 0o777 == 0o600 for name, p in found.items() if name != MANIFEST)


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "files/keys/../../../etc/passwd",
        "files/keys/./x",
        "files/../x",
        "../files/keys/x",
        "files/keys//x",
        "files/keys/",
        "files/KEYS/x",
        "files/keys/a\nb",
        "databases/registry/../x.jsonl",
        "databases/registry/x.sql",
        "other",
        "manifest.json/x",
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(tmp_path, name):
    with pytest.raises(BackupRefused):
        unpack(tmp_path, tar_of([(MANIFEST, manifest_of({})), (name, BODY)]))
    with pytest.raises(BackupRefused):
        Manifest.from_json(manifest_of({name: entry_of(BODY)}))


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.DIRTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.FIFOTYPE,
        tarfile.CONTTYPE,
        tarfile.AREGTYPE,
        tarfile.GNUTYPE_SPARSE,
        tarfile.XHDTYPE,
        tarfile.GNUTYPE_LONGNAME,
    ],
)
def test_what_is_no_file_is_refused(tmp_path, kind):
    link = tarfile.TarInfo(NAME)
    link.type, link.linkname = kind, "/etc/passwd"
    with pytest.raises(BackupRefused):
        unpack(tmp_path, tar_of([(MANIFEST, manifest_of({NAME: entry_of(b"")})), (link, b"")]))
    assert not (tmp_path / "stage" / NAME).is_symlink()


@pytest.mark.parametrize("tar_format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_extended_formats_are_refused(tmp_path, tar_format):
    entries = [(MANIFEST, manifest_of({})), ("files/keys/" + "ä" * 200, BODY)]
    with pytest.raises(BackupRefused):
        unpack(tmp_path, tar_of(entries, tar_format))


def test_a_name_that_stands_twice_is_refused(tmp_path):
    with pytest.raises(BackupRefused):
        unpack(tmp_path, archive_of((NAME, BODY), (NAME, BODY)))


def test_a_file_that_is_a_directory_too_is_refused(tmp_path):
    with pytest.raises(BackupRefused):
        unpack(tmp_path, archive_of(("files/keys", BODY), (NAME, BODY)))


def test_more_than_is_allowed_is_refused_before_it_is_written(tmp_path):
    content = archive_of((NAME, b"x" * 2_000_000))
    with pytest.raises(BackupRefused):
        unpack(tmp_path, content, 1_000_000)
    assert not (tmp_path / "stage" / NAME).exists()


def test_a_manifest_that_is_huge_is_refused(tmp_path):
    with pytest.raises(BackupRefused):
        unpack(tmp_path, tar_of([(MANIFEST, b" " * (17 * 1024 * 1024))]), 10**9)


def test_too_many_files_are_refused(tmp_path):
    with pytest.raises(BackupRefused):
        unpack(tmp_path, archive_of(*((f"files/keys/{n}", b"") for n in range(5))), entries=3)


def test_a_size_that_no_file_has_is_refused(tmp_path):
    content = bytearray(archive_of((NAME, BODY)))
    header = content.rindex(NAME.encode(), 0, len(content)) // 512 * 512
    content[header + 124 : header + 136] = b"\x80" + b"\xff" * 11
    with pytest.raises(BackupRefused):
        unpack(tmp_path, bytes(content))


def test_what_the_manifest_does_not_say_is_refused(tmp_path):
    told = {NAME: entry_of(b"two")}
    with pytest.raises(BackupRefused):
        unpack(tmp_path, tar_of([(MANIFEST, manifest_of(told)), (NAME, BODY)]))


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [(NAME, BODY)],
        [(NAME, BODY), (MANIFEST, manifest_of({NAME: entry_of(BODY)}))],
        [(MANIFEST, manifest_of({NAME: entry_of(BODY)}))],
        [(MANIFEST, manifest_of({})), (NAME, BODY)],
        [(MANIFEST, b"{")],
        [(MANIFEST, b"[]")],
        [(MANIFEST, b"{}")],
        [(MANIFEST, b"[" * 100_000)],
        [(MANIFEST, manifest_of({}).replace(b'"format": 1', b'"format": 2'))],
        [(MANIFEST, manifest_of({}).replace(b'"DEV"', b"5"))],
        [(MANIFEST, manifest_of({NAME: entry_of(BODY)}).replace(b"3,", b'"3",'))],
    ],
)
def test_a_backup_without_a_manifest_that_fits_is_refused(tmp_path, entries):
    with pytest.raises(BackupRefused):
        unpack(tmp_path, tar_of(entries))


def test_a_backup_that_is_cut_short_is_refused(tmp_path):
    content = archive_of((NAME, b"x" * 2000))
    end = len(content.rstrip(b"\0"))
    for n, cut in enumerate((0, 511, 600, end - 1)):
        folder = tmp_path / str(n)
        folder.mkdir()
        with pytest.raises(BackupRefused):
            unpack(folder, content[:cut])


def test_a_name_that_cannot_be_packed_is_refused(tmp_path):
    bad = tmp_path / "files" / "keys" / "a\nb"
    bad.parent.mkdir(parents=True)
    bad.write_bytes(b"")
    with pytest.raises(BackupFailed):
        describe_entries(tmp_path)
    bad.unlink()
    long = bad.parent / ("x" * 150)
    long.write_bytes(b"")
    manifest = Manifest("central", "DEV", "0.1", MOMENT, describe_entries(tmp_path))
    with pytest.raises(BackupFailed):
        write_archive(tmp_path / "b.tar", manifest, tmp_path)


_GOOD = archive_of((NAME, BODY))


@given(st.integers(0, 2600), st.binary(min_size=1, max_size=8))
def test_any_bytes_are_a_backup_or_refused(tmp_path_factory, at, noise):
    content = bytearray(_GOOD)
    content[at : at + len(noise)] = noise
    with contextlib.suppress(BackupRefused):
        unpack(tmp_path_factory.mktemp("noise"), bytes(content))


def test_the_reader_takes_what_other_tar_programs_read():
    with tarfile.open(fileobj=io.BytesIO(_GOOD)) as archive:
        assert archive.getnames() == [MANIFEST, NAME]
