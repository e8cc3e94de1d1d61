"""A security server as its user starts it, without a PIN and without a configuration."""

import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

SETTINGS = """
[proxy]
connector-host = "127.0.0.1"
client-http-port = 0
client-https-port = 0
exchange-log = "{exchanges}"
[server]
workers = 2
[listeners]
api-port = 0
"""


@dataclass
class Started:
    home: Path
    process: subprocess.Popen


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("server")
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    settings = home / "sild.toml"
    settings.write_text(SETTINGS.format(exchanges=tmp_path / "exchanges.jsonl"))
    settings.chmod(0o600)
    log = (tmp_path / "server.log").open("wb")
    command = (sys.executable, "-m", "sild", "security-server", "--home", str(home))
    umask = os.umask(0o022)
    try:
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            preexec_fn=allow_few_descriptors,  # noqa: PLW1509 - the test has no threads
        )
    finally:
        os.umask(umask)
        log.close()
    try:
        wait_for(home / "run" / "worker-1.sock", process)
        wait_for(home / "messagelog.db-wal", process)
        yield Started(home, process)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(120) == 0


def allow_few_descriptors():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))


def wait_for(path, process):
    deadline = time.monotonic() + 120
    while not path.exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_what_a_server_writes_is_for_its_user_alone(started):
    home = started.home
    written = [home, home.parent / "exchanges.jsonl", *home.rglob("*")]
    assert len(written) > 15
    assert [path for path in written if is_open_to_others(path)] == []


def is_open_to_others(path):
    with suppress(FileNotFoundError):  # what was there for a moment alone
        return path.lstat().st_mode & 0o077
    return False


def test_processes_may_have_as_many_descriptors_as_the_system_grants(started):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    granted = 65536 if hard == resource.RLIM_INFINITY else min(hard, 65536)
    limits = Path(f"/proc/{started.process.pid}/limits").read_text()
    (line,) = (line for line in limits.splitlines() if line.startswith("Max open files"))
    assert int(line.split()[3]) == granted
