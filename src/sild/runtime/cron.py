"""Cron expressions as Quartz writes them, in UTC, and when it is time again.

Seconds, minutes, hours, day of month, month, day of week and, if need be, the year; each `*`, `?`,
or a list of values, ranges and steps (`a`, `a-b`, `*/n`, `a/n`, `a-b/n`). Months and days of the
week may have their English names; Sunday is 1. One of the two days must be open (`*` or `?`).
"""

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_MONTHS = tuple(name.upper() for name in calendar.month_abbr)[1:]
_ITEM = re.compile(r"(?:\*|(\w+)(?:-(\w+))?)(?:/(\d+))?")
_FIRST_YEAR, _LAST_YEAR = 1970, 2199
_SOON = timedelta(days=366 * 8)


class CronError(ValueError):
    """Not a cron expression, or one that names no moment."""


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    first: int
    last: int
    names: tuple[str, ...] = ()

    def read(self, text: str) -> frozenset[int]:
        if text == "?":
            text = "*"
        return frozenset(value for item in text.split(",") for value in self._values(item))

    def _values(self, item: str) -> range:
        match = _ITEM.fullmatch(item)
        if match is None:
            raise CronError(f"{item!r} is no {self.name} of a cron expression")
        start, end, step = match.groups()
        first = self.first if start is None else self._value(start)
        last = self.last
        if end is not None:
            last = self._value(end)
        elif start is not None and step is None:
            last = first
        if last < first or step == "0":
            raise CronError(f"{item!r} names no {self.name}")
        return range(first, last + 1, int(step or 1))

    def _value(self, text: str) -> int:
        if text.upper() in self.names:
            return self.names.index(text.upper()) + self.first
        value = int(text) if text.isascii() and text.isdecimal() else -1
        if not self.first <= value <= self.last:
            raise CronError(f"{text!r} is no {self.name}: {self.first} to {self.last}")
        return value


_FIELDS = (
    _Field("second", 0, 59),
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of the week", 1, 7, _DAYS),
    _Field("year", _FIRST_YEAR, _LAST_YEAR),
)


@dataclass(frozen=True, slots=True)
class Cron:
    """The moments that a cron expression names."""

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    years: frozenset[int]

    @classmethod
    def read(cls, text: str) -> Self:
        """Read an expression; raise CronError for what is none or never comes."""
        parts = text.split()
        if len(parts) == len(_FIELDS) - 1:
            parts.append("*")
        if len(parts) != len(_FIELDS):
            raise CronError(f"{text!r} is no cron expression: it needs six or seven fields")
        if all(part not in {"*", "?", "1/1", "*/1"} for part in (parts[3], parts[5])):
            raise CronError(f"{text!r} names a day of the month and of the week; one must be ?")
        second, minute, hour, *dates = (
            field.read(part) for field, part in zip(_FIELDS, parts, strict=True)
        )
        return cls(tuple(sorted(second)), tuple(sorted(minute)), tuple(sorted(hour)), *dates)

    def next_after(self, moment: datetime) -> datetime | None:
        """The first of the moments that is later than this one; None where none is near."""
        moment = moment.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=1)
        day, end = moment, moment + _SOON
        while day < end:
            if self._names_day(day):
                found = self._first_at(day)
                if found is not None:
                    return found
            day = (day + timedelta(days=1)).replace(hour=0, minute=0, second=0)
        return None

    def _names_day(self, day: datetime) -> bool:
        weekday = day.isoweekday() % 7 + 1
        return (
            day.year in self.years
            and day.month in self.months
            and day.day in self.days
            and weekday in self.weekdays
        )

    def _first_at(self, start: datetime) -> datetime | None:
        """The first moment of this day that is not before its hour."""
        given = (start.hour, start.minute, start.second)
        for hour in self.hours:
            if hour < given[0]:
                continue
            for minute in self.minutes:
                if (hour, minute) < given[:2]:
                    continue
                for second in self.seconds:
                    if (hour, minute, second) >= given:
                        return start.replace(hour=hour, minute=minute, second=second)
        return None
