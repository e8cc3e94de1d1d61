"""What is asked of a server while it is fuzzed, one part of its API after another."""

import base64
from collections.abc import Callable
from dataclasses import dataclass

from fuzz_server import Filled, FuzzedServer

CONFORMANCE = (
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)
# What asks others for something is answered 500 where those fail, as existing clients expect: only
# what nobody has foreseen is wrong there.
NO_FAILURE, NOTHING_UNFORESEEN = "not_a_server_error", "nothing_unforeseen"
# Who asks too often is told so before anything else is looked at.
UNHURRIED = ("unsupported_method", "allow_header_conformance", "ignored_auth")
# Left out everywhere: positive_data_acceptance. A text may be as described and still name nobody,
# be no certificate, or no column to sort by: no schema can say all that is refused.

_LOGINS = "^/tokens/.*/log(in|out)$"
_KEYS = "^/api-keys"
_RESTORE = "^/backups/.*/restore$"
_INITIALIZATION = "^/initialization$"


def _by_people(_: FuzzedServer, filled: Filled) -> str:
    return f"X-Road-ApiKey token={filled.people}"


def _by_service(_: FuzzedServer, filled: Filled) -> str:
    return f"X-Road-ApiKey token={filled.service}"


def _by_password(server: FuzzedServer, _: Filled) -> str:
    return "Basic " + base64.b64encode(":".join(server.login).encode()).decode()


@dataclass(frozen=True, slots=True)
class Run:
    """A part of the API that is asked at a time, and how."""

    name: str
    chosen: tuple[str, ...] = ()
    """Which operations, in Schemathesis' words."""
    key: Callable[[FuzzedServer, Filled], str] = _by_people
    mode: str = "all"
    checks: tuple[str, ...] = ()
    """What alone is looked at; if nothing, all that answers must be."""
    more: tuple[str, ...] = ()
    """What is looked at besides that, where requests are not hurried."""
    phases: str = "examples,coverage,fuzzing"
    origin: str = "CENTER"
    """Who management requests come from: the key's permissions demand one or the other."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The runs on a server, in their order."""

    failure: str
    """The check of what fails."""
    before: tuple[Run, ...]
    """On one that is not initialised."""
    main: tuple[Run, ...]
    chained: Run
    last: tuple[Run, ...]
    refusing: Run
    restoring: Run
    keys: Run

    def checks_of(self, run: Run, *, limited: bool) -> tuple[str, ...]:
        """What is looked at in the answers of a run."""
        unhurried = () if limited else run.more or UNHURRIED
        return run.checks or (self.failure, *CONFORMANCE, *unhurried)


def _without(pattern: str, *more: str) -> tuple[str, ...]:
    return (*more, "--exclude-path-regex", pattern)


def _only(pattern: str, *more: str) -> tuple[str, ...]:
    return (*more, "--include-path-regex", pattern)


def _deleting(leaves: str, twigs: str) -> tuple[Run, ...]:
    """Leaves first: whoever is deleted takes with them what is theirs."""
    return (
        Run("deleting what is at the ends", ("--include-operation-id-regex", leaves)),
        Run("deleting what is between", ("--include-operation-id-regex", twigs)),
        Run(
            "deleting all else",
            (
                *("--include-method", "DELETE"),
                *("--exclude-operation-id-regex", f"{leaves}|{twigs}|^revokeApiKey$"),
            ),
        ),
    )


# A body that happens to fit would end what is looked at here.
_BEFORE = Run("before initialisation", _without(f"{_KEYS}|{_INITIALIZATION}"))
_INITIALISING = Run("the initialisation", _only(_INITIALIZATION))
_RESTORING = Run("restoring what is not there", _only(_RESTORE))
# What an API key cannot open is keys themselves; and the very last, for the key that all others ask
# by may be revoked.
_API_KEYS = Run("API keys", _only(_KEYS), _by_password)


def _refusing(kept: str) -> Run:
    return Run(
        "refusing what the description forbids",
        _without(kept, "--exclude-method", "DELETE"),
        mode="negative",
        checks=("negative_data_rejection",),
    )


def _chained(kept: str) -> Run:
    return Run(
        "asking for what was made and deleted",
        _without(f"{kept}|{_INITIALIZATION}"),
        more=("use_after_free", "ensure_resource_availability"),
        phases="stateful",
    )


# Deleting comes last, for then there is little left to ask for; a token that is logged out answers
# nothing; a restored server starts again.
_KEPT = f"{_KEYS}|{_LOGINS}|{_RESTORE}"

CENTRAL = Plan(
    failure=NO_FAILURE,
    before=(_BEFORE, _INITIALISING),
    main=(
        Run("reading and making", _without(_KEPT, "--exclude-method", "DELETE")),
        Run(
            "requests of security servers",
            ("--include-operation-id", "addManagementRequest"),
            _by_service,
            origin="SECURITY_SERVER",
        ),
    ),
    chained=_chained(_KEPT),
    last=(
        Run("logging tokens in and out", _only(_LOGINS)),
        *_deleting(
            "^(unregisterMember|unregisterSubsystem|deleteGlobalGroupMember"
            "|deleteSecurityServerAuthCert|deleteOcspResponder"
            "|deleteIntermediateCaOcspResponder)$",
            "^(deleteSubsystem|deleteSecurityServer|deleteIntermediateCa|deleteKey"
            "|revokeManagementRequest)$",
        ),
    ),
    refusing=_refusing(_KEPT),
    restoring=_RESTORING,
    keys=_API_KEYS,
)

_PINS = "^/tokens/.*/pin$"
# What the Central Server is asked for by a security server, or what keeps that from asking: so the
# certificate comes last by which it asks.
_OWN_STANDING = "^/system/(server-address|maintenance-mode/.*)$"
_CLIENTS_STANDING = "^/clients/[^/]*/(disable|enable|register|unregister|make-owner|rename)$"
_CERTIFICATES_STANDING = (
    "^/token-certificates/[^/]*/(disable|register|unregister|mark-for-deletion)$"
)
_STANDING = f"{_OWN_STANDING}|{_CLIENTS_STANDING}|{_CERTIFICATES_STANDING}"
_TAKING = "/delete$"
_KEPT_OF_SERVER = f"{_KEPT}|{_PINS}|{_STANDING}|{_TAKING}"

SECURITY = Plan(
    failure=NOTHING_UNFORESEEN,
    before=(_BEFORE, _INITIALISING),
    main=(
        Run("reading and making", _without(_KEPT_OF_SERVER, "--exclude-method", "DELETE")),
        Run("the server at the Central Server", _only(_OWN_STANDING)),
        Run("clients at the Central Server", _only(_CLIENTS_STANDING)),
    ),
    chained=_chained(f"{_KEPT_OF_SERVER}|^/diagnostics"),
    last=(
        Run("taking rights and members away", _only(_TAKING)),
        Run("certificates at the Central Server", _only(_CERTIFICATES_STANDING)),
        Run("changing PINs", _only(_PINS)),
        Run("logging tokens in and out", _only(_LOGINS)),
        *_deleting(
            "^(deleteEndpoint|deleteClientTlsCertificate|deleteCsr|deleteCertificate"
            "|deleteOrphans)$",
            "^(deleteKey|deleteServiceDescription|deleteLocalGroup)$",
        ),
    ),
    refusing=_refusing(_KEPT_OF_SERVER),
    restoring=_RESTORING,
    keys=_API_KEYS,
)
