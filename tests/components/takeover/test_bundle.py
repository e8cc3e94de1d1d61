"""What of a backup is taken, and which files are no backup that could be."""

import io
import tarfile

import pytest

from components.takeover.builders import LABEL, SERVER, CustomDump, plain_dump, rows, tar_of
from sild.components.takeover.archive import ArchiveLimits
from sild.components.takeover.bundle import BundleLimits, read_bundle
from sild.components.takeover.errors import BackupOfAnother, BackupUnreadable

DUMP = "var/lib/xroad/dbdump.dat"
FILES = {"etc/xroad/conf.d/local.ini": b"[proxy]\n", DUMP: plain_dump(rows())}


def read(files=FILES, label=LABEL, extra=(), **limits):
    return read_bundle(io.BytesIO(tar_of(files, label, extra)), BundleLimits(**limits))


def link(name):
    made = tarfile.TarInfo(name)
    made.type, made.linkname = tarfile.SYMTYPE, "/etc/shadow"
    return made, b""


@pytest.mark.parametrize("dump", [plain_dump(rows()), CustomDump().of(rows())])
def test_files_and_tables_are_taken(dump):
    files = {**FILES, DUMP: dump, "etc/xroad/ssl/openssl.cnf": b"", "etc/nginx/x.conf": b""}
    found = read(files)
    assert found.server == SERVER
    assert found.files == {"conf.d/local.ini": b"[proxy]\n"}
    assert len(found.tables["client"]) == 2
    assert "history" not in found.tables
    assert found.left == ()


def test_what_stays_behind_is_told():
    left = ("autologin", "db.properties", "conf.d/mail.yml", "services/local.properties")
    found = read({**FILES, **{f"etc/xroad/{name}": b"secret" for name in left}})
    assert [each.what for each in found.left] == list(left)
    assert "secret" not in str(found.left)


@pytest.mark.parametrize(
    ("label", "told"),
    [
        ("central_XROAD_7.1_CS", "Central Server"),
        ("security_XROAD_6.26_DEV/COM/1/S", "version 7"),
        ("security_XROAD_8.0_DEV/COM/1/S", "version 7"),
        ("security_", "version 7"),
        ("holiday photographs", "no security server"),
        (None, "no backup of a security server"),
    ],
)
def test_a_backup_of_something_else_is_refused(label, told):
    with pytest.raises(BackupOfAnother, match=told):
        read(label=label)


def test_a_backup_without_a_database_is_refused():
    with pytest.raises(BackupUnreadable, match="no dump of the database"):
        read({"etc/xroad/conf.d/local.ini": b""})


def test_nothing_is_taken_twice():
    twice = tarfile.TarInfo(DUMP), b""
    with pytest.raises(BackupUnreadable, match="two dumps"):
        read(extra=[twice])
    again = tarfile.TarInfo("etc/xroad/conf.d/local.ini"), b""
    with pytest.raises(BackupUnreadable, match="twice"):
        read(extra=[again])


@pytest.mark.parametrize(
    "name",
    [DUMP, "etc/xroad/conf.d/override-x.ini", "etc/xroad/signer/softtoken/.softtoken.p12"],
)
def test_a_link_in_the_place_of_a_file_is_refused(name):
    files = {key: content for key, content in FILES.items() if key != name}
    with pytest.raises(BackupUnreadable, match="a link"):
        read(files, extra=[link(name)])


def test_a_link_that_nobody_wants_is_no_matter():
    assert read(extra=[link("etc/xroad/conf.d/logback.xml")]).files == read().files


def test_limits_hold():
    with pytest.raises(BackupUnreadable, match="more than 5"):
        read(file=5)
    with pytest.raises(BackupUnreadable, match="more than 2 files"):
        read(archive=ArchiveLimits(entries=2))


def test_an_empty_tar_is_refused():
    with pytest.raises(BackupUnreadable):
        read({}, label=None)
