"""What every administration API of ours says beyond, or other than, the published ones: the table.

A server's own rows follow these in its own module.
"""

from sild.adminapi.contract import Addition

_LIMITED = "every request is limited in rate, size and type, and the database may be away"
_PEOPLE = "existing clients use it, and the published documents of the two servers leave it out"
_KEYS = "a certificate may have a key of another kind, or no such extension"

ADDITIONS: tuple[Addition, ...] = (
    Addition("*", "response 413 is not published", _LIMITED),
    Addition("*", "response 415 is not published", _LIMITED),
    Addition("*", "response 429 is not published", _LIMITED),
    Addition("*", "response 503 is not published", _LIMITED),
    Addition("*", "response 400 is not published", "a body or parameter may be malformed"),
    Addition("GET /user", "is not published", _PEOPLE),
    Addition("GET /user/roles", "is not published", _PEOPLE),
    Addition("GET /user/permissions", "is not published", _PEOPLE),
    Addition("GET /notifications/*", "is not published", _PEOPLE),
    Addition("* /api-keys", "is not published", _PEOPLE),
    Addition("* /api-keys/{id}", "is not published", _PEOPLE),
    Addition("*", "response *.rsa_public_key_* is not required", _KEYS),
    Addition("*", "response *.key_usages is not required", _KEYS),
    Addition("*", "response *.subject_alternative_names is not required", _KEYS),
)
