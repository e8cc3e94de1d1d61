"""A security server as its user starts it, without a PIN and without a configuration."""

import os
import signal
import subprocess
import sys
import time

import pytest

SETTINGS = """
[proxy]
connector-host = "127.0.0.1"
client-http-port = 0
client-https-port = 0
exchange-log = "{exchanges}"
[server]
workers = 2
"""


@pytest.fixture
def home(tmp_path):
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    settings = home / "sild.toml"
    settings.write_text(SETTINGS.format(exchanges=tmp_path / "exchanges.jsonl"))
    settings.chmod(0o600)
    log = (tmp_path / "server.log").open("wb")
    command = (sys.executable, "-m", "sild", "security-server", "--home", str(home))
    umask = os.umask(0o022)
    try:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    finally:
        os.umask(umask)
        log.close()
    try:
        wait_for(home / "run" / "worker-1.sock", process)
        wait_for(home / "messagelog.db-wal", process)
        yield home
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def wait_for(path, process):
    deadline = time.monotonic() + 20
    while not path.exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_what_a_server_writes_is_for_its_user_alone(home):
    written = [home, home.parent / "exchanges.jsonl", *home.rglob("*")]
    assert len(written) > 15
    open_to_others = [path for path in written if path.lstat().st_mode & 0o077]
    assert open_to_others == []
