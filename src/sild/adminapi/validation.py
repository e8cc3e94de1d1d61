"""What is wrong with a field, by the names and codes that existing clients read.

A field of a body is named by its schema and its path, as in `memberAddDto.memberId.memberCode`; a
parameter by its operation and its name, as in `deleteMember.memberId`.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi.exceptions import RequestValidationError

# Pydantic's names for what the reference's validators call otherwise.
_CODES = {
    "missing": "NotNull",
    "string_too_short": "Size",
    "string_too_long": "Size",
    "too_long": "Size",
    "too_short": "Size",
    "string_pattern_mismatch": "Pattern",
    "greater_than_equal": "Min",
    "less_than_equal": "Max",
    "enum": "InvalidValue",
    "literal_error": "InvalidValue",
    "value_error": "InvalidValue",
    "json_invalid": "InvalidJson",
}
_TYPE_MISMATCH = "TypeMismatch"


def field_errors_of(
    error: RequestValidationError, operation_id: str, schemas: Sequence[type]
) -> Mapping[str, tuple[str, ...]]:
    """Give the codes of each field that is not as it should be; a body is of one of the schemas."""
    found: dict[str, set[str]] = defaultdict(set)
    for problem in error.errors():
        place, *path = problem["loc"]
        if problem["type"] == "json_invalid":
            path = []
        owner = operation_id
        if place == "body":
            owner = _owner(schemas)
            if len(schemas) > 1:
                # Which of them it is stands before the field.
                path = path[1:]
        found[_name(owner, path)].add(_code(problem))
    return {name: tuple(sorted(codes)) for name, codes in found.items()}


def _owner(schemas: Sequence[type]) -> str:
    """What the reference calls a body: by its schema, or by what all schemas are a kind of."""
    kinds = (
        kind
        for each in schemas[:1]
        for kind in each.mro()
        if all(issubclass(s, kind) for s in schemas)
    )
    schema = next(kinds, None)
    return "body" if schema is None else f"{_lower_camel(schema.__name__)}Dto"


def _name(owner: str, path: list[int | str]) -> str:
    name = owner
    for part in path:
        name += f"[{part}]" if isinstance(part, int) else f".{_camel(part)}"
    return name


def _camel(text: str) -> str:
    return re.sub(r"_([a-z0-9])", lambda found: found[1].upper(), text)


def _lower_camel(text: str) -> str:
    return text[:1].lower() + text[1:]


def _code(problem: Mapping[str, Any]) -> str:
    kind: str = problem["type"]
    return _CODES.get(kind, kind if kind[:1].isupper() else _TYPE_MISMATCH)
