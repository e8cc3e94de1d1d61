"""The documents that a server is fuzzed by: its own and the published one, with values it knows."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sild.adminapi.centralserver import additions as central_additions
from sild.adminapi.centralserver import application as central_application
from sild.adminapi.contract import Addition, Difference, differences, read_description
from sild.adminapi.securityserver import additions as security_additions
from sild.adminapi.securityserver import application as security_application

Json = dict[str, Any]

_METHODS = ("get", "post", "put", "patch", "delete")
_FIRST_ERROR = 400
_ERROR = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorInfo"}}}
_EXAMPLES = 2
_LIMITS = ("minLength", "maxLength", "pattern", "minimum", "maximum", "format")


@dataclass(frozen=True, slots=True)
class Api:
    """An API: how it is described, and what its published document says that is not so."""

    describe: Callable[[], Json]
    additions: tuple[Addition, ...]
    not_required: Mapping[str, tuple[str, ...]]
    """Fields of schemas that answers do not always have, here or elsewhere."""
    unlimited: tuple[str, ...]
    """Schemas whose limits answers exceed: signatures, keys and names are longer."""


# What a certificate of another kind does not have.
_NOT_REQUIRED = {
    "CertificateDetails": (
        *("rsa_public_key_modulus", "rsa_public_key_exponent"),
        *("key_usages", "subject_alternative_names"),
    ),
}

CENTRAL_API = Api(
    central_application.describe_api,
    central_additions.ADDITIONS,
    {
        **_NOT_REQUIRED,
        "ConfigurationPart": ("file_updated_at", "version"),  # nobody may have uploaded it yet
        "ManagementServicesConfiguration": ("security_server_id", "service_provider_name"),
    },
    # Who is no client yet has a blank id.
    ("CertificateDetails", "ManagementServicesConfiguration"),
)
SECURITY_API = Api(
    security_application.describe_api,
    security_additions.ADDITIONS,
    {
        **_NOT_REQUIRED,
        "Anchor": ("created_at",),
        "ConnectionStatus": ("error",),
        "TokenCertificate": ("owner_id",),
        "TokenCertificateSigningRequest": ("owner_id",),
    },
    # The id of a client is longer than what is said of a description's.
    ("CertificateDetails", "ServiceDescription"),
)


def own_document(api: Api) -> Json:
    """Our own description."""
    return _without_files(copy.deepcopy(api.describe()))


def published_document(api: Api, path: Path) -> Json:
    """The published description, with what our table of additions says of answers."""
    document = copy.deepcopy(dict(read_description(path)))
    for difference in differences(document, api.describe(), api.additions):
        words = difference.what.split()
        is_more = words[0] == "response" and words[2:] == ["is", "not", "published"]
        if is_more and words[1].isdecimal():
            for operation in _operations_of(document, difference):
                _add_answer(operation["responses"], words[1])
    schemas = document["components"]["schemas"]
    for schema in schemas.values():
        if "required" in schema and "allOf" not in schema:
            # Some schemas demand a property that only another schema has.
            schema["required"] = [each for each in schema["required"] if each in _own(schema)]
    for name, fields in api.not_required.items():
        required = schemas[name]["required"]
        schemas[name]["required"] = [each for each in required if each not in fields]
    for name in api.unlimited:
        for described in schemas[name]["properties"].values():
            for limit in _LIMITS:
                described.pop(limit, None)
    # No 401 is published of it, either: anybody may read what may be asked.
    document["paths"]["/openapi.yaml"]["get"]["security"] = []
    return _without_files(document)


def with_numbers(document: Json) -> Json:
    """The document with numbers where bodies have texts, and texts where they have others.

    Where they can be read as such they are taken, as clients send them.
    """
    document = copy.deepcopy(document)
    for schema in _schemas(document):
        properties = schema["properties"]
        properties.update({name: _lenient(each) for name, each in properties.items()})
    return document


def with_known(document: Json, known: Mapping[str, Sequence[Any]]) -> Json:
    """The document with values that the server knows beside all others, by their names."""
    return _with(document, known, _either)


def with_examples(document: Json, known: Mapping[str, Sequence[Any]]) -> Json:
    """The document with values that the server knows, only to start from."""
    return _with(document, known, lambda schema, values: schema | _examples(values))


def _with(
    document: Json,
    known: Mapping[str, Sequence[Any]],
    change: Callable[[Json, Sequence[Any]], Json],
) -> Json:
    document = copy.deepcopy(document)
    for first, parameters in _parameters(document):
        for parameter in parameters:
            name = parameter.get("name")
            values = known.get(f"{first}.{name}") or known.get(name)
            if values:
                parameter["schema"] = change(parameter["schema"], values)
    for schema in _schemas(document):
        for name, described in schema.get("properties", {}).items():
            if name in known and "properties" not in described:
                schema["properties"][name] = change(described, known[name])
    return document


def _own(schema: Json) -> Json:
    properties: Json = schema.get("properties", {})
    return properties


def _without_files(document: Json) -> Json:
    """The fuzzer reads YAML and JSON, and would then look for the file that it is described as."""
    for item in document["paths"].values():
        content = item.get("get", {}).get("responses", {}).get("200", {}).get("content", {})
        for media_type in ("application/x-yaml", "application/json"):
            answer = content.get(media_type, {})
            if answer.get("schema", {}).get("type") == "string":
                del answer["schema"]
    return document


def _lenient(schema: Json) -> Json:
    is_file = "contentMediaType" in schema or schema.get("format") == "binary"
    if schema.get("type") == "string" and "enum" not in schema and not is_file:
        return {"anyOf": [schema, {"type": "number"}]}
    if schema.get("type") in ("boolean", "integer"):
        return {"anyOf": [schema, {"type": "number"}, {"type": "string"}]}
    changed = {"items": _lenient(schema["items"])} if "items" in schema else {}
    if "anyOf" in schema:
        changed["anyOf"] = [_lenient(each) for each in schema["anyOf"]]
    return schema | changed


def _either(schema: Json, values: Sequence[Any]) -> Json:
    return {"anyOf": [{"enum": _each_once(values)}, schema]} | _examples(values)


def _examples(values: Sequence[Any]) -> Json:
    # The two versions of the format name it otherwise.
    return {"example": values[0], "examples": _each_once(values)[:_EXAMPLES]}


def _each_once(values: Sequence[Any]) -> list[Any]:
    return [each for place, each in enumerate(values) if each not in values[:place]]


def _operations_of(document: Json, difference: Difference) -> Iterator[Json]:
    method, _, path = difference.where.partition(" ")
    operation = document["paths"].get(path, {}).get(method.lower())
    if operation is not None:
        yield operation


def _add_answer(responses: Json, status: str) -> None:
    if int(status) >= _FIRST_ERROR:
        responses[status] = {"description": "", "content": _ERROR}
    else:
        successes = (each for each in responses if int(each) < _FIRST_ERROR)
        responses[status] = copy.deepcopy(responses[next(successes)])


def _parameters(document: Json) -> Iterator[tuple[str, list[Json]]]:
    """The parameters, with the first part of the path that they are of."""
    yield "", list(document["components"].get("parameters", {}).values())
    for path, item in document["paths"].items():
        first = path.split("/")[1]
        yield first, item.get("parameters", [])
        for method in _METHODS:
            yield first, item.get(method, {}).get("parameters", [])


def _schemas(document: Json) -> Iterator[Json]:
    waiting: list[Any] = [document["components"]["schemas"], document["paths"]]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            if isinstance(each.get("properties"), dict):
                yield each
            waiting.extend(each.values())
        elif isinstance(each, list):
            waiting.extend(each)
