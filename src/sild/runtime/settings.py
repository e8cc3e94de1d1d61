"""A TOML file and the environment to frozen settings; what is not understood is refused.

The settings of a server are a frozen dataclass with one field a section, each a frozen dataclass
whose fields are the settings:

    @dataclass(frozen=True, slots=True)
    class ProxySettings:
        client_http_port: Annotated[int, Between(1, 65535)] = 8080
        database_password: Annotated[str | None, Secret()] = None

A field is a str, int, float, bool, Path, Enum, tuple[str, ...], or one of these or None; durations
are seconds. In the file `client-http-port` and `client_http_port` are the same key of the section
`[proxy]`; SILD_PROXY_CLIENT_HTTP_PORT in the environment goes before it.
"""

import dataclasses
import difflib
import json
import tomllib
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from sild.runtime.files import FileTooLarge, read_bounded

_T = TypeVar("_T")
_PREFIX = "SILD_"
_LARGEST_FILE = 1024 * 1024
_MASK = "********"


class SettingsError(Exception):
    """Settings are not usable; one line a problem."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


@dataclasses.dataclass(frozen=True, slots=True)
class Between:
    """The lowest and highest number that a setting may have, both included."""

    low: float | None = None
    high: float | None = None

    def holds(self, number: float) -> bool:
        """Say whether a number is within."""
        return (self.low is None or number >= self.low) and (
            self.high is None or number <= self.high
        )

    def __str__(self) -> str:
        if self.low is None:
            return f"of at most {self.high}"
        return f"of at least {self.low}" if self.high is None else f"from {self.low} to {self.high}"


@dataclasses.dataclass(frozen=True, slots=True)
class Secret:
    """A setting whose value is never shown."""


def read_settings(cls: type[_T], path: Path | None, environ: Mapping[str, str]) -> _T:
    """Read settings from a file, if any, and the environment; raise SettingsError with all faults.

    Variables that begin with no known section's name are not ours to judge.
    """
    sections = {field.name: _Section(cls, field) for field in dataclasses.fields(_dataclass(cls))}
    problems: list[str] = []
    given = _from_file(path, sections, problems) if path is not None else {}
    given |= _from_environment(environ, sections, problems)
    built = {}
    for name, section in sections.items():
        values = {key: given[name, key] for key in section.keys if (name, key) in given}
        built[name] = section.build(values, problems)
    if problems:
        raise SettingsError(problems)
    return cls(**built)


def describe(settings: object) -> str:
    """Print settings as the file that would give them, secrets masked."""
    lines: list[str] = []
    for field in dataclasses.fields(_dataclass(settings)):
        section = _Section(type(settings), field)
        lines += [f"[{_dashed(field.name)}]"]
        for key in section.keys.values():
            value = getattr(getattr(settings, field.name), key.name)
            if value is None:
                lines.append(f"# {_dashed(key.name)} is not set")
            else:
                shown = _MASK if key.secret else _plain(value)
                lines.append(f"{_dashed(key.name)} = {json.dumps(shown, ensure_ascii=False)}")
        lines.append("")
    return "\n".join(lines)


def holds_secrets(settings: object) -> bool:
    """Whether any setting whose value is never shown is set."""
    return any(
        key.secret and getattr(getattr(settings, field.name), key.name) is not None
        for field in dataclasses.fields(_dataclass(settings))
        for key in _Section(type(settings), field).keys.values()
    )


class _Fault(Exception):
    """What was expected of a value."""


class _Key:
    """One setting: its type and what it may be."""

    def __init__(self, name: str, kind: Any) -> None:
        self.name = name
        marks: list[object] = []
        kind = _unwrap(kind, marks)
        members = typing.get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
        (self.kind,) = (_unwrap(m, marks) for m in members if m is not types.NoneType)
        self.optional = types.NoneType in members
        self.secret = any(isinstance(mark, Secret) for mark in marks)
        self.range = next((mark for mark in marks if isinstance(mark, Between)), Between())

    def from_toml(self, value: object) -> object:
        if self.kind is float and type(value) is int:
            value = float(value)
        if self.kind is Path and type(value) is str and value:
            return Path(value)
        if self.kind == tuple[str, ...] and isinstance(value, list):
            if all(type(item) is str for item in value):
                return tuple(value)
        elif isinstance(self.kind, type) and issubclass(self.kind, Enum):
            for member in self.kind:
                if member.value == value:
                    return member
        elif type(value) is self.kind and self._in_range(value):
            return value
        raise _Fault(self._expected(value))

    def from_text(self, text: str) -> object:
        if self.optional and not text:
            return None
        value: object = text
        if self.kind == tuple[str, ...]:
            value = [item.strip() for item in text.split(",") if item.strip()]
        elif self.kind is bool:
            value = {"true": True, "false": False}.get(text.lower(), text)
        elif self.kind in {int, float}:
            try:
                value = self.kind(text)
            except ValueError:
                value = text
        return self.from_toml(value)

    def _in_range(self, value: Any) -> bool:
        return self.kind not in {int, float} or self.range.holds(value)

    def _expected(self, value: object) -> str:
        found = "something else" if self.secret else json.dumps(value, default=str)
        return f"expected {self._wanted()}, found {found}"

    def _wanted(self) -> str:
        if self.kind is int or self.kind is float:
            number = "a whole number" if self.kind is int else "a number"
            return f"{number} {self.range}" if self.range != Between() else number
        if issubclass(typing.get_origin(self.kind) or self.kind, Enum):
            return "one of " + ", ".join(json.dumps(member.value) for member in self.kind)
        texts = {str: "a text", bool: "true or false", Path: "a path"}
        return texts.get(self.kind, "a list of texts")


class _Section:
    """One section: its keys by name."""

    def __init__(self, owner: type, field: "dataclasses.Field[Any]") -> None:
        self.name = field.name
        self.cls = _dataclass(typing.get_type_hints(owner)[field.name])
        hints = typing.get_type_hints(self.cls, include_extras=True)
        fields = dataclasses.fields(self.cls)
        self.keys = {each.name: _Key(each.name, hints[each.name]) for each in fields}
        self._required = {
            each.name
            for each in fields
            if each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING
        }

    def build(self, values: Mapping[str, object], problems: list[str]) -> object:
        title = f"[{_dashed(self.name)}]"
        missing = [name for name in self.keys if name in self._required and name not in values]
        problems += [f"{title} {_dashed(name)} is required and is not set." for name in missing]
        if missing:
            return None
        try:
            return self.cls(**values)
        except ValueError as error:
            problems.append(f"{title} {error}")
            return None


_Given = dict[tuple[str, str], object]


def _from_file(path: Path, sections: Mapping[str, _Section], problems: list[str]) -> _Given:
    try:
        content = tomllib.loads(read_bounded(path, _LARGEST_FILE).decode())
    except (OSError, FileTooLarge) as error:
        raise SettingsError([f"{path} cannot be read: {error}."]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError([f"{path} is not TOML: {error}."]) from error
    given: _Given = {}
    for written_section, table in content.items():
        section = sections.get(_underscored(written_section))
        if section is None:
            problems.append(f"{path}: [{written_section}] {_unknown(written_section, sections)}")
        elif not isinstance(table, dict):
            problems.append(f"{path}: {written_section} is a section, write [{written_section}].")
        else:
            place = f"{path}: [{written_section}]"
            given |= _from_table(section, table, place, problems)
    return given


def _from_table(
    section: _Section, table: Mapping[str, object], place: str, problems: list[str]
) -> _Given:
    given: _Given = {}
    for written, value in table.items():
        key = section.keys.get(_underscored(written))
        if key is None:
            problems.append(f"{place} {written} {_unknown(written, section.keys)}")
        elif (section.name, key.name) in given:
            problems.append(f"{place} {written} is set twice.")
        else:
            try:
                given[section.name, key.name] = key.from_toml(value)
            except _Fault as fault:
                problems.append(f"{place} {written}: {fault}.")
    return given


def _from_environment(
    environ: Mapping[str, str], sections: Mapping[str, _Section], problems: list[str]
) -> _Given:
    given: _Given = {}
    for variable, text in environ.items():
        candidates = list(_candidates(variable, sections))
        known = [(section, name) for section, name in candidates if name in section.keys]
        if known:
            section, name = known[0]
            try:
                given[section.name, name] = section.keys[name].from_text(text)
            except _Fault as fault:
                problems.append(f"{variable}: {fault}.")
        elif candidates:
            section, name = candidates[0]
            problems.append(f"{variable} in the environment {_unknown(name, section.keys)}")
    return given


def _candidates(variable: str, sections: Mapping[str, _Section]) -> Iterator[tuple[_Section, str]]:
    """Give what a variable can mean, the longest section's name first."""
    for name in sorted(sections, key=len, reverse=True):
        start = f"{_PREFIX}{name.upper()}_"
        if variable.startswith(start):
            yield sections[name], variable.removeprefix(start).lower()


def _unknown(written: str, known: Iterable[str]) -> str:
    nearest = difflib.get_close_matches(_underscored(written), known, n=1, cutoff=0)
    return f"is not known; the nearest that is known is {_dashed(nearest[0])}."


def _unwrap(kind: Any, marks: list[object]) -> Any:
    if typing.get_origin(kind) is typing.Annotated:
        plain, *more = typing.get_args(kind)
        marks += more
        return plain
    return kind


def _plain(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    return str(value) if isinstance(value, Path) else value


def _dataclass(value: Any) -> Any:
    if not dataclasses.is_dataclass(value):
        raise TypeError(f"{value} is not a dataclass of settings")
    return value


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _underscored(name: str) -> str:
    return name.replace("-", "_")
