"""What a security server's API says beyond, or other than, the published one: the table."""

from sild.adminapi.additions import ADDITIONS as OF_EVERY_API
from sild.adminapi.contract import Addition

_STATE = "the state, or a global configuration that is outdated, may not let it be done"
_NOT_THERE = "what the request names may not be there, and existing clients are answered so"
_STATUS = "existing clients wait for it where the published status is another"
_WHO = "who asks is to be known, and may not be one who may"
_NOBODYS = "what was found on a token, or is of a server without an owner, is nobody's"
_WELL = "where nothing went wrong there is no error to tell"
_ALERTS = "existing clients use it, and the published document leaves it out"

ADDITIONS: tuple[Addition, ...] = (
    *OF_EVERY_API,
    Addition("*", "response 409 is not published", _STATE),
    Addition("PUT /token-certificates/{hash}/register", "response 20* is missing", _STATUS),
    Addition("PUT /token-certificates/{hash}/register", "response 20* is not published", _STATUS),
    Addition("GET /keys/{id}/csrs/{csr_id}", "response 20* is missing", _STATUS),
    Addition("GET /keys/{id}/csrs/{csr_id}", "response 20* is not published", _STATUS),
    Addition("POST /tokens/{id}/keys-with-csrs", "response 20* is missing", _STATUS),
    Addition("POST /tokens/{id}/keys-with-csrs", "response 20* is not published", _STATUS),
    Addition("PUT /service-descriptions/{id}/*able", "response 20* is missing", _STATUS),
    Addition("PUT /service-descriptions/{id}/*able", "response 20* is not published", _STATUS),
    Addition("* /mail/*", "response 40* is not published", _WHO),
    Addition("* /certificate-authorities/{ca_name}/*", "response 404 is not published", _NOT_THERE),
    Addition("POST *acme-order", "response 401 is not published", _WHO),
    Addition("*", "response *.owner_id is not required", _NOBODYS),
    Addition("GET /diagnostics/*", "response *.error is not required", _WELL),
    Addition(
        "* /system/anchor*",
        "response *.created_at is not required",
        "an anchor need not say when it was made",
    ),
    Addition(
        "POST /system/timestamping-services*",
        "body.cost_type is not required",
        "what a service costs is for the global configuration to say",
    ),
    Addition("PUT /notifications/alerts/reset", "is not published", _ALERTS),
)
