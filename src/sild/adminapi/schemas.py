"""JSON schemas of OpenAPI 3.0, and of 3.1 as Pydantic writes it, as one kind of value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

Json = Mapping[str, Any]

_LIMITS = ("minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems", "pattern")
# What a format says of a number's limits without naming them.
_INTEGERS = {"int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1)}
_NUMBERS = ("integer", "number")
_BINARY = "file"


@dataclass(frozen=True, slots=True)
class Schema:
    """What a value must be; `kind` is its JSON type, `file`, `union` or, for any, an empty text."""

    kind: str = ""
    nullable: bool = False
    values: frozenset[Any] = frozenset()
    """The values of an enumeration; empty where it is none."""
    limits: Mapping[str, Any] = field(default_factory=dict)
    properties: Mapping[str, Json] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    items: Json | None = None
    members: Mapping[str, Json] = field(default_factory=dict)
    """Of a union: which schema each value of its discriminator stands for."""
    discriminator: str = ""
    """Of a union: the property that tells its members apart."""
    extra: Json | None = None
    """What properties beyond the named ones are, where that is said."""


class Schemas:
    """Reads the schemas of one document."""

    def __init__(self, document: Json) -> None:
        self._document = document

    def resolve(self, schema: Json) -> Json:
        """Follow references."""
        while "$ref" in schema:
            found: Any = self._document
            for part in schema["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            schema = found
        return schema

    def read(self, schema: Json) -> Schema:
        """Give what a schema says, with references followed and parts joined."""
        schema = self.resolve(schema)
        mapping = schema.get("discriminator", {}).get("mapping")
        if mapping:
            members = {value: _reference(target) for value, target in mapping.items()}
            return Schema(
                "union", members=members, discriminator=schema["discriminator"]["propertyName"]
            )
        return self.join(schema)

    def join(self, schema: Json) -> Schema:
        """Give what a schema says by itself, as a part or member of others."""
        # A part that others are made from stands for itself alone, whatever its discriminator says.
        schema = self.resolve(schema)
        own = _read_own(schema)
        for part in schema.get("allOf", ()):
            own = _both(own, self.join(part))
        choices = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
        real = [choice for choice in choices if choice.get("type") != "null"]
        if len(real) == 1:
            own = _both(own, self.read(real[0]))
        elif real:
            for choice in real:
                own = _both(own, replace(self.join(choice), required=frozenset()))
        if len(real) < len(choices) or schema.get("nullable"):
            own = replace(own, nullable=True)
        return own


def _reference(target: str) -> Json:
    return {"$ref": target if target.startswith("#") else f"#/components/schemas/{target}"}


def _read_own(schema: Json) -> Schema:
    kind, nullable = _kind(schema)
    values = schema.get("enum", [schema["const"]] if "const" in schema else ())
    extra = schema.get("additionalProperties")
    return Schema(
        kind,
        nullable,
        frozenset(values),
        _limits(schema),
        schema.get("properties", {}),
        frozenset(schema.get("required", ())),
        schema.get("items"),
        extra=extra if isinstance(extra, Mapping) else None,
    )


def _kind(schema: Json) -> tuple[str, bool]:
    kinds: Sequence[str] | str = schema.get("type", "")
    if isinstance(kinds, str):
        kinds = [kinds] if kinds else []
    real = [kind for kind in kinds if kind != "null"]
    kind = real[0] if real else ""
    if not kind and "properties" in schema:
        kind = "object"
    if not kind and "items" in schema:
        kind = "array"
    if kind == "string" and (schema.get("format") == "binary" or "contentMediaType" in schema):
        kind = _BINARY
    return kind, len(real) < len(kinds)


def _limits(schema: Json) -> Mapping[str, Any]:
    limits = {name: schema[name] for name in _LIMITS if name in schema}
    if schema.get("type") in _NUMBERS:
        # What is said of texts says nothing of numbers.
        limits = {name: limits[name] for name in ("minimum", "maximum") if name in limits}
    if "pattern" in limits:
        limits["pattern"] = limits["pattern"].removeprefix("^").removesuffix("$")
    implied = _INTEGERS.get(schema.get("format", ""), (None, None))
    for name, value in zip(("minimum", "maximum"), implied, strict=True):
        if value is not None:
            limits.setdefault(name, value)
    # What every value holds is no limit.
    nothing = [("minLength", 0), ("minItems", 0)]
    return {name: value for name, value in limits.items() if (name, value) not in nothing}


def _both(one: Schema, other: Schema) -> Schema:
    return Schema(
        one.kind or other.kind,
        one.nullable or other.nullable,
        one.values or other.values,
        {**other.limits, **one.limits},
        {**other.properties, **one.properties},
        one.required | other.required,
        one.items or other.items,
        one.members or other.members,
        one.discriminator or other.discriminator,
        one.extra or other.extra,
    )
