"""Reads what an OpenAPI description, 3.0 or 3.1, offers, and how it is not as it should be.

The only module that names the OpenAPI libraries. What a description refers to elsewhere is not
fetched. To be run in a confined process: the libraries take as long, and as much memory, as the
description makes them.
"""

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from io import StringIO
from typing import Any, TypeAlias
from urllib.parse import urljoin

from jsonschema.exceptions import ValidationError  # type: ignore[import-untyped]
from jsonschema_path.handlers.file import FileHandler
from openapi_spec_validator import OpenAPIV30SpecValidator, OpenAPIV31SpecValidator
from openapi_spec_validator.validation.exceptions import ExtraParametersError
from openapi_spec_validator.validation.validators import SpecValidator

from sild.components.serverconf.described import DescribedApi, DescribedOperation
from sild.components.serverconf.service_errors import InvalidOpenApi, UnsupportedOpenApi
from sild.model.services import METHODS, InvalidConfiguration, check_base_path, check_endpoint

_Json: TypeAlias = Any
_MOST_WARNINGS = 50
_LONGEST_WARNING = 500
_LONGEST_SHOWN = 100
_PATH_PARAMETER = re.compile(r"\{[^/]*\}")
_VARIABLE = re.compile(r"\{([^{}]*)\}")


class _Nowhere(dict[str, Callable[[str], _Json]]):
    """Handlers of references to elsewhere, whatever the scheme: they are not followed."""

    def __contains__(self, scheme: object) -> bool:
        return True

    def __missing__(self, scheme: str) -> Callable[[str], _Json]:
        return _refuse


def _refuse(uri: str) -> _Json:
    raise LookupError(f"{uri} is elsewhere, and is not read")


class _V30(OpenAPIV30SpecValidator):
    resolver_handlers = _Nowhere()  # type: ignore[assignment] # the library calls whatever is there


class _V31(OpenAPIV31SpecValidator):
    resolver_handlers = _Nowhere()  # type: ignore[assignment] # as above


def read_openapi(data: bytes, url: str) -> tuple[_Json, DescribedApi]:
    """The document, and what it offers, before it was checked; the URL is where it came from.

    Raises InvalidOpenApi, UnsupportedOpenApi.
    """
    document = _load(data)
    if not isinstance(document, dict) or not isinstance(document.get("openapi"), str):
        raise _invalid("this is no OpenAPI description: it does not say of which version it is")
    _validator_of(document)
    operations, warnings = _operations(document)
    return document, DescribedApi(_base_url(document, url), operations, warnings)


def check_openapi(document: _Json) -> tuple[str, ...]:
    """What is not as the specification has it, as warnings."""
    found: list[str] = []
    try:
        found.extend(_shown(error) for error in itertools.islice(_errors(document), _MOST_WARNINGS))
    except Exception as error:  # noqa: BLE001 - the libraries raise whatever they come across
        found.append(f"the description cannot be checked to its end: {error}"[:_LONGEST_WARNING])
    return tuple(dict.fromkeys(found))


def _errors(document: _Json) -> Iterator[ValidationError]:
    for error in _validator_of(document)(document).iter_errors():
        # That a schema requires what it does not describe is for the library alone a mistake.
        if not (_is_scalar_for_text(error) or isinstance(error, ExtraParametersError)):
            yield error


def _is_scalar_for_text(error: ValidationError) -> bool:
    """Whether it is only that YAML takes 1.0 for a number where a text belongs."""
    is_scalar = isinstance(error.instance, int | float)
    return error.validator == "type" and error.validator_value == "string" and is_scalar


def _shown(error: ValidationError) -> str:
    # Of alternatives, none of which it is, the one that fits furthest was probably meant.
    while error.context:
        error = max(error.context, key=_fit)
    place = ".".join(str(part) for part in error.absolute_path)
    message = str(error.message)
    return f"{place}: {message}"[:_LONGEST_WARNING] if place else message[:_LONGEST_WARNING]


def _fit(error: ValidationError) -> tuple[int, bool]:
    is_reference = error.validator == "required" and "$ref" in error.validator_value
    return len(error.absolute_path), not is_reference


def _load(data: bytes) -> _Json:
    try:
        return FileHandler()(StringIO(data.decode("utf-8-sig")))
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise _invalid(
            f"Unable to parse OpenAPI description: {reason[:_LONGEST_WARNING]}"
        ) from error


def _validator_of(document: Mapping[str, _Json]) -> type[SpecValidator]:
    version = document["openapi"]
    if version == "3.0" or version.startswith("3.0."):
        return _V30
    if version == "3.1.0":
        return _V31
    raise UnsupportedOpenApi(f"OpenAPI version {version[:_LONGEST_SHOWN]} not supported")


def _base_url(document: Mapping[str, _Json], url: str) -> str:
    servers = document.get("servers")
    server = servers[0] if isinstance(servers, list) and servers else {"url": "/"}
    given = server.get("url") if isinstance(server, dict) else None
    if not isinstance(given, str):
        raise _invalid("the first server of the description has no url")
    # What has variables is kept as it is, for people to complete; a scheme must be there.
    for base in (given, _completed(given, server)) if "{" in given else (_joined(url, given),):
        try:
            check_base_path(base)
        except InvalidConfiguration:
            continue
        return base
    raise _invalid(f"no service can be called at the server url {given[:_LONGEST_SHOWN]!r}")


def _joined(url: str, given: str) -> str:
    try:
        return urljoin(url, given)
    except ValueError:
        return given


def _completed(given: str, server: Mapping[str, _Json]) -> str:
    variables = server.get("variables")

    def default(found: re.Match[str]) -> str:
        variable = variables.get(found[1]) if isinstance(variables, dict) else None
        value = variable.get("default") if isinstance(variable, dict) else None
        return value if isinstance(value, str) else found[0]

    return _VARIABLE.sub(default, given)


def _operations(
    document: Mapping[str, _Json],
) -> tuple[tuple[DescribedOperation, ...], tuple[str, ...]]:
    """The operations that can be endpoints, and warnings of the others."""
    paths = document.get("paths")
    found: dict[DescribedOperation, None] = {}
    warnings: list[str] = []
    for path, item in paths.items() if isinstance(paths, dict) else ():
        if not isinstance(item, dict) or path.startswith("x-"):
            continue
        if "$ref" in item:
            warnings.append(f"paths.{path}: what $ref says is not read")
        for method in (name for name in item if name.upper() in METHODS and name.islower()):
            operation = DescribedOperation(method.upper(), _PATH_PARAMETER.sub("*", path))
            try:
                check_endpoint(operation.method, operation.path)
            except InvalidConfiguration as error:
                warnings.append(f"paths.{path}: {error.message}")
            else:
                found[operation] = None
    shown = tuple(warning[:_LONGEST_WARNING] for warning in warnings[:_MOST_WARNINGS])
    return tuple(found), shown


def _invalid(message: str) -> InvalidOpenApi:
    return InvalidOpenApi(message, message)
