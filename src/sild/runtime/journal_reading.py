"""Read what is durable in a journal, and release what was read."""

from collections.abc import Iterator
from pathlib import Path

from sild.runtime.files import sync_directory
from sild.runtime.journal_mark import check_mark, find_mark, find_released, tell_released
from sild.runtime.journal_segments import (
    HEADER_SIZE,
    JournalCorrupt,
    Position,
    Record,
    Segment,
    segment_numbers,
    segment_path,
)


def read_records(directory: Path, after: Position | None = None) -> Iterator[Record]:
    """Read the durable records, or those after a position, in the order they were appended.

    It ends where durability ends, and can be called again with the last position for what came
    since. Any process may read while another appends. Raise JournalCorrupt for durable bytes that
    are missing or changed, and for a position that the journal never gave.
    """
    # The mark first: a segment that it names is in the listing that follows.
    mark = find_mark(directory)
    numbers = segment_numbers(directory)
    if mark is None:
        check_mark(directory)
    if after is not None:
        _check_follows(directory, after, numbers)
    if mark is None:
        return
    for number in numbers:
        if number > mark.segment:
            return
        if after is not None and number < after.segment:
            continue
        end = mark.offset if number == mark.segment else _end_of(directory, number, numbers)
        with Segment(directory, number) as segment:
            start = HEADER_SIZE
            if after is not None and number == after.segment:
                if number == mark.segment and after.offset >= end:
                    # A crash of the machine put the mark back; the writer will set it right.
                    return
                start = _end_of_record(segment, after.offset, end)
            for found in segment.records(end, start):
                yield Record(Position(number, found.offset), found.payload)


def read_recoverable(directory: Path, taken: Position | None = None) -> Iterator[Record]:
    """Read every record that is there, and those behind the mark that an opening would keep.

    Raise JournalCorrupt as `read_records` does, and for a record at the position, which somebody
    has read, that is neither there nor released.
    """
    mark = find_mark(directory)
    check_mark(directory)
    numbers = segment_numbers(directory)
    newest = max(numbers, default=0)
    if mark is not None and mark.segment > newest:
        raise JournalCorrupt(f"{segment_path(directory, mark.segment)} is missing")
    if taken is not None:
        _check_follows(directory, taken, numbers)
    for number in numbers:
        with Segment(directory, number) as segment:
            if number == newest:
                marked_end = mark.offset if mark and mark.segment == newest else 0
                end, _ = segment.find_durable_end(marked_end)
            else:
                end = _end_of(directory, number, numbers)
            if taken is not None and number == taken.segment:
                _end_of_record(segment, taken.offset, end)
            for found in segment.records(end):
                yield Record(Position(number, found.offset), found.payload)


def release_records(directory: Path, upto: Position) -> None:
    """Delete the segments whose records all stand at or before a position."""
    released = []
    numbers = segment_numbers(directory)
    for number in numbers[:-1]:
        if number > upto.segment:
            break
        if number == upto.segment:
            end = _end_of(directory, number, numbers)
            with Segment(directory, number) as segment:
                if _end_of_record(segment, upto.offset, end) != end:
                    break
        released.append(number)
    if released:
        last = released[-1]
        offset = upto.offset if last == upto.segment else 0
        tell_released(directory, Position(last, offset))
    for number in released:
        segment_path(directory, number).unlink(missing_ok=True)
    sync_directory(directory)


def _end_of(directory: Path, number: int, numbers: list[int]) -> int:
    if number + 1 not in numbers:
        raise JournalCorrupt(f"{segment_path(directory, number + 1)} is missing")
    with Segment(directory, number + 1) as successor:
        return successor.header.previous_end


def _end_of_record(segment: Segment, offset: int, end: int) -> int:
    for found in segment.records(end, offset):
        return found.end
    raise JournalCorrupt(f"{segment.path}, offset {offset}: no durable record begins there")


def _check_follows(directory: Path, after: Position, numbers: list[int]) -> None:
    if not numbers or after.segment > numbers[-1]:
        raise JournalCorrupt(f"{segment_path(directory, after.segment)} is missing")
    if after.segment + 1 < numbers[0]:
        raise JournalCorrupt(f"{segment_path(directory, after.segment + 1)} is missing")
    if after.segment < numbers[0] and after != find_released(directory):
        raise JournalCorrupt(f"{segment_path(directory, after.segment)} is missing")
