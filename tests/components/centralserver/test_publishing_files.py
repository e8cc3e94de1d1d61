import os
from datetime import UTC, datetime, timedelta

import pytest

from sild.components.centralserver.publishing_files import (
    Publication,
    PublicationDirectory,
    moment_of,
    stamp_of,
)
from sild.runtime.files import FileError

NOON = datetime(2026, 1, 2, 12, 0, 0, 123456, UTC)
NAMES = ("internalconf", "externalconf")


def publication(stamp, content=b"one", versions=(5, 6), names=("shared-params.xml",)):
    return Publication(
        stamp,
        {version: dict.fromkeys(names, content) for version in versions},
        {
            version: {name: f"{name} {version} {stamp}".encode() for name in NAMES}
            for version in versions
        },
    )


@pytest.fixture
def files(tmp_path):
    return PublicationDirectory(tmp_path / "public")


def test_a_stamp_tells_its_moment():
    stamp = stamp_of(NOON)
    assert stamp == "20260102120000123456000"
    assert moment_of(stamp) == NOON
    assert moment_of("x") is None
    assert moment_of("99999999999999000000000") is None


def test_parts_and_directories_lie_where_the_reference_puts_them(files):
    stamp = files.next_stamp(NOON)
    files.publish(publication(stamp))
    found = {str(path.relative_to(files.path)) for path in files.path.rglob("*") if path.is_file()}
    assert found == {
        f"V{version}/{name}"
        for version in (5, 6)
        for name in (f"{stamp}/shared-params.xml", *NAMES)
    }
    assert files.versions() == (5, 6)
    assert files.find_part(6, "shared-params.xml") == b"one"
    assert [each.version for each in files.published("shared-params.xml")] == [5, 6]
    assert files.published("shared-params.xml")[0].updated_at == NOON


def test_before_the_first_round_nothing_is_published(files):
    assert files.versions() == ()
    assert files.published("shared-params.xml") == ()
    assert files.find_part(6, "shared-params.xml") is None
    files.remove_parts_before(NOON)


def test_everyone_may_read_whatever_the_mask_is(files):
    before = os.umask(0o077)
    try:
        files.publish(publication("2" * 23))
    finally:
        os.umask(before)
    for path in (files.path, *files.path.rglob("*")):
        assert path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644)


def test_stamps_only_go_up(files):
    first = files.next_stamp(NOON)
    files.publish(publication(first))
    again = files.next_stamp(NOON)
    earlier = files.next_stamp(NOON - timedelta(hours=1))
    assert first < earlier == again
    assert moment_of(again) == NOON


def test_the_same_content_is_kept_once(files):
    first, second, third = (stamp_of(NOON + timedelta(minutes=each)) for each in range(3))
    files.publish(publication(first))
    files.publish(publication(second))
    files.publish(publication(third, b"two"))
    one, two, three = (
        (files.path / "V6" / stamp / "shared-params.xml").stat() for stamp in (first, second, third)
    )
    assert one.st_ino == two.st_ino != three.st_ino
    assert files.find_part(6, "shared-params.xml") == b"two"


def test_parts_go_when_nothing_names_them(files):
    stamps = [stamp_of(NOON + timedelta(minutes=each)) for each in range(4)]
    for stamp in stamps:
        files.publish(publication(stamp))
    files.remove_parts_before(NOON + timedelta(minutes=2))
    left = sorted(path.name for path in (files.path / "V6").iterdir() if path.is_dir())
    assert left == stamps[2:]
    files.remove_parts_before(NOON + timedelta(days=9))
    left = sorted(path.name for path in (files.path / "V6").iterdir() if path.is_dir())
    assert left == stamps[3:]
    assert files.find_part(6, "shared-params.xml") is not None


def test_a_version_that_is_published_no_more_is_withdrawn(files):
    files.publish(publication(stamp_of(NOON)))
    files.publish(publication(stamp_of(NOON + timedelta(minutes=1)), versions=(6,)))
    assert not any((files.path / "V5" / name).exists() for name in NAMES)
    assert files.find_part(5, "shared-params.xml") is None
    assert (files.path / "V5" / stamp_of(NOON) / "shared-params.xml").exists()
    files.remove_parts_before(NOON + timedelta(minutes=1))
    assert files.versions() == (6,)


def test_a_round_whose_parts_cannot_be_written_leaves_the_one_before(files):
    files.publish(publication("1" * 23))
    bad = publication("2" * 23, names=("shared-params.xml", "../escape.xml"))
    with pytest.raises(FileError):
        files.publish(bad)
    for name in NAMES:
        assert (files.path / "V6" / name).read_bytes().endswith(b"1" * 23)
    assert not (files.path / "V6" / ("2" * 23)).exists()
    files.publish(publication("3" * 23))
    assert not [path for path in files.path.rglob("*") if path.name.endswith(".tmp")]
