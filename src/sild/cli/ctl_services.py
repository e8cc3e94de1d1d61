"""`sild ctl`: service descriptions, services and endpoints."""

from typing import TYPE_CHECKING, Any

from sild.cli.ctl_clients import SUBJECT_COLUMNS, SUBJECTS, resolve_groups, subjects_body
from sild.cli.ctl_operations import (
    CLIENT,
    IGNORE_WARNINGS,
    Operation,
    Values,
    body,
    path,
    switch,
    typed,
    whole,
)

if TYPE_CHECKING:
    from sild.apiclient.client import ApiClient

_TYPES = ("WSDL", "REST", "OPENAPI3")
_METHODS = ("*", "GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE")
_DESCRIPTION = path("id", "the number of the description, as `descriptions list` tells it")
_SERVICE = path("id", "the service, INSTANCE:CLASS:CODE:SUBSYSTEM:SERVICE[.VERSION]")
_ENDPOINT = path("id", "the number of the endpoint, as `services show` tells it")
_SERVICES = ("id", "url", "timeout", "ssl_auth", "subjects_count", "title")
_DESCRIPTIONS = ("id", "type", "url", "disabled", "disabled_notice", "refreshed_at")


def _services_of(descriptions: Any) -> Any:
    return [
        {**service, "type": each["type"], "disabled": each["disabled"]}
        for each in descriptions
        for service in each["services"]
    ]


async def _as_it_is(client: "ApiClient", values: Values) -> None:
    """What is not said of a service stays: the API wants to be told all of it."""
    from sild.apiclient.values import path_of

    found = (await client.call("GET", path_of("services", values["id"]))).json
    for name in ("url", "timeout"):
        if values[name] is None:
            values[name] = found[name]
    if values["ssl_auth"] is None:
        values["ssl_auth"] = bool(found.get("ssl_auth")) and values["url"].startswith("https:")


async def _description_as_it_is(client: "ApiClient", values: Values) -> None:
    from sild.apiclient.values import path_of

    found = (await client.call("GET", path_of("service-descriptions", values["id"]))).json
    values["type"] = found["type"]
    if values["url"] is None:
        values["url"] = found["url"]
    if found["type"] != "WSDL":
        code = found["services"][0]["service_code"]
        values["rest_service_code"] = code
        values["new_rest_service_code"] = values["code"] or code


def _description_update(values: Values) -> dict[str, Any]:
    names = ("type", "url", "rest_service_code", "new_rest_service_code", "ignore_warnings")
    return {name: values[name] for name in names if values.get(name) is not None}


OPERATIONS = (
    Operation(
        "descriptions list",
        "GET /clients/{id}/service-descriptions",
        "list a client's service descriptions",
        (CLIENT,),
        _DESCRIPTIONS,
    ),
    Operation(
        "descriptions show",
        "GET /service-descriptions/{id}",
        "show a service description",
        (_DESCRIPTION,),
    ),
    Operation(
        "descriptions add",
        "POST /clients/{id}/service-descriptions",
        "add a WSDL, an OpenAPI description or a REST service; it is off until it is enabled",
        (
            CLIENT,
            body("type", "of these", choices=_TYPES),
            body("url", "the description, or the base of the REST service"),
            body("--rest-service-code", "the service's code, unless it is a WSDL"),
            IGNORE_WARNINGS,
        ),
    ),
    Operation(
        "descriptions update",
        "PATCH /service-descriptions/{id}",
        "give it another address or service code",
        (
            _DESCRIPTION,
            typed("--url", "the address"),
            typed("--code", "the service's code, unless it is a WSDL"),
            IGNORE_WARNINGS,
        ),
        build=_description_update,
        resolve=_description_as_it_is,
    ),
    Operation(
        "descriptions delete",
        "DELETE /service-descriptions/{id}",
        "delete it with its services and their rights",
        (_DESCRIPTION,),
    ),
    Operation(
        "descriptions enable",
        "PUT /service-descriptions/{id}/enable",
        "switch its services on",
        (_DESCRIPTION,),
    ),
    Operation(
        "descriptions disable",
        "PUT /service-descriptions/{id}/disable",
        "switch its services off",
        (_DESCRIPTION, body("disabled_notice", "what callers are told", optional=True)),
    ),
    Operation(
        "descriptions refresh",
        "PUT /service-descriptions/{id}/refresh",
        "read it again; what would come and go is a warning",
        (_DESCRIPTION, IGNORE_WARNINGS),
        fixed={"ignore_warnings": False},
    ),
    Operation(
        "descriptions services",
        "GET /service-descriptions/{id}/services",
        "list its services",
        (_DESCRIPTION,),
        _SERVICES,
    ),
    Operation(
        "services list",
        "GET /clients/{id}/service-descriptions",
        "list a client's services",
        (CLIENT,),
        (*_SERVICES[:-2], "type", "disabled"),
        rows=_services_of,
    ),
    Operation("services show", "GET /services/{id}", "show a service", (_SERVICE,)),
    Operation(
        "services set",
        "PATCH /services/{id}",
        "say where a service is, how long to wait, and whether its certificate is verified",
        (
            _SERVICE,
            body("--url", "where it is"),
            body("--timeout", "seconds", kind=whole),
            body("--ssl-auth", "verify its certificate, yes or no", kind=switch),
            body("--url-all", "for all services of the description", flag=True),
            body("--timeout-all", "for all services of the description", flag=True),
            body("--ssl-auth-all", "for all services of the description", flag=True),
            IGNORE_WARNINGS,
        ),
        resolve=_as_it_is,
    ),
    Operation(
        "services clients",
        "GET /services/{id}/service-clients",
        "list who may call a service",
        (_SERVICE,),
        SUBJECT_COLUMNS,
    ),
    Operation(
        "services grant",
        "POST /services/{id}/service-clients",
        "let some call a service",
        (_SERVICE, SUBJECTS),
        SUBJECT_COLUMNS,
        build=subjects_body,
        resolve=resolve_groups,
    ),
    Operation(
        "services revoke",
        "POST /services/{id}/service-clients/delete",
        "let some call it no longer",
        (_SERVICE, SUBJECTS),
        build=subjects_body,
        resolve=resolve_groups,
    ),
    Operation("endpoints show", "GET /endpoints/{id}", "show an endpoint", (_ENDPOINT,)),
    Operation(
        "endpoints add",
        "POST /services/{id}/endpoints",
        "add a method and path of a REST service, to give rights to just that",
        (
            _SERVICE,
            body("method", "of these", choices=_METHODS),
            body("path", "such as /persons/*"),
        ),
        build=lambda values: {
            "service_code": values["id"].rpartition(":")[2],
            "method": values["method"],
            "path": values["path"],
        },
    ),
    Operation(
        "endpoints update",
        "PATCH /endpoints/{id}",
        "give it another method and path",
        (_ENDPOINT, body("method", "of these", choices=_METHODS), body("path", "the path")),
    ),
    Operation("endpoints delete", "DELETE /endpoints/{id}", "delete an endpoint", (_ENDPOINT,)),
    Operation(
        "endpoints clients",
        "GET /endpoints/{id}/service-clients",
        "list who may call an endpoint",
        (_ENDPOINT,),
        SUBJECT_COLUMNS,
    ),
    Operation(
        "endpoints grant",
        "POST /endpoints/{id}/service-clients",
        "let some call an endpoint; local groups by their numbers",
        (_ENDPOINT, SUBJECTS),
        SUBJECT_COLUMNS,
        build=subjects_body,
    ),
    Operation(
        "endpoints revoke",
        "POST /endpoints/{id}/service-clients/delete",
        "let some call it no longer",
        (_ENDPOINT, SUBJECTS),
        build=subjects_body,
    ),
)
