import logging
import os
import socket

import pytest

from sild.runtime.auditlog import AuditFile, AuditSinks, AuditSyslog


def test_lines_are_appended_to_a_private_file(tmp_path):
    path = tmp_path / "audit.log"
    path.write_text("before\n")
    path.chmod(0o600)
    sink = AuditFile(path)
    sink.write("one")
    sink.write("two")
    sink.close()
    assert path.read_text() == "before\none\ntwo\n"


def test_a_new_file_is_private(tmp_path):
    before = os.umask(0)
    try:
        AuditFile(tmp_path / "audit.log").close()
    finally:
        os.umask(before)
    assert (tmp_path / "audit.log").stat().st_mode & 0o777 == 0o600


def test_a_file_that_was_rotated_is_made_anew(tmp_path):
    path = tmp_path / "audit.log"
    sink = AuditFile(path)
    sink.write("one")
    path.rename(tmp_path / "audit.log.1")
    sink.write("two")
    path.rename(tmp_path / "audit.log.2")
    path.write_text("")
    sink.write("three")
    sink.close()
    assert (tmp_path / "audit.log.1").read_text() == "one\n"
    assert (tmp_path / "audit.log.2").read_text() == "two\n"
    assert path.read_text() == "three\n"


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "elsewhere").write_text("")
    (tmp_path / "audit.log").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        AuditFile(tmp_path / "audit.log")


@pytest.mark.feature("AU-04")
def test_a_log_daemon_gets_lines_as_local0_info():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
        daemon.bind(("127.0.0.1", 0))
        daemon.settimeout(60)
        sink = AuditSyslog("127.0.0.1", daemon.getsockname()[1])
        sink.write("a line")
        assert daemon.recv(100) == b"<134>a line"
        sink.write("x" * 100_000)
        assert len(daemon.recv(200_000)) == 65_000
        sink.close()


class Broken:
    def write(self, line):
        raise OSError("the disk is full")

    def close(self):
        pass


def test_a_sink_that_fails_is_told_of_and_hinders_no_other(tmp_path, caplog):
    path = tmp_path / "audit.log"
    sinks = AuditSinks(Broken(), AuditFile(path))
    with caplog.at_level(logging.ERROR):
        sinks.write("a line")
    sinks.close()
    assert path.read_text() == "a line\n"
    assert "the disk is full" in caplog.text
    assert "a line" in caplog.text
