"""Frozen values to bytes and back, as MessagePack: the only module that names msgspec.

What can be packed: dataclasses, str, bytes, int (64 bits), float, bool, None, datetime, date,
timedelta, Decimal, UUID, Path, enums, tuples, lists, sets, mappings, and unions of these. The
annotations are the schema. A field with a default may be absent from the bytes and an unknown one
is passed over, so that a value may gain fields between releases.

msgspec does the work in C. The one thing that it does not know is a union of several dataclasses
(and mappings keyed by one): these pass through mirrors that carry the class's name, at one or two
microseconds a value.
"""

import dataclasses
import enum
import functools
import operator
import types
import typing
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Generic, TypeVar, overload
from uuid import UUID

import msgspec

_T = TypeVar("_T")

_PLAIN = frozenset(
    {str, bytes, int, float, bool, types.NoneType, datetime, date, timedelta, Decimal, UUID}
)
_SEQUENCES: Mapping[object, Callable[[Any], Any]] = {
    list: list,
    tuple: tuple,
    set: set,
    frozenset: frozenset,
}
_MAPPINGS = frozenset({dict, Mapping})


class PackingError(Exception):
    """A value or type cannot be packed, or bytes do not hold what was asked for."""


class Packer(Generic[_T]):
    """Packs and unpacks the values of one type."""

    def __init__(self, kind: object) -> None:
        form = _form(kind, ())
        self._to_wire, self._from_wire = form.to_wire, form.from_wire
        self._encoder = msgspec.msgpack.Encoder()
        try:
            self._decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(form.wire)
        except TypeError as error:
            raise PackingError(f"{kind} cannot be packed: {error}") from error

    def encode(self, value: _T) -> bytes:
        """Write a value."""
        try:
            return self._encoder.encode(self._to_wire(value) if self._to_wire else value)
        except (TypeError, ValueError, OverflowError, AttributeError, RecursionError) as error:
            raise PackingError(f"a value cannot be packed: {error}") from error

    def decode(self, content: bytes | memoryview) -> _T:
        """Read a value; raise PackingError for bytes that do not hold one."""
        try:
            wire = self._decoder.decode(content)
            value: _T = self._from_wire(wire) if self._from_wire else wire
        except Exception as error:
            # A dataclass checks itself when it is made, and may raise an error of its own.
            raise PackingError(f"bytes do not hold what was asked for: {error}") from error
        return value


@functools.lru_cache(maxsize=512)
def packer(kind: object) -> Packer[Any]:
    """Give the one packer of a type."""
    return Packer(kind)


def encode(value: object, kind: object = None) -> bytes:
    """Write a value, as its own class or as the `kind` (a union, a tuple of values) it stands for.

    The kind must be the one that `decode` will be given.
    """
    if kind is None and not dataclasses.is_dataclass(value) and type(value) not in _PLAIN:
        raise PackingError(f"say as which type a {type(value).__name__} is to be packed")
    return packer(type(value) if kind is None else kind).encode(value)


@overload
def decode(kind: type[_T], content: bytes | memoryview) -> _T: ...
@overload
def decode(kind: object, content: bytes | memoryview) -> Any: ...
def decode(kind: object, content: bytes | memoryview) -> Any:
    """Read a value of this type; raise PackingError for bytes that do not hold one."""
    return packer(kind).decode(content)


_Turn = Callable[[Any], Any] | None


@dataclasses.dataclass(frozen=True, slots=True)
class _Form:
    """How a type stands on the wire: the type msgspec sees, and the ways there and back."""

    wire: Any
    to_wire: _Turn = None
    from_wire: _Turn = None

    @property
    def same(self) -> bool:
        return self.to_wire is None

    def there(self) -> Callable[[Any], Any]:
        return self.to_wire or _as_it_is

    def back(self) -> Callable[[Any], Any]:
        return self.from_wire or _as_it_is


def _as_it_is(value: Any) -> Any:
    return value


def _form(kind: Any, inside: tuple[type, ...]) -> _Form:
    if (plain := getattr(kind, "__supertype__", None)) is not None:
        return _form(plain, inside)
    if typing.get_origin(kind) is not None:
        return _composed_form(kind, inside)
    if kind in _PLAIN or kind is None:
        return _Form(kind)
    if kind is Path:
        return _Form(str, str, Path)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return _enum_form(kind)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return _dataclass_form(kind, inside)
    raise PackingError(f"{kind} cannot be packed: name a concrete type")


def _composed_form(kind: Any, inside: tuple[type, ...]) -> _Form:
    match typing.get_origin(kind):
        case typing.Annotated:
            return _form(typing.get_args(kind)[0], inside)
        case typing.Literal:
            return _Form(kind)
        case typing.Union | types.UnionType:
            return _union_form(kind, inside)
        case origin if origin in _SEQUENCES:
            return _sequence_form(kind, inside)
        case origin if origin in _MAPPINGS:
            return _mapping_form(kind, inside)
    raise PackingError(f"{kind} cannot be packed: say tuple, list, set or Mapping")


def _enum_form(kind: type[enum.Enum]) -> _Form:
    values = [member.value for member in kind]
    if all(type(value) is str for value in values) or all(type(value) is int for value in values):
        return _Form(kind)
    return _Form(str, lambda member: member.name, lambda name: kind[name])


def _sequence_form(kind: Any, inside: tuple[type, ...]) -> _Form:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple and arguments[-1:] != (Ellipsis,):
        return _fixed_tuple_form(kind, inside)
    item = _form(arguments[0], inside)
    if item.same:
        return _Form(kind)
    there, back, build = item.there(), item.back(), _SEQUENCES[origin]
    return _Form(
        list[item.wire],  # type: ignore[name-defined] # made from annotations at run time
        lambda values: [there(value) for value in values],
        lambda wires: build([back(wire) for wire in wires]),
    )


def _fixed_tuple_form(kind: Any, inside: tuple[type, ...]) -> _Form:
    items = [_form(argument, inside) for argument in typing.get_args(kind)]
    if all(item.same for item in items):
        return _Form(kind)
    there, back = [item.there() for item in items], [item.back() for item in items]
    return _Form(
        tuple[tuple(item.wire for item in items)],  # type: ignore[misc] # as above
        lambda values: tuple(turn(value) for turn, value in zip(there, values, strict=True)),
        lambda wires: tuple(turn(wire) for turn, wire in zip(back, wires, strict=True)),
    )


def _mapping_form(kind: Any, inside: tuple[type, ...]) -> _Form:
    key, value = (_form(argument, inside) for argument in typing.get_args(kind))
    if key.same and value.same:
        return _Form(kind)
    key_there, value_there, key_back, value_back = (
        key.there(),
        value.there(),
        key.back(),
        value.back(),
    )
    return _Form(
        list[tuple[key.wire, value.wire]],  # type: ignore[name-defined] # as above
        lambda mapping: [(key_there(k), value_there(v)) for k, v in mapping.items()],
        lambda pairs: {key_back(k): value_back(v) for k, v in pairs},
    )


def _union_form(kind: Any, inside: tuple[type, ...]) -> _Form:
    members = typing.get_args(kind)
    classes = [member for member in members if dataclasses.is_dataclass(member)]
    others = [_form(member, inside) for member in members if member not in classes]
    others.sort(key=lambda form: form.same)
    if len(classes) > 1:
        forms = {cls: _mirror_form(cls, inside, tagged=True) for cls in classes}
    else:
        forms = {cls: _form(cls, inside) for cls in classes}
    if all(form.same for form in (*forms.values(), *others)):
        return _Form(kind)
    turned = [form for form in others if not form.same]
    if turned and not all(form.wire in _PLAIN - {turned[0].wire} for form in others[1:]):
        raise PackingError(f"{kind} cannot be packed: two of its members look alike in bytes")
    rest = turned[0] if turned else _Form(None)
    wires = [form.wire for form in (*forms.values(), *others)]
    return _Form(
        functools.reduce(operator.or_, wires),
        _by_type({cls: form.there() for cls, form in forms.items()}, rest.to_wire, rest.wire),
        _by_type({form.wire: form.back() for form in forms.values()}, rest.from_wire, rest.wire),
    )


def _by_type(turns: dict[Any, Callable[[Any], Any]], rest: _Turn, rest_wire: Any) -> _Turn:
    """Turn a union's value by its exact class; a plain one stays; `rest` is for what is neither."""
    plain = _PLAIN - {rest_wire}

    def turn(value: Any) -> Any:
        if (found := turns.get(type(value))) is not None:
            return found(value)
        if type(value) in plain:
            return value
        if rest is not None:
            return rest(value)
        if dataclasses.is_dataclass(value):
            raise TypeError(f"a {type(value).__name__} is not a member of the union")
        return value

    return turn


def _dataclass_form(cls: type, inside: tuple[type, ...]) -> _Form:
    if cls in inside:
        return _Form(cls)
    if all(form.same for form in _fields(cls, inside).values()):
        return _Form(cls)
    return _mirror_form(cls, inside, tagged=False)


def _mirror_form(cls: Any, inside: tuple[type, ...], *, tagged: bool) -> _Form:
    if cls in inside:
        raise PackingError(f"{cls.__name__} holds itself by way of a union, which is not packed")
    fields = _fields(cls, inside)
    optional = {
        field.name
        for field in dataclasses.fields(cls)
        if field.default is not dataclasses.MISSING
        or field.default_factory is not dataclasses.MISSING
    }
    mirror = msgspec.defstruct(
        cls.__name__,
        [
            (name, form.wire | msgspec.UnsetType, msgspec.UNSET)
            if name in optional
            else (name, form.wire)
            for name, form in fields.items()
        ],
        tag=cls.__name__ if tagged else None,
        kw_only=True,
    )
    there = [(name, form.there()) for name, form in fields.items()]
    back = [(name, form.back()) for name, form in fields.items()]

    def from_wire(wire: Any) -> Any:
        found = ((name, turn, getattr(wire, name)) for name, turn in back)
        return cls(**{name: turn(v) for name, turn, v in found if v is not msgspec.UNSET})

    def to_wire(value: Any) -> Any:
        return mirror(**{name: turn(getattr(value, name)) for name, turn in there})

    return _Form(mirror, to_wire, from_wire)


def _fields(cls: type, inside: tuple[type, ...]) -> dict[str, _Form]:
    hints = typing.get_type_hints(cls, include_extras=True)
    names = [field.name for field in dataclasses.fields(cls) if field.init]
    return {name: _form(hints[name], (*inside, cls)) for name in names}
