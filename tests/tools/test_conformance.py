"""The conformance plugin, run on small projects of its own."""

import textwrap
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parent.parent / "conftest.py"
TABLE = """\
code\tmark\tfeature
AA-01\tM\tFirst
AA-02\tS\tSecond
BB-01\tS\tThird
BB-02\tS\tFourth\tanother way
"""
HEAD = """
import socket
import subprocess
import sys
import threading

import pytest


def listen():
    with socket.create_server(("127.0.0.1", 0)):
        pass


"""


_TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture
def conformance(pytester, monkeypatch):
    """Run marked tests and give the result and the report.

    In a process of its own, where one is asked for: in this one other threads may be at work.
    """
    monkeypatch.setenv("PYTHONPATH", str(_TOOLS))
    report = pytester.mkdir("docs") / "conformance.md"
    report.with_name("features.tsv").write_text(TABLE)

    def run(source, *options, apart=False):
        pytester.path.joinpath("test_it.py").write_text(HEAD + textwrap.dedent(source))
        pytester.makeini("[pytest]\nconformance_crossing_fixtures = believed\n")
        options = ["-p", "conformance", "-p", "no:cacheprovider", "--conformance", *options]
        runpytest = pytester.runpytest_subprocess if apart else pytester.runpytest_inprocess
        result = runpytest(*options)
        return result, report.read_text().splitlines() if report.exists() else []

    return run


def test_tests_that_pass_over_a_socket_show_their_row(conformance):
    result, report = conformance(
        """
        @pytest.fixture(scope="module")
        def listener():
            listen()

        @pytest.mark.feature("AA-02")
        def test_b(listener): pass

        @pytest.mark.feature("AA-02")
        @pytest.mark.parametrize("case", [1, 2])
        def test_a(listener, case): pass

        def test_unmarked(): assert False
        """
    )
    assert result.ret == 0
    assert report[-5:] == [
        "|---|---|---|---|",
        "| AA-02 | Second | `test_it.py::test_a`<br>`test_it.py::test_b` | passed |",
        "| BB-02 | Fourth |  | by other means: another way |",
        "",
        "Not shown yet: AA 1 of 2, BB 1 of 2.",
    ]


@pytest.mark.parametrize(
    "body",
    [
        "listen()",
        "subprocess.Popen(['sild'], executable=sys.executable, stdin=subprocess.DEVNULL).wait()",
        "subprocess.run([sys.executable, '-c', '', '-m', 'sild.cli'])",
        "thread = threading.Thread(target=listen); thread.start(); thread.join()",
    ],
)
def test_a_crossing_is_seen(conformance, body):
    result, _ = conformance(f"@pytest.mark.feature('AA-01')\ndef test_it(): {body}")
    assert result.ret == 0


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("def test_it(): pass", "crossed no socket and did not run the command line"),
        ("def test_it(): [end.close() for end in socket.socketpair()]", "crossed no socket*"),
        ("def test_it(): subprocess.run([sys.executable, '-c', ''])", "crossed no socket*"),
        ("def test_it(): pytest.skip('no card reader')", "was skipped"),
        ("@pytest.mark.xfail\ndef test_it(): assert False", "was skipped"),
        ("def test_it(): listen(); assert False", "failed"),
        ("def test_it(absent): listen()", "failed"),
    ],
)
def test_a_mark_that_does_not_hold_fails_the_run(conformance, source, problem):
    result, report = conformance(f"@pytest.mark.feature('AA-01')\n{source}")
    assert result.ret == 1
    result.stdout.fnmatch_lines(f"conformance: test_it.py::test_it is marked AA-01, but {problem}")
    assert not any(line.endswith("| passed |") for line in report)


def test_a_crossing_of_another_test_is_not_borrowed(conformance):
    result, _ = conformance(
        """
        BEGUN = threading.Event()

        @pytest.fixture(scope="session", autouse=True)
        def chatter():
            over = threading.Event()
            def talk():
                BEGUN.wait()
                while not over.wait(0.001):
                    listen()
            thread = threading.Thread(target=talk)
            thread.start()
            yield
            over.set()
            thread.join()

        @pytest.fixture(scope="session")
        def listener():
            listen()

        @pytest.mark.feature("AA-01")
        def test_first(listener):
            # Not while it is set up: then it would be a fixture that crosses.
            BEGUN.set()

        @pytest.mark.feature("AA-02")
        def test_second():
            threading.Event().wait(0.05)
        """,
        apart=True,
    )
    assert result.ret == 1
    result.stdout.fnmatch_lines("*test_second is marked AA-02, but crossed no socket*")
    result.stdout.no_fnmatch_line("*test_first is marked*")


def test_a_fixture_named_in_the_settings_is_believed(conformance):
    result, _ = conformance(
        """
        @pytest.fixture
        def believed(): pass

        @pytest.mark.feature("AA-01")
        def test_it(believed): pass
        """
    )
    assert result.ret == 0


def test_a_marked_test_may_not_be_deselected(conformance):
    result, _ = conformance(
        """
        @pytest.mark.feature("AA-01")
        def test_chosen(): listen()

        @pytest.mark.feature("AA-02")
        def test_left_out(): listen()
        """,
        "-k",
        "chosen",
    )
    assert result.ret == 1
    result.stdout.fnmatch_lines("*test_left_out is marked AA-02, but did not run")


def test_what_other_processes_would_show_is_not_asked_for(conformance):
    result, report = conformance("def test_it(): pass", "-p", "xdist", "-n", "1")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines("*run it without -n*")
    assert report == []


@pytest.mark.parametrize("mark", ["feature('AA-99')", "feature()", "feature('AA-01', 'AA-02')"])
def test_a_mark_names_one_known_row(conformance, mark):
    result, _ = conformance(f"@pytest.mark.{mark}\ndef test_it(): pass")
    assert result.ret == 1
    result.stdout.fnmatch_lines(f"*test_it is marked {mark}, which names no row of *")


@pytest.mark.parametrize(
    "source",
    [
        "def test_it(): pytest.skip('no card reader')",
        "@pytest.mark.skip(reason='no card reader')\ndef test_it(): pass",
        "pytest.skip('no card reader', allow_module_level=True)",
        "pytest.importorskip('no_card_reader', reason='no card reader')",
    ],
)
def test_a_skip_is_a_failure_where_nothing_may_be_skipped(pytester, monkeypatch, source):
    pytester.makeconftest(CONFTEST.read_text())
    pytester.path.joinpath("test_it.py").write_text(f"import pytest\n{source}")
    monkeypatch.setenv("SILD_NO_SKIP", "1")
    result = pytester.runpytest_inprocess()
    assert result.ret != 0
    result.stdout.fnmatch_lines("*SILD_NO_SKIP=1*no card reader*")
    monkeypatch.delenv("SILD_NO_SKIP")
    assert pytester.runpytest_inprocess().ret in (0, 5)
