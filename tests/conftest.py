"""What every test may ask for."""

import os
from collections.abc import Generator
from pathlib import Path

import hypothesis
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from postgres import Postgres, find_binaries

pytest_plugins = ["conformance", "pytester"]

_REPOSITORY = Path(__file__).parent.parent
_LONGEST = {"ecosystem", "central", "administration"}
_TOGETHER = ("tests/administration/life/", "tests/administration/told/", "tests/foreign/")
_SHARED = Path(os.environ.get("SILD_SHARED", _REPOSITORY.parent / "shared"))

hypothesis.settings.register_profile(
    "quick",
    max_examples=60,
    deadline=None,  # a busy machine is not a defect
    derandomize="CI" in os.environ,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.register_profile(
    "soak", hypothesis.settings.get_profile("quick"), max_examples=20_000, derandomize=False
)
hypothesis.settings.load_profile("soak" if "SILD_SOAK" in os.environ else "quick")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Async tests run on asyncio."""
    return "asyncio"


@pytest.fixture(scope="session")
def vectors() -> Path:
    """Artefacts that the reference implementation made; INDEX.tsv says what each must give."""
    return _shared("vectors")


@pytest.fixture(scope="session")
def schemas() -> Path:
    """The published XML schemas."""
    return _shared("contracts/xsd")


@pytest.fixture(scope="session")
def contracts() -> Path:
    """The published descriptions of the management APIs."""
    return _shared("contracts")


@pytest.fixture(scope="session")
def reference() -> Path:
    """What was written down of the reference implementation."""
    return _shared("reference")


@pytest.fixture(scope="session")
def postgres() -> Generator[Postgres, None, None]:
    """A PostgreSQL that runs; each test makes databases of its own in it."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL is installed")
    with Postgres(binaries) as running:
        yield running


def _shared(name: str) -> Path:
    path = _SHARED / name
    if not path.is_dir():
        pytest.skip(f"no {name} in {_SHARED}: set SILD_SHARED to the folder that has it")
    return path


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Keep directories of one of several processes short: a socket's path has 107 bytes at most."""
    if hasattr(config, "workerinput"):
        given = Path(config.option.basetemp)
        config.option.basetemp = str(given.with_name(given.name.removeprefix("popen-gw")))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the folders whose files take longest: several processes then end together."""
    items.sort(key=lambda item: _LONGEST.isdisjoint(item.path.relative_to(_REPOSITORY).parts))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling:
    """Say which tests several processes do not part."""
    return _Scheduling(config, log)


class _Scheduling(LoadFileScheduling):
    """The tests of a file stay together, and the files of a folder that share one fixture."""

    def _split_scope(self, nodeid: str) -> str:
        return next(filter(nodeid.startswith, _TOGETHER), nodeid.partition("::")[0])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _unless_skips_fail((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _unless_skips_fail((yield))


def _unless_skips_fail(report):
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("SILD_NO_SKIP") == "1":
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"SILD_NO_SKIP=1 and {report.nodeid} was skipped: {reason}"
    return report
