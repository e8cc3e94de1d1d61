"""Our description of an API against the published one: what is missing, changed, or more.

What differs and is meant to stands in a table of additions, each with its reason. Answers are held
to their fields, types and enumerations; limits are compared where a client meets them: in requests.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sild.adminapi.schemas import Json, Schema, Schemas
from sild.runtime.yaml import YamlError, read_yaml

_METHODS = ("get", "post", "put", "patch", "delete")
_FIRST_ERROR = 400
_PARAMETER = "{}"


@dataclass(frozen=True, slots=True)
class Addition:
    """A difference that is meant; `*` in `where` and `what` stands for anything."""

    where: str
    """A method and path: POST /members, or * for every operation."""
    what: str
    reason: str

    def covers(self, difference: "Difference") -> bool:
        """Whether this is what differs."""
        return _matches(self.where, difference.where) and _matches(self.what, difference.what)


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that our description says and the published one does not, or the other way."""

    where: str
    what: str
    reason: str | None = None
    """Why it is so, where that is meant."""

    @property
    def is_addition(self) -> bool:
        """Whether it is meant."""
        return self.reason is not None

    def to_json(self) -> dict[str, str]:
        """Give its parts by name."""
        told = {"where": self.where, "what": self.what}
        return told if self.reason is None else {**told, "reason": self.reason}

    def __str__(self) -> str:
        reason = "" if self.reason is None else f" ({self.reason})"
        return f"{self.where}: {self.what}{reason}"


def read_description(path: Path) -> Json:
    """Read an OpenAPI document, JSON or YAML; raises OSError, and ValueError for anything else."""
    text = path.read_text(encoding="utf-8")
    try:
        document = json.loads(text) if path.suffix == ".json" else read_yaml(text)
    except YamlError as error:
        raise ValueError(str(error)) from error
    if not isinstance(document, Mapping) or "paths" not in document:
        raise ValueError("this is no OpenAPI document")
    return document


def differences(published: Json, ours: Json, additions: Iterable[Addition]) -> list[Difference]:
    """List all differences, those of the table with their reasons."""
    table = tuple(additions)
    found = dict.fromkeys(_Comparison(published, ours).run())
    return [_explained(difference, table) for difference in found]


def unused_additions(found: Iterable[Difference], additions: Iterable[Addition]) -> list[Addition]:
    """List the rows of a table that explain nothing."""
    all_found = tuple(found)
    return [row for row in additions if not any(row.covers(each) for each in all_found)]


def _explained(difference: Difference, table: tuple[Addition, ...]) -> Difference:
    for addition in table:
        if addition.covers(difference):
            return replace(difference, reason=addition.reason)
    return difference


def _matches(pattern: str, text: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text) is not None


class _Document:
    """One document, its operations by method and path."""

    def __init__(self, document: Json) -> None:
        self.schemas = Schemas(document)
        self.operations: dict[tuple[str, str], Json] = {}
        self.names: dict[tuple[str, str], str] = {}
        for path, item in document["paths"].items():
            for method in _METHODS:
                if method in item:
                    shared = item.get("parameters", [])
                    operation = item[method]
                    parameters = [*shared, *operation.get("parameters", [])]
                    key = method, _unnamed(path)
                    self.operations[key] = {**operation, "parameters": parameters}
                    self.names[key] = f"{method.upper()} {path}"

    def parameters(self, operation: Json) -> dict[tuple[str, str], Json]:
        """Give the parameters by place and name, objects in a query by their properties.

        Those of a path go by their order: their names are not on the wire.
        """
        found: dict[tuple[str, str], Json] = {}
        places = 0
        for each in operation["parameters"]:
            parameter = self.schemas.resolve(each)
            place, name = parameter["in"], parameter["name"]
            schema = self.schemas.read(parameter["schema"])
            if place == "path":
                places += 1
                found[place, str(places)] = parameter
            elif place == "query" and schema.kind == "object":
                for inner, described in schema.properties.items():
                    required = inner in schema.required and parameter.get("required", False)
                    found[place, inner] = {"required": required, "schema": described}
            else:
                found[place, name] = parameter
        return found


def _unnamed(path: str) -> str:
    return "/".join(_PARAMETER if part.startswith("{") else part for part in path.split("/"))


class _Comparison:
    def __init__(self, published: Json, ours: Json) -> None:
        self._published = _Document(published)
        self._ours = _Document(ours)

    def run(self) -> Iterator[Difference]:
        """Compare every operation of either."""
        for key, operation in self._published.operations.items():
            where = self._published.names[key]
            own = self._ours.operations.get(key)
            if own is None:
                yield Difference(where, "is missing")
                continue
            for what in self._operation(operation, own):
                yield Difference(where, what)
        for key in self._ours.operations.keys() - self._published.operations.keys():
            yield Difference(self._ours.names[key], "is not published")

    def _operation(self, published: Json, ours: Json) -> Iterator[str]:
        if published["operationId"] != ours["operationId"]:
            yield f"operationId is {ours['operationId']}, not {published['operationId']}"
        yield from self._parameters(published, ours)
        yield from self._request_body(published, ours)
        yield from self._responses(published["responses"], ours["responses"])

    def _parameters(self, published: Json, ours: Json) -> Iterator[str]:
        theirs, own = self._published.parameters(published), self._ours.parameters(ours)
        for (place, name), parameter in theirs.items():
            what = f"{place} parameter {name}"
            mine = own.get((place, name))
            if mine is None:
                yield f"{what} is missing"
                continue
            yield from _required(
                what, published=parameter.get("required", False), ours=mine.get("required", False)
            )
            yield from self._schemas(what, parameter["schema"], mine["schema"], is_request=True)
            default = self._published.schemas.resolve(parameter["schema"]).get("default")
            own_default = mine["schema"].get("default")
            if default is not None and own_default != default:
                yield f"{what} is {own_default} by default, not {default}"
        for place, name in own.keys() - theirs.keys():
            yield f"{place} parameter {name} is not published"

    def _request_body(self, published: Json, ours: Json) -> Iterator[str]:
        theirs, own = published.get("requestBody"), ours.get("requestBody")
        if theirs is None or own is None:
            if theirs is not None or own is not None:
                yield "body is not published" if theirs is None else "body is missing"
            return
        for media_type, content in theirs["content"].items():
            mine = own["content"].get(media_type)
            if mine is None:
                yield f"body {media_type} is missing"
                continue
            yield from self._schemas("body", content["schema"], mine["schema"], is_request=True)
        for media_type in own["content"].keys() - theirs["content"].keys():
            yield f"body {media_type} is not published"

    def _responses(self, published: Json, ours: Json) -> Iterator[str]:
        for status, response in published.items():
            mine = ours.get(status)
            if mine is None:
                yield f"response {status} is missing"
                continue
            if int(status) < _FIRST_ERROR:
                theirs = self._published.schemas.resolve(response).get("content", {})
                yield from self._contents(f"response {status}", theirs, mine.get("content", {}))
        for status in ours.keys() - published.keys():
            yield f"response {status} is not published"

    def _contents(self, what: str, published: Json, ours: Json) -> Iterator[str]:
        for media_type, content in published.items():
            mine = ours.get(media_type)
            if mine is None:
                yield f"{what} {media_type} is missing"
                continue
            if "schema" in content:
                schema = mine.get("schema", {})
                yield from self._schemas(what, content["schema"], schema, is_request=False)
        for media_type in ours.keys() - published.keys():
            yield f"{what} {media_type} is not published"

    def _schemas(
        self, what: str, published: Json, ours: Json, *, is_request: bool
    ) -> Iterator[str]:
        theirs, own = self._published.schemas.read(published), self._ours.schemas.read(ours)
        if theirs.kind and own.kind != theirs.kind:
            yield f"{what} is {own.kind or 'anything'}, not {theirs.kind}"
            return
        yield from _enumerations(what, theirs, own)
        if is_request:
            yield from _limits(what, theirs, own)
        yield from self._objects(what, theirs, own, is_request=is_request)
        if theirs.items is not None:
            items = own.items or {}
            yield from self._schemas(f"{what}[]", theirs.items, items, is_request=is_request)
        for value, member in theirs.members.items():
            mine = own.members.get(value)
            if mine is None:
                yield f"{what} {value} is missing"
                continue
            yield from self._objects(
                f"{what} {value}",
                # That a member has but one value of those that tell them apart is said by both.
                _without(theirs.discriminator, self._published.schemas.join(member)),
                _without(own.discriminator, self._ours.schemas.join(mine)),
                is_request=is_request,
            )
        for value in own.members.keys() - theirs.members.keys():
            yield f"{what} {value} is not published"

    def _objects(
        self, what: str, published: Schema, ours: Schema, *, is_request: bool
    ) -> Iterator[str]:
        for name, schema in published.properties.items():
            inner = f"{what}.{name}"
            if is_request and self._is_of_answers(schema):
                continue
            mine = ours.properties.get(name)
            if mine is None:
                yield f"{inner} is missing"
                continue
            required = name in published.required
            if is_request or required:
                # An answer may promise more than is published.
                yield from _required(inner, published=required, ours=name in ours.required)
            yield from self._schemas(inner, schema, mine, is_request=is_request)
        for name in ours.properties.keys() - published.properties.keys():
            yield f"{what}.{name} is not published"
        if published.extra is not None:
            extra = ours.extra or {}
            yield from self._schemas(f"{what}.*", published.extra, extra, is_request=is_request)

    def _is_of_answers(self, schema: Json) -> bool:
        return bool(self._published.schemas.resolve(schema).get("readOnly", False))


def _without(name: str, schema: Schema) -> Schema:
    properties = {key: each for key, each in schema.properties.items() if key != name}
    return replace(schema, properties=properties)


def _required(what: str, *, published: bool, ours: bool) -> Iterator[str]:
    if published != ours:
        yield f"{what} is required" if ours else f"{what} is not required"


def _enumerations(what: str, published: Schema, ours: Schema) -> Iterator[str]:
    for value in sorted(map(str, published.values - ours.values)):
        yield f"{what} value {value} is missing"
    for value in sorted(map(str, ours.values - published.values)):
        yield f"{what} value {value} is not published"


def _limits(what: str, published: Schema, ours: Schema) -> Iterator[str]:
    for name in sorted(published.limits.keys() | ours.limits.keys()):
        theirs: Any = published.limits.get(name)
        own: Any = ours.limits.get(name)
        if theirs != own:
            yield f"{what} has {name} {own}, not {theirs}"
    if published.nullable and not ours.nullable:
        yield f"{what} may not be null"
