"""The pytest plugin behind `make conformance`: which feature rows are shown, and by which tests.

A row is shown by tests that carry its mark, pass, and cross a socket or run the `sild` command.
Crossings are seen through audit events. uvloop raises them when it listens, but neither when it
connects nor when it starts a process, so a fixture whose crossing stays unseen is named in the
ini option `conformance_crossing_fixtures`, and tests that ask for it are believed.
"""

import sys
import threading
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

TABLE = Path("docs/features.tsv")
REPORT = Path("docs/conformance.md")


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the feature table; `means` tells what does its work where it cannot be shown."""

    code: str
    title: str
    means: str = ""

    @property
    def area(self) -> str:
        """The letters before the number."""
        return self.code.partition("-")[0]


class Result(Enum):
    """How a marked test ended."""

    NOT_RUN = "did not run"
    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "was skipped"
    NOT_CROSSING = "crossed no socket and did not run the command line"


@dataclass(slots=True)
class Shown:
    """A test that carries marks, and how it ended."""

    test: str
    rows: tuple[str, ...]
    result: Result = Result.NOT_RUN


def read_table(path: Path) -> dict[str, Row]:
    """The feature rows by code; the columns are code, mark, feature and, at times, other means."""
    rows: dict[str, Row] = {}
    for line in path.read_text(encoding="utf-8").splitlines()[1:]:
        code, _mark, title, *means = line.split("\t")
        if code in rows:
            raise pytest.UsageError(f"{path} has {code} twice")
        rows[code] = Row(code, title, *means)
    return rows


def write_report(rows: Mapping[str, Row], tests: Iterable[Shown]) -> str:
    """The report as Markdown: the same for the same tests, wherever and whenever it is written."""
    results: dict[str, dict[str, Result]] = {}
    for test in tests:
        for code in test.rows:
            by_name = results.setdefault(code, {})
            name = test.test.partition("[")[0]
            if by_name.get(name, Result.PASSED) is Result.PASSED:
                by_name[name] = test.result
    listed = [row for row in rows.values() if row.code in results or row.means]
    lines = [
        "# Conformance",
        "",
        "Written by `make conformance`. A row is shown by tests that pass through a socket or the",
        "command line; its name and number are those of [features.tsv](features.tsv).",
        "",
        f"{len(listed)} of {len(rows)} rows.",
        "",
        "| Row | Feature | Tests | Result |",
        "|---|---|---|---|",
    ]
    lines += [_report_line(row, results.get(row.code, {})) for row in listed]
    waiting = Counter(row.area for row in rows.values() if row not in listed)
    sizes = Counter(row.area for row in rows.values())
    if waiting:
        areas = ", ".join(f"{area} {count} of {sizes[area]}" for area, count in waiting.items())
        lines += ["", f"Not shown yet: {areas}."]
    return "\n".join(lines) + "\n"


def _report_line(row: Row, tests: Mapping[str, Result]) -> str:
    names = "<br>".join(f"`{name}`" for name in sorted(tests))
    verdicts = sorted({result.value for result in tests.values()})
    if row.means:
        verdicts.append(f"by other means: {row.means}")
    return f"| {row.code} | {row.title} | {names} | {'; '.join(verdicts)} |"


@dataclass(slots=True)
class Crossings:
    """Remembers which threads crossed a socket or ran the `sild` command, in order."""

    threads: list[int] = field(default_factory=list)
    watching: bool = True

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Take one audit event."""
        match event:
            case "socket.bind" | "socket.connect":
                crossed = True
            case "subprocess.Popen" | "os.exec" | "os.posix_spawn":
                crossed = _runs_sild(arguments[1])
            case _:
                return
        if crossed and self.watching:
            self.threads.append(threading.get_ident())


def _runs_sild(command: object) -> bool:
    if not isinstance(command, list | tuple):
        return False
    words = [str(word) for word in command]
    return any(
        Path(word).name == "sild" or (word == "-m" and following.split(".")[0] == "sild")
        for word, following in zip(words, [*words[1:], ""], strict=True)
    )


class Conformance:
    """Runs the marked tests only, watches them, and writes the report."""

    def __init__(self, config: pytest.Config, rows: Mapping[str, Row]) -> None:
        self._config = config
        self._rows = rows
        self._believed = frozenset(config.getini("conformance_crossing_fixtures"))
        self._crossings = Crossings()
        self._crossing_fixtures: set[object] = set()
        self._tests: dict[str, Shown] = {}
        sys.addaudithook(self._crossings)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave only marked tests; long forms, which `make soak` runs, claim nothing here."""
        claiming = [
            item for item in items if _rows_of(item) and not item.get_closest_marker("soak")
        ]
        unmarked = [item for item in items if item not in claiming]
        items[:] = claiming
        self._tests = {item.nodeid: Shown(item.nodeid, _rows_of(item)) for item in items}
        self._config.hook.pytest_deselected(items=unmarked)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: object) -> Generator[None, object, object]:
        """Remember the fixtures that cross while they are set up, whichever test came first."""
        before = _Moment(self._crossings)
        value = yield
        if before.crossed_since():
            self._crossing_fixtures.add(fixturedef)
        return value

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Note where a test starts."""
        item.stash[_STARTED] = _Moment(self._crossings)
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Note how a test ended."""
        report = yield
        test = self._tests[item.nodeid]
        if report.skipped:
            test.result = Result.SKIPPED
        elif report.failed:
            test.result = Result.FAILED
        elif call.when == "call":
            test.result = Result.PASSED if self._crossed(item) else Result.NOT_CROSSING
        return report

    def _crossed(self, item: pytest.Item) -> bool:
        fixtures = dict(_fixtures_of(item))
        return (
            item.stash[_STARTED].crossed_since()
            or not self._believed.isdisjoint(fixtures)
            or any(not self._crossing_fixtures.isdisjoint(defs) for defs in fixtures.values())
        )

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Write the report, and fail where a mark claims more than was shown."""
        self._crossings.watching = False
        if exitstatus not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            return
        report = write_report(self._rows, self._tests.values())
        (self._config.rootpath / REPORT).write_text(report, encoding="utf-8")
        if self._problems():
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say which marks do not hold."""
        if not self._tests:
            terminalreporter.write_line("conformance: no test carries a feature mark", red=True)
        for problem in self._problems():
            terminalreporter.write_line(f"conformance: {problem}", red=True)

    def _problems(self) -> list[str]:
        return [
            f"{test.test} is marked {', '.join(test.rows)}, but {test.result.value}"
            for test in self._tests.values()
            if test.result is not Result.PASSED
        ]


class _Moment:
    """What had happened when it was made; threads older than it do not speak for a test."""

    def __init__(self, crossings: Crossings) -> None:
        self._crossings = crossings
        self._seen = len(crossings.threads)
        self._older = {thread.ident for thread in threading.enumerate()} - {threading.get_ident()}

    def crossed_since(self) -> bool:
        return any(thread not in self._older for thread in self._crossings.threads[self._seen :])


_STARTED = pytest.StashKey[_Moment]()


def _rows_of(item: pytest.Item) -> tuple[str, ...]:
    return tuple(sorted({str(mark.args[0]) for mark in item.iter_markers("feature")}))


def _fixtures_of(item: pytest.Item) -> Iterator[tuple[str, tuple[object, ...]]]:
    # pytest offers no public way from a test to the definitions behind its fixtures.
    definitions = item._fixtureinfo.name2fixturedefs if isinstance(item, pytest.Function) else {}  # noqa: SLF001
    for name, defined in definitions.items():
        yield name, tuple(defined)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer `--conformance` and its ini option."""
    parser.addoption(
        "--conformance",
        action="store_true",
        help=f"run only tests that show feature rows, and write {REPORT}",
    )
    parser.addini(
        "conformance_crossing_fixtures",
        "fixtures that cross a socket where no audit event tells",
        type="args",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Name the mark, and watch where asked to."""
    config.addinivalue_line(
        "markers", f"feature(row): shows this row of {TABLE} over a socket or the command line"
    )
    if config.getoption("--conformance"):
        if config.getoption("numprocesses", None):
            message = "--conformance sees the crossings of its own process: run it without -n"
            raise pytest.UsageError(message)
        rows = read_table(config.rootpath / TABLE)
        config.pluginmanager.register(Conformance(config, rows), "conformance-run")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse a mark that does not name one known row, in any run."""
    marked = [item for item in items if item.get_closest_marker("feature")]
    if not marked:
        return
    rows = read_table(config.rootpath / TABLE)
    for item in marked:
        for mark in item.iter_markers("feature"):
            if len(mark.args) != 1 or mark.kwargs or mark.args[0] not in rows:
                arguments = ", ".join(map(repr, mark.args))
                pytest.exit(
                    f"{item.nodeid} is marked feature({arguments}), which names no row of {TABLE}",
                    returncode=1,
                )
