import io
import zipfile
from datetime import UTC, datetime

import pytest

from sild.protocol.asic.augment import with_entries
from sild.protocol.asic.container import Container, read_container, read_entries, write_container
from sild.protocol.errors import AsicError

DATE = datetime(2024, 6, 1, 12, 0, 2, tzinfo=UTC)
LATER = datetime(2026, 6, 1, 12, 0, 2, tzinfo=UTC)
CONTAINER = Container(b"message", b"signature", attachments={"/attachment1": b"a" * 5000})
WRITTEN = write_container(CONTAINER, DATE)


def headers(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {
            each.filename: (each.date_time, each.extra, each.external_attr, each.create_system)
            for each in archive.infolist()
        }, archive.comment


def test_all_that_was_there_stays_as_it_was():
    longer = with_entries(WRITTEN, {"META-INF/a.xml": b"1"}, {}, LATER)
    assert read_container(longer) == CONTAINER
    assert read_entries(longer) == read_entries(WRITTEN) | {"META-INF/a.xml": b"1"}
    found, comment = headers(longer)
    before, comment_before = headers(WRITTEN)
    assert comment == comment_before
    assert {name: found[name] for name in before} == before
    assert found["META-INF/a.xml"][0] == (2026, 6, 1, 12, 0, 2)


def test_an_entry_may_get_another_name():
    first = with_entries(WRITTEN, {"META-INF/a.xml": b"1"}, {}, DATE)
    second = with_entries(
        first, {"META-INF/a.xml": b"2"}, {"META-INF/a.xml": "META-INF/a1.xml"}, LATER
    )
    entries = read_entries(second)
    assert (entries["META-INF/a.xml"], entries["META-INF/a1.xml"]) == (b"2", b"1")
    assert headers(second)[0]["META-INF/a1.xml"] == headers(first)[0]["META-INF/a.xml"]


@pytest.mark.parametrize(
    ("added", "renamed"),
    [
        ({"message.xml": b"another"}, {}),
        ({"MESSAGE.xml": b"another"}, {}),
        ({}, {"mimetype": "message.xml"}),
    ],
)
def test_no_entry_is_replaced(added, renamed):
    with pytest.raises(AsicError, match="one name"):
        with_entries(WRITTEN, added, renamed, LATER)


def test_what_is_no_container_gets_no_entries():
    with pytest.raises(AsicError):
        with_entries(b"no zip", {"a": b"1"}, {}, LATER)
