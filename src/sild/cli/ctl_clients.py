"""`sild ctl`: clients, their groups and certificates, and who may call them."""

from typing import TYPE_CHECKING, Any

from sild.cli.ctl_operations import (
    CLIENT,
    IGNORE_WARNINGS,
    Operation,
    Values,
    body,
    octets,
    path,
    query,
    switch,
    typed,
)

if TYPE_CHECKING:
    from sild.apiclient.client import ApiClient

_CONNECTIONS = ("HTTP", "HTTPS", "HTTPS_NO_AUTH")
_KINDS = ("GLOBALGROUP", "LOCALGROUP", "SUBSYSTEM")
_COLUMNS = ("id", "member_name", "subsystem_name", "status", "connection_type", "owner")
_CERTIFICATES = ("hash", "subject_common_name", "issuer_common_name", "not_after")
_GROUP = path("group_id", "the number of the group, as `groups list` tells it")
_SHA256 = path("hash", "the certificate's SHA-256")
_MEMBERS = body("items", "members and subsystems", many=True)
SUBJECTS = typed(
    "subjects",
    "who: a subsystem (I:C:M:S), a global group (I:CODE), a local group (its number or code)",
    many=True,
)
SUBJECT_COLUMNS = ("id", "service_client_type", "name", "local_group_code", "rights_given_at")


def _client_of(values: Values) -> dict[str, Any]:
    parts = values["id"].split(":")
    if len(parts) not in (3, 4):
        raise ValueError(f"{values['id']!r} is no INSTANCE:CLASS:CODE[:SUBSYSTEM]")
    names = ("member_class", "member_code", "subsystem_code")
    client = dict(zip(names, parts[1:], strict=False))
    if values["name"] is not None:
        client["subsystem_name"] = values["name"]
    client["connection_type"] = values["connection_type"] or "HTTPS"
    return {"client": client, "ignore_warnings": bool(values["ignore_warnings"])}


def _codes(values: Values) -> dict[str, Any]:
    return {"items": [{"service_code": code} for code in values["codes"]]}


def subjects_body(values: Values) -> dict[str, Any]:
    """Who is meant, as the API lists them."""
    return {"items": [_subject(each) for each in values["subjects"]]}


def _subject(text: str) -> dict[str, str]:
    kind = {0: "LOCALGROUP", 1: "GLOBALGROUP"}.get(text.count(":"), "SUBSYSTEM")
    return {"id": text, "service_client_type": kind}


async def resolve_groups(client: "ApiClient", values: Values) -> None:
    """Put numbers in the place of local groups' codes; a service tells whose they are."""
    codes = [each for each in values["subjects"] if ":" not in each and not each.isdecimal()]
    if codes:
        owner = ":".join(values["id"].split(":")[:4])
        numbers = await _numbers(client, owner)
        values["subjects"] = [numbers.get(each, each) for each in values["subjects"]]


async def resolve_subject(client: "ApiClient", values: Values) -> None:
    """Put its number in the place of a local group's code."""
    subject = values["sc_id"]
    if ":" not in subject and not subject.isdecimal():
        values["sc_id"] = (await _numbers(client, values["id"])).get(subject, subject)


async def _numbers(client: "ApiClient", owner: str) -> dict[str, str]:
    from sild.apiclient.values import path_of

    groups = await client.call("GET", path_of("clients", owner) + "/local-groups")
    return {group["code"]: group["id"] for group in groups.json}


_SUBJECT = path("sc_id", "who: a subsystem, a global group, or a local group's number or code")
_CODES = typed("codes", "service codes, without versions", many=True)

OPERATIONS = (
    Operation(
        "clients list",
        "GET /clients",
        "list the clients of this server, or of all servers",
        (
            query("--name", "whose name has this in it"),
            query("--instance", "of this instance"),
            query("--member-class", "of this member class"),
            query("--member-code", "whose member code has this in it"),
            query("--subsystem-code", "whose subsystem code has this in it"),
            query("--show-members", "with members themselves", kind=switch),
            query("--internal-search", "of this server alone, yes or no", kind=switch),
            query("--local-valid-sign-cert", "with a signing certificate here", kind=switch),
            query("--exclude-local", "without those of this server", kind=switch),
            query("--include-management-service-check", "say who provides those", kind=switch),
        ),
        _COLUMNS,
    ),
    Operation("clients show", "GET /clients/{id}", "show a client", (CLIENT,)),
    Operation(
        "clients add",
        "POST /clients",
        "add a client, which is not registered by that",
        (
            typed("id", "INSTANCE:CLASS:CODE[:SUBSYSTEM]"),
            typed("--name", "the subsystem's name"),
            typed("--connection-type", "how its systems connect", choices=_CONNECTIONS),
            IGNORE_WARNINGS,
        ),
        build=_client_of,
    ),
    Operation(
        "clients connection",
        "PATCH /clients/{id}",
        "say how a client's information systems connect",
        (CLIENT, body("connection_type", "of these", choices=_CONNECTIONS)),
    ),
    Operation("clients delete", "DELETE /clients/{id}", "delete a client", (CLIENT,)),
    Operation(
        "clients register", "PUT /clients/{id}/register", "ask for its registration", (CLIENT,)
    ),
    Operation(
        "clients unregister", "PUT /clients/{id}/unregister", "end its registration", (CLIENT,)
    ),
    Operation("clients disable", "PUT /clients/{id}/disable", "switch a client off", (CLIENT,)),
    Operation("clients enable", "PUT /clients/{id}/enable", "switch it on again", (CLIENT,)),
    Operation(
        "clients make-owner",
        "PUT /clients/{id}/make-owner",
        "ask for another owner of the server",
        (CLIENT,),
    ),
    Operation(
        "clients rename",
        "PUT /clients/{id}/rename",
        "give a subsystem another name",
        (CLIENT, body("client_name", "the name")),
    ),
    Operation(
        "clients servers",
        "GET /clients/{id}/security-servers",
        "list the servers where a client is registered",
        (CLIENT,),
        ("id", "server_address"),
    ),
    Operation(
        "clients sign-certificates",
        "GET /clients/{id}/sign-certificates",
        "list the signing certificates of a client's member",
        (CLIENT,),
        ("certificate_details.hash", "owner_id", "status", "ocsp_status", "active"),
    ),
    Operation(
        "clients orphans",
        "GET /clients/{id}/orphans",
        "say whether a deleted client has left keys",
        (CLIENT,),
    ),
    Operation(
        "clients delete-orphans",
        "DELETE /clients/{id}/orphans",
        "delete the keys that it has left",
        (CLIENT,),
    ),
    Operation(
        "client-certificates list",
        "GET /clients/{id}/tls-certificates",
        "list the TLS certificates of a client's information systems",
        (CLIENT,),
        _CERTIFICATES,
    ),
    Operation(
        "client-certificates show",
        "GET /clients/{id}/tls-certificates/{hash}",
        "show one",
        (CLIENT, _SHA256),
    ),
    Operation(
        "client-certificates add",
        "POST /clients/{id}/tls-certificates",
        "let an information system in that shows this certificate",
        (CLIENT, octets("a certificate, PEM or DER")),
        _CERTIFICATES,
    ),
    Operation(
        "client-certificates delete",
        "DELETE /clients/{id}/tls-certificates/{hash}",
        "let it in no longer",
        (CLIENT, _SHA256),
    ),
    Operation(
        "groups list",
        "GET /clients/{id}/local-groups",
        "list a client's local groups",
        (CLIENT,),
        ("id", "code", "description", "member_count", "updated_at"),
    ),
    Operation("groups show", "GET /local-groups/{group_id}", "show a local group", (_GROUP,)),
    Operation(
        "groups add",
        "POST /clients/{id}/local-groups",
        "add a local group",
        (CLIENT, body("code", "its code"), body("description", "what it is")),
    ),
    Operation(
        "groups describe",
        "PATCH /local-groups/{group_id}",
        "describe a local group otherwise",
        (_GROUP, body("description", "what it is")),
    ),
    Operation("groups delete", "DELETE /local-groups/{group_id}", "delete a group", (_GROUP,)),
    Operation(
        "groups add-members",
        "POST /local-groups/{group_id}/members",
        "put members into a local group",
        (_GROUP, _MEMBERS),
    ),
    Operation(
        "groups remove-members",
        "POST /local-groups/{group_id}/members/delete",
        "take members out of it",
        (_GROUP, _MEMBERS),
    ),
    Operation(
        "rights list",
        "GET /clients/{id}/service-clients",
        "list who may call services of a client",
        (CLIENT,),
        SUBJECT_COLUMNS,
    ),
    Operation(
        "rights candidates",
        "GET /clients/{id}/service-client-candidates",
        "find who may be given rights",
        (
            CLIENT,
            query("--member-name-group-description", "whose name or description has this in it"),
            query("--service-client-type", "of this kind", choices=_KINDS),
            query("--instance", "of this instance"),
            query("--member-class", "of this member class"),
            query("--member-group-code", "whose member or group code has this in it"),
            query("--subsystem-code", "whose subsystem code has this in it"),
        ),
        SUBJECT_COLUMNS,
    ),
    Operation(
        "rights who",
        "GET /clients/{id}/service-clients/{sc_id}",
        "show one who may call services of a client",
        (CLIENT, _SUBJECT),
        resolve=resolve_subject,
    ),
    Operation(
        "rights show",
        "GET /clients/{id}/service-clients/{sc_id}/access-rights",
        "list the services of a client that someone may call",
        (CLIENT, _SUBJECT),
        ("service_code", "service_title", "rights_given_at"),
        resolve=resolve_subject,
    ),
    Operation(
        "rights grant",
        "POST /clients/{id}/service-clients/{sc_id}/access-rights",
        "let someone call services of a client",
        (CLIENT, _SUBJECT, _CODES),
        ("service_code", "service_title", "rights_given_at"),
        build=_codes,
        resolve=resolve_subject,
    ),
    Operation(
        "rights revoke",
        "POST /clients/{id}/service-clients/{sc_id}/access-rights/delete",
        "let them call services no longer",
        (CLIENT, _SUBJECT, _CODES),
        build=_codes,
        resolve=resolve_subject,
    ),
)
