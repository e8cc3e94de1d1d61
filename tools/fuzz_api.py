"""Fuzzes the Central Server's management API: `make fuzz`.

A Central Server of its own runs on loopback, with and without limits on how often may be asked, and
is asked everything that its own description allows and forbids, and what the published one does.
Exit code 1 if any answer was not as described.
"""

import argparse
import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fuzz_documents import (
    own_document,
    published_document,
    with_examples,
    with_known,
    with_numbers,
)
from fuzz_server import PASSWORD, USER, Filled, FuzzedServer

TOOLS = Path(__file__).parent
SCHEMATHESIS = TOOLS.parent / ".venv" / "fuzz" / "bin" / "schemathesis"
_CLOSING_LINES = 12

CONFORMANCE = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)
# Who asks too often is told so before anything else is looked at.
UNHURRIED = ("unsupported_method", "allow_header_conformance", "ignored_auth")
# Left out everywhere: positive_data_acceptance. A text may be as described and still name nobody,
# be no certificate, or no column to sort by: no schema can say all that is refused.

_LOGINS = "^/tokens/.*/log(in|out)$"
_KEYS = "^/api-keys"
_RESTORE = "^/backups/.*/restore$"
_INITIALIZATION = "^/initialization$"


@dataclass(frozen=True, slots=True)
class Run:
    """A part of the API that is asked at a time, and how."""

    name: str
    chosen: tuple[str, ...] = ()
    """Which operations, in Schemathesis' words."""
    key: Callable[[Filled], str] = lambda filled: f"X-Road-ApiKey token={filled.people}"
    mode: str = "all"
    checks: tuple[str, ...] = ()
    phases: str = "examples,coverage,fuzzing"
    origin: str = "CENTER"
    """Who management requests come from: the key's permissions demand one or the other."""


def _by_service(filled: Filled) -> str:
    return f"X-Road-ApiKey token={filled.service}"


def _by_password(_: Filled) -> str:
    return "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


# What an API key cannot open is keys themselves: they have a run of their own.
BEFORE = (
    # A body that happens to fit would end what is looked at here.
    Run("before initialisation", ("--exclude-path-regex", f"{_KEYS}|{_INITIALIZATION}")),
    Run("the initialisation", ("--include-path-regex", _INITIALIZATION)),
)
MAIN = (
    Run(
        "reading and making",
        # Deleting comes last, for then there is little left to ask for; a token that is logged
        # out answers nothing; a restored server starts again.
        (
            *("--exclude-method", "DELETE"),
            *("--exclude-path-regex", f"{_KEYS}|{_LOGINS}|{_RESTORE}"),
        ),
    ),
    Run(
        "requests of security servers",
        ("--include-operation-id", "addManagementRequest"),
        _by_service,
        origin="SECURITY_SERVER",
    ),
)
REFUSING = Run(
    "refusing what the description forbids",
    ("--exclude-method", "DELETE", "--exclude-path-regex", f"{_KEYS}|{_LOGINS}|{_RESTORE}"),
    mode="negative",
    checks=("negative_data_rejection",),
)
CHAINED = Run(
    "asking for what was made and deleted",
    ("--exclude-path-regex", f"{_KEYS}|{_LOGINS}|{_RESTORE}|{_INITIALIZATION}"),
    checks=(*CONFORMANCE, "use_after_free", "ensure_resource_availability"),
    phases="stateful",
)
# Leaves first: whoever is deleted takes with them what is theirs.
_LEAVES = (
    "^(unregisterMember|unregisterSubsystem|deleteGlobalGroupMember|deleteSecurityServerAuthCert"
    "|deleteOcspResponder|deleteIntermediateCaOcspResponder)$"
)
_TWIGS = (
    "^(deleteSubsystem|deleteSecurityServer|deleteIntermediateCa|deleteKey"
    "|revokeManagementRequest)$"
)
LAST = (
    Run("logging tokens in and out", ("--include-path-regex", _LOGINS)),
    Run("deleting what is at the ends", ("--include-operation-id-regex", _LEAVES)),
    Run("deleting what is between", ("--include-operation-id-regex", _TWIGS)),
    Run(
        "deleting all else",
        (
            *("--include-method", "DELETE"),
            *("--exclude-operation-id-regex", f"{_LEAVES}|{_TWIGS}|^revokeApiKey$"),
        ),
    ),
)
RESTORING = Run("restoring what is not there", ("--include-path-regex", _RESTORE))
# The very last, for the key that all others ask by may be revoked.
KEYS = Run("API keys", ("--include-path-regex", _KEYS), _by_password)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line says."""

    schemathesis: Path
    published: Path | None
    examples: int
    seed: int
    kept: Path
    new_database: Callable[[], str] | None = None
    """What gives the address of an empty database; without it, there is SQLite."""


class Fuzzing:
    """Runs one after another, and remembers which failed."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self.failed: list[str] = []

    def all(self) -> None:
        """Everything, with limits lifted and with limits on."""
        documents = {"own": own_document()}
        if self._asked.published is not None:
            documents["published"] = published_document(self._asked.published)
        with self._server("fresh", limited=False) as server:
            filled = server.make_keys()
            for run in BEFORE:
                self._run(f"own, {run.name}", run, server, (documents["own"], filled))
        for limited in (False, True):
            for name, document in documents.items():
                self._document(name, document, limited=limited)

    def _document(self, name: str, document: dict[str, Any], *, limited: bool) -> None:
        how = "limited" if limited else "unlimited"
        with self._server(f"{name}-{how}", limited=limited) as server:
            filled = server.make_keys()
            server.fill(filled)
            # Who asks too often does not learn whether something is there.
            chained = () if limited else (CHAINED,)
            for run in (*MAIN, *chained, *LAST):
                self._run(f"{name}, {how}, {run.name}", run, server, (document, filled))
            if limited or name != "own":
                return
            lenient, unknowing = with_numbers(document), replace(filled, known={})
            self._run(f"{name}, {REFUSING.name}", REFUSING, server, (lenient, filled))
            self._run(f"{name}, {RESTORING.name}", RESTORING, server, (document, unknowing))
            self._restore(server, filled)
            self._run(f"{name}, {KEYS.name}", KEYS, server, (document, filled))

    def _restore(self, server: FuzzedServer, filled: Filled) -> None:
        """What no run may do on its way: restore a backup, and answer again."""
        print("--- own, restoring a backup")
        server.restore(filled)
        print("The server answers again.\n", flush=True)

    @contextmanager
    def _server(self, name: str, *, limited: bool) -> Iterator[FuzzedServer]:
        new_database = self._asked.new_database
        database = new_database() if new_database else None
        server = FuzzedServer(self._asked.kept / name, limited=limited, database=database)
        server.start()
        try:
            yield server
        finally:
            server.stop()

    def _run(
        self, title: str, run: Run, server: FuzzedServer, given: tuple[dict[str, Any], Filled]
    ) -> None:
        document, filled = given
        add = with_examples if run.mode == "negative" else with_known
        known = add(document, filled.known | {"origin": [run.origin]})
        place = self._asked.kept / title.replace(", ", "-").replace(" ", "_")
        place.mkdir()
        described = place / "description.json"
        described.write_text(json.dumps(known))
        files = place / "files.json"
        files.write_text(filled.files_to_json())
        checks = run.checks or (CONFORMANCE if server.limited else (*CONFORMANCE, *UNHURRIED))
        print(f"--- {title}", flush=True)
        command = [
            *(str(self._asked.schemathesis), "run", str(described), "--no-color"),
            *("--url", f"{server.url}/api/v1", "--tls-verify", str(server.certificate)),
            *("--header", f"Authorization: {run.key(filled)}"),
            *("--phases", run.phases, "--mode", run.mode),
            *("--max-examples", str(self._asked.examples), "--seed", str(self._asked.seed)),
            *("--checks", ",".join(checks), "--continue-on-failure", "--warnings", "off"),
            *(
                "--suppress-health-check",
                "all",
                "--request-timeout",
                "60",
                "--generation-database",
                "none",
            ),
            *run.chosen,
        ]
        environment = os.environ | {
            "SCHEMATHESIS_HOOKS": "fuzz_hooks",
            "PYTHONPATH": str(TOOLS),
            "FUZZ_FILES": str(files),
        }
        done = subprocess.run(
            command, env=environment, cwd=place, stdout=subprocess.PIPE, text=True, check=False
        )
        (place / "report.txt").write_text(done.stdout)
        _tell(done.stdout)
        if done.returncode:
            self.failed.append(f"{title}: see {place / 'report.txt'}")
        if troubles := server.troubles():
            self.failed.append(f"{title}: the server's log tells of {troubles} failures")


def _tell(report: str) -> None:
    lines = [line for line in report.splitlines() if line.strip()]
    print("\n".join(lines[-_CLOSING_LINES:]), end="\n\n", flush=True)


def _postgres() -> AbstractContextManager[Any]:
    sys.path.append(str(TOOLS.parent / "tests"))
    from postgres import Postgres, find_binaries  # noqa: PLC0415 - only where it is asked for

    binaries = find_binaries()
    if binaries is None:
        raise SystemExit("there is no PostgreSQL on this machine")
    return Postgres(binaries)


def main(words: Sequence[str] | None = None) -> int:
    """Do what the command line says; gives the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--schemathesis", type=Path, default=SCHEMATHESIS)
    parser.add_argument("--published", type=Path, help="the published description, JSON or YAML")
    parser.add_argument("--examples", type=int, default=25, help="requests per operation and phase")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--postgresql", action="store_true", help="on PostgreSQL, not SQLite")
    parser.add_argument("--keep", type=Path, help="a new directory for servers and reports")
    read = parser.parse_args(words)
    if read.published and not read.published.is_file():
        parser.error(f"there is no {read.published}")
    kept = read.keep or Path(tempfile.mkdtemp(prefix="sild-fuzz-"))
    kept.mkdir(parents=True, exist_ok=True)
    asked = Asked(read.schemathesis, read.published, read.examples, read.seed, kept)
    with ExitStack() as opened:
        if read.postgresql:
            running = opened.enter_context(_postgres())
            asked = replace(asked, new_database=running.new_database)
        fuzzing = Fuzzing(asked)
        fuzzing.all()
    if fuzzing.failed:
        print("\n".join(fuzzing.failed))
        return 1
    print("Every answer was as described.")
    if read.keep is None:
        shutil.rmtree(kept)
    return 0


if __name__ == "__main__":
    sys.exit(main())
