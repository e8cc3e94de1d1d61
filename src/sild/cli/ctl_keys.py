"""`sild ctl`: tokens, keys, certificate requests, certificates and their authorities."""

from typing import TYPE_CHECKING, Any

from sild.cli.ctl_operations import (
    IGNORE_WARNINGS_IN_QUERY,
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

_USAGES = ("AUTHENTICATION", "SIGNING")
_FORMATS = ("PEM", "DER")
_TOKEN = path("id", "the token, as `tokens list` tells it; 0 is the software token")
_KEY = path("id", "the key, as `keys list` tells it")
_CSR = path("csr_id", "the request, as `csrs list` tells it")
_SHA256 = path("hash", "the certificate's SHA-256, as `certificates list` tells it")
_CA = path("ca_name", "the authority's name, as `authorities list` tells it")
_PIN = body("--password", "its PIN; else it is asked for", secret=True)


def _keys_of(tokens: Any) -> Any:
    return [{**key, "token": token["id"]} for token in tokens for key in token["keys"]]


def _certificates_of(tokens: Any) -> Any:
    return [
        {**each, **each["certificate_details"], "key": key["id"], "usage": key.get("usage")}
        for key in _keys_of(tokens)
        for each in key["certificates"]
    ]


def _requests_of(tokens: Any) -> Any:
    return [
        {**each, "key": key["id"], "usage": key.get("usage")}
        for key in _keys_of(tokens)
        for each in key["certificate_signing_requests"]
    ]


def field_of(text: str) -> tuple[str, str]:
    """Read `NAME=VALUE`; raises ValueError."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ValueError(f"{text!r} is no NAME=VALUE")
    return name, value


_REQUEST = (
    typed("usage", "what for", choices=_USAGES),
    typed("ca_name", "the authority's name"),
    typed("--member", "whom a signing certificate is for, INSTANCE:CLASS:CODE"),
    typed("--field", "a field of the subject", kind=field_of, many=True),
    typed("--format", "of the request; else what the authority takes", choices=_FORMATS),
    typed("--acme-order", "order it from the authority at once", flag=True),
)


def _request(values: Values) -> dict[str, Any]:
    asked = {
        "key_usage_type": values["usage"],
        "ca_name": values["ca_name"],
        "csr_format": values["format"] or "PEM",
        "subject_field_values": dict(values["field"] or ()),
        "acme_order": bool(values["acme_order"]),
    }
    return asked | ({"member_id": values["member"]} if values["member"] else {})


async def _as_the_authority_takes_it(client: "ApiClient", values: Values) -> None:
    """Find the format of requests that an authority takes, where none is said."""
    if values["format"] is None:
        approved = (await client.call("GET", "/certificate-authorities")).json
        named = (each for each in approved if each["name"] == values["ca_name"])
        found = next(named, None)
        values["format"] = None if found is None else found.get("default_csr_format")


OPERATIONS = (
    Operation(
        "tokens list",
        "GET /tokens",
        "list the tokens",
        columns=("id", "name", "type", "status", "logged_in", "available", "possible_actions"),
    ),
    Operation("tokens show", "GET /tokens/{id}", "show a token with all it holds", (_TOKEN,)),
    Operation("tokens delete", "DELETE /tokens/{id}", "forget a token that is gone", (_TOKEN,)),
    Operation(
        "tokens rename", "PATCH /tokens/{id}", "rename a token", (_TOKEN, body("name", "the name"))
    ),
    Operation("tokens login", "PUT /tokens/{id}/login", "log in to a token", (_TOKEN, _PIN)),
    Operation("tokens logout", "PUT /tokens/{id}/logout", "log out of a token", (_TOKEN,)),
    Operation(
        "tokens pin",
        "PUT /tokens/{id}/pin",
        "give the software token another PIN",
        (
            _TOKEN,
            body("--old-pin", "the PIN", secret=True),
            body("--new-pin", "the other PIN", secret=True),
        ),
    ),
    Operation(
        "keys list",
        "GET /tokens",
        "list the keys of all tokens",
        columns=("id", "token", "name", "usage", "key_algorithm", "available", "possible_actions"),
        rows=_keys_of,
    ),
    Operation("keys show", "GET /keys/{id}", "show a key", (_KEY,)),
    Operation(
        "keys add",
        "POST /tokens/{id}/keys",
        "make a key",
        (_TOKEN, body("label", "its label", optional=True)),
        fixed={},
    ),
    Operation(
        "keys request",
        "POST /tokens/{id}/keys-with-csrs",
        "make a key, and a certificate request for it",
        (_TOKEN, typed("label", "its label"), *_REQUEST),
        build=lambda values: {
            "key_label": values["label"],
            "csr_generate_request": _request(values),
        },
        resolve=_as_the_authority_takes_it,
    ),
    Operation("keys rename", "PATCH /keys/{id}", "rename a key", (_KEY, body("name", "the name"))),
    Operation(
        "keys delete",
        "DELETE /keys/{id}",
        "delete a key with its certificates",
        (_KEY, IGNORE_WARNINGS_IN_QUERY),
    ),
    Operation(
        "keys actions", "GET /keys/{id}/possible-actions", "say what may be done with it", (_KEY,)
    ),
    Operation(
        "csrs list",
        "GET /tokens",
        "list the certificate requests",
        columns=("id", "key", "usage", "owner_id", "certificate_profile"),
        rows=_requests_of,
    ),
    Operation(
        "csrs add",
        "POST /keys/{id}/csrs",
        "make a certificate request for a key",
        (_KEY, *_REQUEST),
        build=_request,
        resolve=_as_the_authority_takes_it,
        saves="request.csr",
    ),
    Operation(
        "csrs download",
        "GET /keys/{id}/csrs/{csr_id}",
        "download a certificate request",
        (_KEY, _CSR, query("--csr-format", "of these", choices=_FORMATS)),
        saves="request.csr",
    ),
    Operation("csrs delete", "DELETE /keys/{id}/csrs/{csr_id}", "delete a request", (_KEY, _CSR)),
    Operation(
        "csrs actions",
        "GET /keys/{id}/csrs/{csr_id}/possible-actions",
        "say what may be done with it",
        (_KEY, _CSR),
    ),
    Operation(
        "certificates list",
        "GET /tokens",
        "list the certificates of all keys",
        columns=("hash", "owner_id", "usage", "status", "ocsp_status", "active", "not_after"),
        rows=_certificates_of,
    ),
    Operation(
        "certificates show", "GET /token-certificates/{hash}", "show a certificate", (_SHA256,)
    ),
    Operation(
        "certificates import",
        "POST /token-certificates",
        "import a certificate for one of the keys",
        (octets("the certificate, PEM or DER"),),
    ),
    Operation(
        "certificates import-from-token",
        "POST /token-certificates/{hash}/import",
        "take over a certificate that a device holds",
        (_SHA256,),
    ),
    Operation(
        "certificates activate",
        "PUT /token-certificates/{hash}/activate",
        "use a certificate",
        (_SHA256,),
    ),
    Operation(
        "certificates disable",
        "PUT /token-certificates/{hash}/disable",
        "use it no longer",
        (_SHA256,),
    ),
    Operation(
        "certificates register",
        "PUT /token-certificates/{hash}/register",
        "ask for the registration of an authentication certificate",
        (_SHA256, body("address", "where the server is found")),
    ),
    Operation(
        "certificates unregister",
        "PUT /token-certificates/{hash}/unregister",
        "end its registration",
        (_SHA256,),
    ),
    Operation(
        "certificates mark-for-deletion",
        "PUT /token-certificates/{hash}/mark-for-deletion",
        "let it be deleted, though its registration could not be ended",
        (_SHA256,),
    ),
    Operation(
        "certificates delete",
        "DELETE /token-certificates/{hash}",
        "delete a certificate",
        (_SHA256,),
    ),
    Operation(
        "certificates actions",
        "GET /token-certificates/{hash}/possible-actions",
        "say what may be done with it",
        (_SHA256,),
    ),
    Operation(
        "authorities list",
        "GET /certificate-authorities",
        "list the approved certification authorities",
        (
            query("--key-usage-type", "for this", choices=_USAGES),
            query("--include-intermediate-cas", "with intermediate ones", kind=switch),
        ),
        ("name", "authentication_only", "ocsp_response", "not_after", "acme_capable"),
    ),
    Operation(
        "authorities fields",
        "GET /certificate-authorities/{ca_name}/csr-subject-fields",
        "list what an authority wants to know in a request",
        (
            _CA,
            query("key_usage_type", "what for", choices=_USAGES),
            query("--key-id", "for this key"),
            query("--member-id", "for this member"),
            query("--is-new-member", "who is no client yet", kind=switch),
        ),
        ("id", "label", "default_value", "required", "read_only"),
    ),
    Operation(
        "authorities ocsp-strategy",
        "GET /certificate-authorities/ocsp-prioritization-strategy",
        "say which OCSP responders are asked first",
    ),
    Operation(
        "authorities acme-credentials",
        "GET /certificate-authorities/{ca_name}/has-acme-eab-credentials",
        "say whether certificates can be ordered from it",
        (
            _CA,
            query("key_usage_type", "what for", choices=_USAGES),
            query("--member-id", "for this member"),
        ),
    ),
    Operation(
        "authorities acme-order",
        "POST /certificate-authorities/{ca_name}/acme-order",
        "order a certificate for a request",
        (
            _CA,
            body("csr_id", "the request"),
            body("key_usage_type", "what for", choices=_USAGES),
        ),
    ),
)
