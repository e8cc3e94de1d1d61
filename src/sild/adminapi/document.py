"""The OpenAPI document of an application, made from its operations."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastapi.openapi.utils import get_openapi

from sild.adminapi.routes import OperationRoute

# What the framework says of validation errors; here they are answered as all errors are.
_UNUSED_STATUS, _BAD_REQUEST = "422", "400"
_UNSUPPORTED_MEDIA_TYPE = "415"
_UNUSED_SCHEMAS = ("HTTPValidationError", "ValidationError")


@dataclass(frozen=True, slots=True)
class Description:
    """What the document says of an API as a whole."""

    title: str
    version: str


def make_document(
    description: Description, operations: Sequence[OperationRoute], prefix: str
) -> dict[str, Any]:
    """Give the document, with paths relative to the prefix, of what is below that."""
    operations = [route for route in operations if route.path.startswith(f"{prefix}/")]
    document = get_openapi(
        title=description.title,
        version=description.version,
        routes=operations,
        servers=[{"url": prefix}],
    )
    paths = document["paths"]
    document["paths"] = {path.removeprefix(prefix): item for path, item in paths.items()}
    for item in document["paths"].values():
        for operation in item.values():
            _describe_refusals(operation)
    components = document.setdefault("components", {})
    for name in _UNUSED_SCHEMAS:
        components.get("schemas", {}).pop(name, None)
    components["securitySchemes"] = {
        "ApiKeyAuth": {"type": "apiKey", "in": "header", "name": "Authorization"}
    }
    document["security"] = [{"ApiKeyAuth": []}]
    for route in operations:
        if route.operation.is_open:
            path = document["paths"][route.operation.path]
            path[route.operation.method.lower()]["security"] = []
    return document


def _describe_refusals(operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    if responses.pop(_UNUSED_STATUS, None) is not None:
        responses.setdefault(_BAD_REQUEST, _refusal("Bad Request"))
    if "requestBody" in operation:
        responses.setdefault(_UNSUPPORTED_MEDIA_TYPE, _refusal("Unsupported Media Type"))


def _refusal(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/ErrorInfo"}
    return {"description": description, "content": {"application/json": {"schema": schema}}}
