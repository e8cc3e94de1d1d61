"""`sild import` as it is typed."""

import json
import stat
import subprocess
import sys

import pytest

from components.takeover.builders import PIN
from servers.old_server import OldServer


@pytest.fixture
def old(tmp_path):
    return OldServer(tmp_path)


@pytest.fixture
def run(old):
    def run(*arguments, given=""):
        command = (sys.executable, "-m", "sild", "import", str(old.tar()), "--home", str(old.home))
        done = subprocess.run(
            (*command, *map(str, arguments)),
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )
        assert PIN not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    return run


def test_a_server_is_taken_over(run, old):
    done = run("--plain", given=f"{PIN}\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert "security server DEV/COM/1234/SS0" in done.stdout
    assert "4 access rights" in done.stdout
    for path in (old.home, *old.home.rglob("*")):
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path
    check = (sys.executable, "-m", "sild", "security-server", "--check", "--home", str(old.home))
    checked = subprocess.run(check, capture_output=True, text=True, check=True)
    assert "client-http-port = 8081" in checked.stdout
    again = run("--plain", given=f"{PIN}\n")
    assert again.returncode == 1
    assert "not empty" in again.stderr


def test_a_rehearsal_tells_what_would_come_over(run, old):
    done = run("--plain", "--dry-run", "--json")
    assert done.returncode == 0
    told = json.loads(done.stdout)
    assert told["server"] == "DEV/COM/1234/SS0"
    assert told["taken"]["clients"] == 2
    assert len(told["keys"]) == 2
    assert "[proxy] client-http-port = 8081" in told["settings"]
    assert told["lost"] == []
    assert any(each["what"] == "the message log" for each in told["notes"])
    assert not old.home.exists()


def test_what_cannot_come_over_is_told_with_its_reason(run, old):
    old.further["etc/xroad/configuration-anchor.xml"] = None
    rehearsed = run("--plain", "--dry-run")
    assert rehearsed.returncode == 1
    assert (
        "cannot come over:\n  the configuration anchor: the backup holds none" in rehearsed.stdout
    )
    refused = run("--plain", given=f"{PIN}\n")
    assert refused.returncode == 1
    assert "--leave-out" in refused.stderr
    assert not old.home.exists()
    assert run("--plain", "--leave-out", given=f"{PIN}\n").returncode == 0
    assert old.home.exists()


def test_the_pin_comes_from_a_private_file(run, old):
    file = old.directory / "pin"
    file.write_text(f"{PIN}\n")
    file.chmod(0o644)
    done = run("--plain", "--pin-file", file)
    assert done.returncode == 1
    assert "chmod 600" in done.stderr
    file.chmod(0o600)
    assert run("--plain", "--pin-file", file).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "given", "told"),
    [
        (("--plain",), "Wrong-1234\n", "PIN"),
        (("--plain",), "", "PIN"),
        ((), f"{PIN}\n", "--plain"),
        (("--plain", "--pin-file", "/no/such/file"), "", "No such file"),
    ],
)
def test_refusals_are_one_line_and_change_nothing(run, old, arguments, given, told):
    done = run(*arguments, given=given)
    assert done.returncode == 1
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
    assert not old.home.exists()
    assert old.left_beside() == set()


def test_a_file_that_is_not_there_is_told(old):
    command = (sys.executable, "-m", "sild", "import", "/no/such.gpg", "--home", str(old.home))
    done = subprocess.run(
        (*command, "-N", "--dry-run"), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "/no/such.gpg" in done.stderr
