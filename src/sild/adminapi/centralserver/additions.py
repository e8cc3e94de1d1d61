"""What the Central Server's API says beyond, or other than, the published one: the table."""

from sild.adminapi.additions import ADDITIONS as OF_EVERY_API
from sild.adminapi.contract import Addition

_NOT_THERE = "what the request names may not be there, and existing clients are answered so"
_EARLY = "existing clients wait for it where the published status is another"
_STATE = "the state may not let it be done, and existing clients are answered so"
_UNCHANGED = "existing clients leave it out where there is none, or it is to stay"
_NO_PROVIDER = "there may be no provider, or none that is a client yet"
_IDENTIFIER = "what is blank or longer is no identifier, and refused whatever is published"
_BACKUPS = "it is published of a security server, and backups are the same of both"
_COLUMN = "no text of the registry is longer, and a blank one says nothing"

_REQUESTS = "* /management-requests"
_PROVIDER = "* /management-services-configuration*"

ADDITIONS: tuple[Addition, ...] = (
    *OF_EVERY_API,
    Addition("*", "response 500 is not published", "what is not foreseen is answered, too"),
    Addition("POST /initialization", "response 200 is not published", _EARLY),
    Addition("POST /initialization", "response 409 is not published", _STATE),
    Addition("POST *signing-keys", "response 200 is not published", _EARLY),
    Addition("POST *generate-csr", "response 200 is not published", _EARLY),
    Addition("POST *intermediate-cas", "response 404 is not published", _NOT_THERE),
    Addition("POST /members", "response 404 is not published", _NOT_THERE),
    Addition("POST /subsystems", "response 404 is not published", _NOT_THERE),
    Addition("GET /clients", "response 404 is not published", _NOT_THERE),
    Addition("GET /management-requests/{*}", "response 404 is not published", _NOT_THERE),
    Addition("DELETE /member-classes/{code}", "response 409 is not published", _STATE),
    Addition("POST *register-provider", "response 409 is not published", _STATE),
    Addition("POST *ocsp-responders", "body.certificate is not required", _UNCHANGED),
    Addition("PATCH /timestamping-*", "body.certificate is not required", _UNCHANGED),
    Addition(
        "* /members*",
        "body.member_name is required",
        "the global configuration has no member without a name",
    ),
    Addition(
        "GET *configuration-parts",
        "response 200[].* is not required",
        "a part that was not uploaded yet has no version and no moment",
    ),
    Addition(
        "* /timestamping-services/{*}",
        "path parameter 1 has minimum 1, *",
        "what is published as the shortest length of a number is meant as the least",
    ),
    Addition(
        "* /backups*",
        "response *.created_at is not published",
        "a security server says it, and a file's name is no moment",
    ),
    Addition("* /backups*", "response 404 is not published", _BACKUPS),
    Addition("* /backups*", "response 406 is not published", _BACKUPS),
    Addition(_PROVIDER, "response 200.security_server_id is not required", _NO_PROVIDER),
    Addition(_PROVIDER, "response 200.service_provider_name is not required", _NO_PROVIDER),
    Addition(_REQUESTS, "query parameter query has maxLength 255*", _COLUMN),
    Addition(_REQUESTS, "query parameter server_id has *", _IDENTIFIER),
    Addition(_REQUESTS, "body *.security_server_id has *", _IDENTIFIER),
    Addition(_REQUESTS, "body *.client_id has *", _IDENTIFIER),
    Addition(_REQUESTS, "body *.server_address has *", _COLUMN),
    Addition(_REQUESTS, "body *.subsystem_name has maxLength 255*", _COLUMN),
)
