"""`sild ctl`: the server itself: its setup, addresses, time-stamping, backups, and people."""

from typing import TYPE_CHECKING, Any

from sild.cli.ctl_operations import (
    IGNORE_WARNINGS,
    IGNORE_WARNINGS_IN_QUERY,
    Argument,
    Operation,
    Values,
    Where,
    body,
    octets,
    path,
    query,
    switch,
    typed,
)

if TYPE_CHECKING:
    from sild.apiclient.client import ApiClient

_STAMPING = ("name", "url", "cost_type")
_BACKUP = path("filename", "the backup, as `backups list` tells it")
_KEY_ID = path("id", "the API key's number, as `api-keys list` tells it")
_ROLES = typed("roles", "roles, such as XROAD_SYSTEM_ADMINISTRATOR", many=True)
_INSTANCE = query("--validate-instance", "must be of this server's instance", kind=switch)


def _of_stamping(place: str) -> Any:
    async def resolve(client: "ApiClient", values: Values) -> None:
        """Find the service that is meant: the API wants to be told all of it."""
        wanted = values["name"]
        services = (await client.call("GET", place)).json
        for each in services:
            if wanted in (each["name"], each["url"]):
                values["service"] = {name: each[name] for name in _STAMPING}
                return
        known = ", ".join(each["name"] for each in services) or "there is none"
        raise ValueError(f"there is no time-stamping service {wanted!r}: {known}")

    return resolve


def _roles(values: Values) -> Any:
    return values["roles"]


OPERATIONS = (
    Operation("init status", "GET /initialization/status", "say what a new server still needs"),
    Operation(
        "init run",
        "POST /initialization",
        "initialise a new server, after its anchor was uploaded",
        (
            body("owner_member_class", "the owner's member class"),
            body("owner_member_code", "the owner's member code"),
            body("security_server_code", "the server's code"),
            body("--software-token-pin", "the PIN that its keys get", secret=True),
            IGNORE_WARNINGS,
        ),
    ),
    Operation("anchor show", "GET /system/anchor", "show the configuration anchor"),
    Operation(
        "anchor upload", "POST /system/anchor", "upload the first anchor", (octets("the anchor"),)
    ),
    Operation(
        "anchor replace", "PUT /system/anchor", "replace the anchor", (octets("the anchor"),)
    ),
    Operation(
        "anchor preview",
        "POST /system/anchor/previews",
        "show the hash of an anchor, to compare it with what its publisher says",
        (octets("the anchor"), _INSTANCE),
    ),
    Operation(
        "anchor download",
        "GET /system/anchor/download",
        "download the anchor",
        saves="configuration_anchor.xml",
    ),
    Operation("address show", "GET /system/server-address", "show the server's address"),
    Operation(
        "address set",
        "PUT /system/server-address",
        "ask for another address",
        (body("address", "where the server is found"),),
    ),
    Operation("maintenance show", "GET /system/maintenance-mode", "show the maintenance mode"),
    Operation(
        "maintenance on",
        "PUT /system/maintenance-mode/enable",
        "tell everybody that the server is being maintained",
        (body("message", "what callers are told", optional=True),),
        fixed={},
    ),
    Operation("maintenance off", "PUT /system/maintenance-mode/disable", "end that"),
    Operation("tls show", "GET /system/certificate", "show the certificate that clients see"),
    Operation("tls generate", "POST /system/certificate", "make another key and certificate"),
    Operation(
        "tls export",
        "GET /system/certificate/export",
        "download it, for information systems",
        saves="certs.tar.gz",
    ),
    Operation(
        "tls csr",
        "POST /system/certificate/csr",
        "make a certificate request for it",
        (body("name", "the distinguished name, such as C=EE,CN=ss1.example.org"),),
        saves="request.csr",
    ),
    Operation(
        "tls import",
        "POST /system/certificate/import",
        "import a certificate for it",
        (octets("the certificate"),),
    ),
    Operation("system version", "GET /system/version", "show the version"),
    Operation("system node-type", "GET /system/node-type", "show what the node is in a cluster"),
    Operation(
        "system openapi",
        "GET /openapi.yaml",
        "download the description of the API",
        saves="openapi.yaml",
    ),
    Operation(
        "timestamping list",
        "GET /system/timestamping-services",
        "list the time-stamping services in use",
        columns=_STAMPING,
    ),
    Operation(
        "timestamping approved",
        "GET /timestamping-services",
        "list those that are approved",
        columns=_STAMPING,
    ),
    Operation(
        "timestamping add",
        "POST /system/timestamping-services",
        "use an approved time-stamping service",
        (typed("name", "its name or address"),),
        build=lambda values: values["service"],
        resolve=_of_stamping("/timestamping-services"),
    ),
    Operation(
        "timestamping remove",
        "POST /system/timestamping-services/delete",
        "use it no longer",
        (typed("name", "its name or address"),),
        build=lambda values: values["service"],
        resolve=_of_stamping("/system/timestamping-services"),
    ),
    Operation(
        "timestamping strategy",
        "GET /system/timestamping-services/prioritization-strategy",
        "say which services are asked first",
    ),
    Operation(
        "backups list", "GET /backups", "list the backups", columns=("filename", "created_at")
    ),
    Operation("backups add", "POST /backups", "make a backup"),
    Operation("backups add-ext", "POST /backups/ext", "make one, and tell of local settings"),
    Operation(
        "backups upload",
        "POST /backups/upload",
        "upload a backup",
        (Argument("file", "the backup", Where.FORM), IGNORE_WARNINGS_IN_QUERY),
    ),
    Operation("backups delete", "DELETE /backups/{filename}", "delete a backup", (_BACKUP,)),
    Operation(
        "backups download",
        "GET /backups/{filename}/download",
        "download a backup",
        (_BACKUP,),
        saves="{filename}",
    ),
    Operation("backups restore", "PUT /backups/{filename}/restore", "restore a backup", (_BACKUP,)),
    Operation("mail status", "GET /mail/mail-notification-status", "say who is sent what mail"),
    Operation(
        "mail test",
        "PUT /mail/send-test-mail",
        "send a mail to see whether it arrives",
        (body("mail_address", "to whom"),),
    ),
    Operation(
        "instances list",
        "GET /xroad-instances",
        "list the instances that are known",
        columns=("identifier", "local"),
    ),
    Operation(
        "member-classes list",
        "GET /member-classes",
        "list the member classes",
        (query("--current-instance", "of this instance alone", kind=switch),),
    ),
    Operation(
        "member-classes of",
        "GET /member-classes/{id}",
        "list those of an instance",
        (path("id", "the instance"),),
    ),
    Operation(
        "members name",
        "GET /member-names",
        "say what a member is called",
        (query("member_class", "its member class"), query("member_code", "its member code")),
    ),
    Operation(
        "servers list",
        "GET /security-servers",
        "list the security servers of the instance",
        (query("--current-server", "this one alone", kind=switch),),
        ("id", "server_address"),
    ),
    Operation(
        "servers show",
        "GET /security-servers/{id}",
        "show a security server",
        (path("id", "INSTANCE:CLASS:CODE:SERVER"),),
    ),
    Operation("api-keys list", "GET /api-keys", "list the API keys", columns=("id", "roles")),
    Operation("api-keys show", "GET /api-keys/{id}", "show an API key's roles", (_KEY_ID,)),
    Operation(
        "api-keys add",
        "POST /api-keys",
        "make an API key with some of your own roles; it is shown this once",
        (_ROLES,),
        build=_roles,
    ),
    Operation(
        "api-keys roles",
        "PUT /api-keys/{id}",
        "give an API key other roles",
        (_KEY_ID, _ROLES),
        build=_roles,
    ),
    Operation("api-keys revoke", "DELETE /api-keys/{id}", "revoke an API key", (_KEY_ID,)),
    Operation("me show", "GET /user", "say who you are to the server, and what you may do"),
    Operation("alerts list", "GET /notifications/alerts", "say what is wrong"),
)
