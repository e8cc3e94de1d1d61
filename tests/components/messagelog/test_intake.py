import pytest

from components.messagelog.builders import plain_record
from sild.components.messagelog.entries import (
    AbandonedEntry,
    BodyEntry,
    RecordEntry,
    SignatureEntry,
    read_entry,
    write_entry,
)
from sild.components.messagelog.errors import JournalDamaged
from sild.components.messagelog.intake import Intake, Piece, TakenEntry, Unfinished
from sild.runtime.journal import Position


def record(key, size=None, body=None):
    return RecordEntry(key, b"digest", plain_record(body=body), size)


def take(*entries, unfinished=None):
    intake = Intake(unfinished or {})
    for place, entry in enumerate(entries):
        intake.take(TakenEntry(Position(1, place), entry))
    return intake


@pytest.mark.parametrize(
    "entry",
    [
        SignatureEntry(b"digest", b"document"),
        BodyEntry("s/1", b"piece"),
        AbandonedEntry("s/1"),
        record("s/1", 4, b"body"),
    ],
)
def test_an_entry_comes_out_as_it_went_in(entry):
    assert read_entry(write_entry(entry)) == entry


def test_pieces_are_numbered_and_belong_to_the_record_behind_them():
    intake = take(
        BodyEntry("s/1", b"ab"),
        BodyEntry("s/2", b"x"),
        BodyEntry("s/1", b"c"),
        record("s/2", 1),
        record("s/1", 3),
        record("s/3", 4, b"body"),
        record("s/4"),
    )
    assert intake.pieces == [
        Piece("s/1", 0, b"ab"),
        Piece("s/2", 0, b"x"),
        Piece("s/1", 1, b"c", 2),
    ]
    assert [new.body_key for new in intake.records] == ["s/2", "s/1", None, None]
    assert [new.position.offset for new in intake.records] == [3, 4, 5, 6]
    assert (intake.unfinished, intake.dropped) == ({}, set())


def test_a_body_may_go_on_in_the_next_intake():
    first = take(BodyEntry("s/1", b"ab"))
    assert first.unfinished == {"s/1": Unfinished(1, 2)}
    second = take(BodyEntry("s/1", b"c"), record("s/1", 3), unfinished=first.unfinished)
    assert second.pieces == [Piece("s/1", 1, b"c", 2)]
    assert (second.unfinished, second.dropped) == ({}, set())


def test_what_is_abandoned_is_dropped():
    intake = take(
        BodyEntry("s/1", b"a"), BodyEntry("s/2", b"b"), AbandonedEntry("s/1"), record("s/2", 1)
    )
    assert intake.pieces == [Piece("s/2", 0, b"b")]
    assert intake.dropped == {"s/1"}
    assert take(AbandonedEntry("s/9")).dropped == set()


@pytest.mark.parametrize(
    "following", [BodyEntry("t/1", b"x"), AbandonedEntry("t/1"), record("t/1")]
)
def test_what_a_session_left_unfinished_is_dropped_when_another_begins(following):
    before = {"s/1": Unfinished(1, 2)}
    intake = take(BodyEntry("s/2", b"a"), SignatureEntry(b"d", b""), unfinished=before)
    assert intake.dropped == set()
    intake = take(BodyEntry("s/2", b"a"), following, unfinished=before)
    assert intake.dropped == {"s/1", "s/2"}
    assert intake.unfinished.keys() <= {"t/1"}
    assert "s/2" not in {piece.body_key for piece in intake.pieces}


@pytest.mark.parametrize(
    "entries",
    [
        [record("s/1", 3)],
        [BodyEntry("s/1", b"ab"), record("s/1", 3)],
        [BodyEntry("s/1", b"ab"), record("s/1")],
        [BodyEntry("s/1", b"ab"), record("s/1", 2, b"ab")],
    ],
)
def test_a_record_without_its_whole_body_is_refused(entries):
    with pytest.raises(JournalDamaged):
        take(*entries)
