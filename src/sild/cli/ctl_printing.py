"""Answers as tables and lists for people."""

import json
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any


def show(found: Any, columns: Sequence[str] = ()) -> str:
    """The text of an answer: a table of a list, a list of one thing's fields."""
    if isinstance(found, list):
        if not found:
            return "there is none\n"
        if all(isinstance(each, dict) for each in found):
            return _table(found, columns or _columns_of(found))
        return "".join(f"{cell(each)}\n" for each in found)
    if isinstance(found, dict):
        return "".join(_fields(found))
    return f"{cell(found)}\n"


def to_json(found: Any) -> str:
    """The text of an answer for programs."""
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


def _columns_of(rows: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    names = dict.fromkeys(name for row in rows for name in row)
    return tuple(name for name in names if not any(isinstance(r.get(name), dict) for r in rows))


def _table(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> str:
    titles = [column.rpartition(".")[2].replace("_", " ").upper() for column in columns]
    lines = [titles, *([cell(_at(row, column)) for column in columns] for row in rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(columns))]
    return "".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        + "\n"
        for line in lines
    )


def _at(row: Any, column: str) -> Any:
    for name in column.split("."):
        row = row.get(name) if isinstance(row, dict) else None
    return row


def _fields(found: dict[str, Any], indent: str = "") -> Iterable[str]:
    for name, value in found.items():
        title = f"{indent}{name.replace('_', ' ')}:"
        if isinstance(value, dict) and value:
            yield f"{title}\n"
            yield from _fields(value, indent + "  ")
        elif isinstance(value, list) and any(isinstance(each, dict) for each in value):
            yield f"{title}\n"
            for each in value:
                lines = list(_fields(each, indent + "    ")) if isinstance(each, dict) else []
                if lines:
                    yield f"{indent}  - {lines[0].lstrip()}"
                    yield from lines[1:]
        else:
            yield f"{title} {cell(value)}".rstrip() + "\n"


def cell(value: Any) -> str:
    """A value on one line; nothing in it moves a terminal's cursor."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case float() if value.is_integer():
            return str(int(value))
        case list():
            return ", ".join(cell(each) for each in value)
        case dict():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return "".join(
                " " if unicodedata.category(letter).startswith("C") else letter
                for letter in str(value)
            )
