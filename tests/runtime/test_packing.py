import contextlib
import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, NewType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sild.runtime.packing import Packer, PackingError, decode, encode


class Status(enum.Enum):
    GOOD = "urn:good"
    BAD = "urn:bad"


class Odd(enum.Enum):
    FIRST = ("a", 1)
    SECOND = ("b", 2)


Serial = NewType("Serial", str)


@dataclass(frozen=True, slots=True)
class Member:
    instance: str
    code: str


@dataclass(frozen=True, slots=True)
class Subsystem:
    instance: str
    code: str


@dataclass(frozen=True, slots=True)
class Checked:
    count: int

    def __post_init__(self):
        if self.count < 0:
            raise ArithmeticError("negative")


@dataclass(frozen=True, slots=True)
class Simple:
    name: str
    body: bytes
    moment: datetime
    span: timedelta
    status: Status
    parts: tuple[Member, ...]
    pair: tuple[int, bytes]
    by_name: Mapping[str, tuple[Member, ...]]
    words: frozenset[str]
    serial: Serial
    note: Annotated[str | None, "why"] = None
    kind: Literal["a", "b"] = "a"


@dataclass(frozen=True, slots=True)
class Mixed:
    who: Member | Subsystem
    many: tuple[Member | Subsystem | None, ...]
    rights: Mapping[Member | Subsystem, frozenset[str]]
    folder: Path
    odd: Odd
    several: tuple[str, Member | Subsystem]
    either: tuple[Member | Subsystem, ...] | None = None
    place: Path | int | None = None
    inner: tuple[Simple, ...] = field(default_factory=tuple)


SIMPLE = Simple(
    "n",
    b"\x00\xff",
    datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    timedelta(seconds=1.5),
    Status.BAD,
    (Member("EE", "1"),),
    (1, b"2"),
    {"x": (Member("EE", "2"),)},
    frozenset({"a", "b"}),
    Serial("7"),
)
MIXED = Mixed(
    Subsystem("EE", "1"),
    (Member("EE", "1"), None, Subsystem("EE", "1")),
    {Member("EE", "1"): frozenset({"r"}), Subsystem("EE", "1"): frozenset()},
    Path("/etc"),
    Odd.SECOND,
    ("s", Member("EE", "1")),
)


@pytest.mark.parametrize(
    "value",
    [
        SIMPLE,
        MIXED,
        Mixed(
            *[getattr(MIXED, n) for n in ("who", "many", "rights", "folder", "odd", "several")],
            either=(Member("a", "b"),),
            place=Path("/x"),
            inner=(SIMPLE,),
        ),
        Mixed(
            *[getattr(MIXED, n) for n in ("who", "many", "rights", "folder", "odd", "several")],
            place=5,
        ),
    ],
)
def test_a_value_comes_back_as_it_went(value):
    back = decode(type(value), encode(value))
    assert back == value
    assert type(back) is type(value)


def test_two_dataclasses_of_one_shape_are_told_apart():
    kind = tuple[Member | Subsystem, ...]
    values = (Member("EE", "1"), Subsystem("EE", "1"))
    assert decode(kind, encode(values, kind)) == values
    assert type(decode(Member | Subsystem, encode(values[1], Member | Subsystem))) is Subsystem


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_give_a_value_or_a_packing_error(content):
    for kind in (Mixed, Simple, Member | Subsystem):
        with contextlib.suppress(PackingError):
            decode(kind, content)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(encode(MIXED)) - 1), st.integers(0, 255))
def test_damaged_bytes_give_a_value_or_a_packing_error(place, byte):
    content = bytearray(encode(MIXED))
    content[place] = byte
    with contextlib.suppress(PackingError):
        assert isinstance(decode(Mixed, bytes(content)), Mixed)


def test_what_a_class_refuses_when_it_is_made_is_a_packing_error():
    good = encode(Checked(1))
    assert decode(Checked, good) == Checked(1)
    with pytest.raises(PackingError, match="negative"):
        decode(Checked, good.replace(b"\x01", b"\xff"))


@dataclass(frozen=True)
class Older:
    who: Member | Subsystem
    dropped: int


@dataclass(frozen=True)
class Newer:
    who: Member | Subsystem
    added: int = 5
    named: tuple[Member | Subsystem, ...] = ()


def test_a_value_may_gain_fields_with_defaults_and_lose_others():
    older = encode(Older(Member("a", "b"), 1))
    assert decode(Newer, older) == Newer(Member("a", "b"))


@pytest.mark.parametrize(
    "kind",
    [
        Any,
        object,
        Sequence[int],
        Callable[[], int],
        Path | str,
        tuple[Member | Subsystem] | tuple[Path],
        type,
    ],
)
def test_a_type_that_cannot_be_told_from_bytes_is_refused(kind):
    with pytest.raises(PackingError, match="cannot be packed"):
        Packer(kind)


def test_a_value_that_does_not_fit_is_refused():
    with pytest.raises(PackingError, match="cannot be packed"):
        encode(Checked(1 << 80))
    with pytest.raises(PackingError, match="not a member of the union"):
        encode(Checked(1), Member | Subsystem)
    with pytest.raises(PackingError, match="say as which type"):
        encode([1])
