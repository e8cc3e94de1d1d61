"""Fuzzes the management APIs of both servers: `make fuzz`.

A server of its own runs on loopback, with and without limits on how often may be asked, and is
asked everything that its own description allows and forbids, and what the published one does.
Exit code 1 if any answer was not as described.
"""

import argparse
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

TOOLS = Path(__file__).parent
# What tests know of servers is of use here, too.
sys.path.append(str(TOOLS.parent / "tests"))

from fuzz_central import FuzzedCentralServer  # noqa: E402
from fuzz_documents import (  # noqa: E402
    CENTRAL_API,
    SECURITY_API,
    Api,
    own_document,
    published_document,
    with_examples,
    with_known,
    with_numbers,
)
from fuzz_plans import CENTRAL, SECURITY, Plan, Run  # noqa: E402
from fuzz_security import FuzzedSecurityServer  # noqa: E402
from fuzz_server import Filled, FuzzedServer, Wanted, running, troubles  # noqa: E402

SCHEMATHESIS = TOOLS.parent / ".venv" / "fuzz" / "bin" / "schemathesis"
_CLOSING_LINES = 12


@dataclass(frozen=True, slots=True)
class Subject:
    """A kind of server: its API, what is asked of it, and how one is made."""

    name: str
    api: Api
    plan: Plan
    make: Callable[[Wanted], FuzzedServer]


SUBJECTS = (
    Subject("central-server", CENTRAL_API, CENTRAL, FuzzedCentralServer),
    Subject("security-server", SECURITY_API, SECURITY, FuzzedSecurityServer),
)


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
    parts: frozenset[str] = frozenset({"before", "unlimited", "limited"})


class Fuzzing:
    """Runs one after another, and remembers which failed."""

    def __init__(self, asked: Asked, subject: Subject) -> None:
        self._asked = asked
        self._subject = subject
        self.failed: list[str] = []

    def all(self) -> None:
        """Everything, with limits lifted and with limits on."""
        subject, parts = self._subject, self._asked.parts
        documents = {"own": own_document(subject.api)}
        if self._asked.published is not None:
            documents["published"] = published_document(subject.api, self._asked.published)
        if "before" in parts:
            with self._server("fresh", limited=False) as server:
                filled = server.make_keys()
                for run in subject.plan.before:
                    self._run(f"own, {run.name}", run, server, (documents["own"], filled))
        for limited in (False, True):
            if ("limited" if limited else "unlimited") in parts:
                for name, document in documents.items():
                    self._document(name, document, limited=limited)

    def _document(self, name: str, document: dict[str, Any], *, limited: bool) -> None:
        how, plan = "limited" if limited else "unlimited", self._subject.plan
        with self._server(f"{name}-{how}", limited=limited) as server:
            filled = server.make_keys()
            server.fill(filled)
            # Who asks too often does not learn whether something is there.
            chained = () if limited else (plan.chained,)
            for run in (*plan.main, *chained, *plan.last):
                self._run(f"{name}, {how}, {run.name}", run, server, (document, filled))
            if limited or name != "own":
                return
            lenient, unknowing = with_numbers(document), replace(filled, known={})
            refusing, restoring = plan.refusing, plan.restoring
            self._run(f"{name}, {refusing.name}", refusing, server, (lenient, filled))
            self._run(f"{name}, {restoring.name}", restoring, server, (document, unknowing))
            self._restore(server, filled)
            self._run(f"{name}, {plan.keys.name}", plan.keys, server, (document, filled))

    def _restore(self, server: FuzzedServer, filled: Filled) -> None:
        """What no run may do on its way: restore a backup, and answer again."""
        print("--- own, restoring a backup")
        server.restore(filled)
        print("The server answers again.\n", flush=True)

    @contextmanager
    def _server(self, name: str, *, limited: bool) -> Iterator[FuzzedServer]:
        new_database = self._asked.new_database
        database = new_database() if new_database else None
        home = self._asked.kept / self._subject.name / name
        with running(self._subject.make(Wanted(home, limited, database))) as server:
            yield server

    def _run(
        self, title: str, run: Run, server: FuzzedServer, given: tuple[dict[str, Any], Filled]
    ) -> None:
        document, filled = given
        add = with_examples if run.mode == "negative" else with_known
        known = add(document, filled.known | {"origin": [run.origin]})
        name = title.replace(", ", "-").replace(" ", "_")
        place = self._asked.kept / self._subject.name / name
        place.mkdir(parents=True)
        described = place / "description.json"
        described.write_text(json.dumps(known))
        files = place / "files.json"
        files.write_text(filled.files_to_json())
        checks = self._subject.plan.checks_of(run, limited=server.limited)
        title = f"{self._subject.name}: {title}"
        print(f"--- {title}", flush=True)
        command = [
            *(str(self._asked.schemathesis), "--config-file", str(TOOLS / "schemathesis.toml")),
            *("run", str(described), "--no-color"),
            *("--url", f"{server.url}/api/v1", "--tls-verify", server.verify),
            *("--header", f"Authorization: {run.key(server, filled)}"),
            *("--phases", run.phases, "--mode", run.mode),
            *("--max-examples", str(self._asked.examples), "--seed", str(self._asked.seed)),
            *("--checks", ",".join(checks), "--continue-on-failure", "--warnings", "off"),
            *("--suppress-health-check", "all", "--request-timeout", "60"),
            *("--generation-database", "none"),
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
        if found := troubles(server):
            self.failed.append(f"{title}: the server's log tells of {found} failures")


def _tell(report: str) -> None:
    lines = [line for line in report.splitlines() if line.strip()]
    print("\n".join(lines[-_CLOSING_LINES:]), end="\n\n", flush=True)


def _postgres() -> AbstractContextManager[Any]:
    from postgres import Postgres, find_binaries  # noqa: PLC0415 - only where it is asked for

    binaries = find_binaries()
    if binaries is None:
        raise SystemExit("there is no PostgreSQL on this machine")
    return Postgres(binaries)


def _read(words: Sequence[str] | None) -> argparse.Namespace:
    names = [subject.name for subject in SUBJECTS]
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--server", choices=names, help="one server; without it, both")
    parser.add_argument("--schemathesis", type=Path, default=SCHEMATHESIS)
    parser.add_argument(
        "--published",
        type=Path,
        metavar="FOLDER",
        help="where the published descriptions are: " + ", ".join(map(_published_name, names)),
    )
    parser.add_argument("--examples", type=int, default=25, help="requests per operation and phase")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--postgresql", action="store_true", help="on PostgreSQL, not SQLite")
    parser.add_argument("--keep", type=Path, help="a new directory for servers and reports")
    parser.add_argument(
        "--only",
        choices=("before", "unlimited", "limited"),
        help="before initialisation, without limits on how often may be asked, or with them",
    )
    read = parser.parse_args(words)
    for name in names if read.server is None else [read.server]:
        if read.published and not (read.published / _published_name(name)).is_file():
            parser.error(f"there is no {read.published / _published_name(name)}")
    return read


def _published_name(server: str) -> str:
    return f"{server}.openapi.json"


def main(words: Sequence[str] | None = None) -> int:
    """Do what the command line says; gives the exit code."""
    read = _read(words)
    kept = read.keep or Path(tempfile.mkdtemp(prefix="sild-fuzz-"))
    kept.mkdir(parents=True, exist_ok=True)
    failed = []
    with ExitStack() as opened:
        new_database = None
        if read.postgresql:
            new_database = opened.enter_context(_postgres()).new_database
        for subject in SUBJECTS:
            if read.server in (None, subject.name):
                published = read.published and read.published / _published_name(subject.name)
                asked = Asked(
                    read.schemathesis, published, read.examples, read.seed, kept, new_database
                )
                if read.only:
                    asked = replace(asked, parts=frozenset({read.only}))
                fuzzing = Fuzzing(asked, subject)
                fuzzing.all()
                failed += fuzzing.failed
    if failed:
        print("\n".join(failed))
        return 1
    print("Every answer was as described.")
    if read.keep is None:
        shutil.rmtree(kept)
    return 0


if __name__ == "__main__":
    sys.exit(main())
