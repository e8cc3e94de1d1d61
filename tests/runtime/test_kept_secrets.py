"""Secrets that outlive a process, and those who must not have them."""

import array
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from sild.runtime.kept_secrets import KeptSecrets


@pytest.fixture
def kept():
    made = KeptSecrets.open({})
    yield made
    if made._descriptor != -1:
        made.let_go()


def in_child(act):
    """Whether the act is true in a fork."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = 0 if act() else 1
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_a_process_finds_what_the_one_before_it_kept(kept):
    assert in_child(lambda: kept.remember("0", "PIN") is None)
    assert in_child(lambda: kept.find("0") == "PIN")
    assert kept.find("0") == "PIN"
    assert kept.find("1") is None


def test_what_is_forgotten_is_found_by_nobody(kept):
    kept.remember("0", "secret-zero" * 10)
    kept.remember("1", "one")
    kept.forget("0")
    kept.forget("2")
    assert (kept.find("0"), kept.find("1")) == (None, "one")
    assert b"secret-zero" not in os.pread(kept._descriptor, 10_000, 0)


def test_who_let_go_has_nothing_left(kept):
    kept.remember("0", "PIN")

    def nothing_left():
        kept.let_go()
        return not any("sild-secrets" in name for name in held())

    assert any("sild-secrets" in name for name in held())
    assert in_child(nothing_left)
    assert kept.find("0") == "PIN"


def held():
    """What this process has open."""
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            yield str(descriptor.readlink())


def test_a_program_that_is_started_inherits_nothing(kept):
    assert not os.get_inheritable(kept._descriptor)


def test_a_process_that_is_killed_while_it_writes_spoils_nothing_but_the_secrets(kept):
    pid = os.fork()
    if pid == 0:
        try:
            while True:
                kept.remember("0", "a" * 1000)
                kept.remember("0", "b" * 2000)
        finally:
            os._exit(1)
    time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert kept.find("0") in {None, "a" * 1000, "b" * 2000}
    kept.remember("0", "again")
    assert kept.find("0") == "again"


@pytest.mark.parametrize("content", [b"", b"x", b"\x00" * 100, os.urandom(200)])
def test_what_cannot_be_read_counts_as_nothing(kept, content):
    os.ftruncate(kept._descriptor, 0)
    os.pwrite(kept._descriptor, content, 0)
    assert kept.find("0") is None


def test_a_service_manager_keeps_them_over_a_restart(tmp_path):
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.settimeout(60)
        before = KeptSecrets.open({"NOTIFY_SOCKET": address})
        before.remember("0", "PIN")
        message, ancillary, *_ = manager.recvmsg(1000, socket.CMSG_SPACE(4))
    assert message.split(b"\n") == [b"FDSTORE=1", b"FDNAME=sild-secrets"]
    ((_, _, rights),) = ancillary
    (descriptor,) = array.array("i", rights)
    before.let_go()

    def found_again():
        os.dup2(descriptor, 3)
        after = KeptSecrets.open(
            {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "sild-secrets"}
        )
        return after.find("0") == "PIN" and not os.get_inheritable(3)

    assert in_child(found_again)
    os.close(descriptor)


def test_descriptors_of_another_process_or_name_are_not_taken(kept):
    def nothing_taken():
        for said in (
            {"LISTEN_PID": "1", "LISTEN_FDNAMES": "sild-secrets"},
            {"LISTEN_PID": str(os.getpid()), "LISTEN_FDNAMES": "http:https"},
        ):
            KeptSecrets.open(said).remember("0", "PIN")
        return True

    assert in_child(nothing_taken)


def test_without_its_manager_a_service_starts_all_the_same(tmp_path, caplog):
    KeptSecrets.open({"NOTIFY_SOCKET": str(tmp_path / "none")}).let_go()
    assert "do not outlive" in caplog.text


def dumpable():
    return ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)


def test_who_holds_them_cannot_be_looked_into_and_who_let_go_can(kept):
    assert in_child(lambda: dumpable() == 0)

    def let_go():
        kept.let_go()
        return dumpable() == 1

    assert in_child(let_go)


_FORGETTING = """
import os
from pathlib import Path
from sild.runtime.kept_secrets import forget_variable
started_with = Path("/proc/self/environ").read_bytes
assert b"PIN=canary-1\\0" in started_with() and b"PINS=others\\0" in started_with()
forget_variable("PIN")
forget_variable("PIN")
forget_variable(None)
assert "PIN" not in os.environ and os.getenv("PINS") == "others"
assert b"canary-1" not in started_with() and b"PINS=others\\0" in started_with()
"""


def test_a_variable_that_is_forgotten_is_told_by_nobody():
    variables = {"PIN": "canary-1", "PINS": "others"}
    command = [sys.executable, "-c", _FORGETTING]
    subprocess.run(command, env={**os.environ, **variables}, check=True, timeout=180)
