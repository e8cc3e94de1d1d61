"""Where the audit log of a server goes, as its settings say."""

import socket

import pytest

from sild.adminapi.settings import AdminApiSettings
from sild.servers.audit import open_audit_sink

pytestmark = pytest.mark.feature("AU-04")


def test_lines_go_to_the_file_of_the_server_or_to_the_one_that_is_set(tmp_path):
    own, other = tmp_path / "own.log", tmp_path / "other.log"
    for settings in (AdminApiSettings(), AdminApiSettings(audit_log=other)):
        sink = open_audit_sink(own, settings)
        sink.write("a line")
        sink.close()
    assert own.read_text() == other.read_text() == "a line\n"


def test_lines_go_to_the_log_daemon_too_where_one_is_set(tmp_path):
    path = tmp_path / "audit.log"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
        daemon.bind(("127.0.0.1", 0))
        daemon.settimeout(10)
        settings = AdminApiSettings(audit_syslog=f"127.0.0.1:{daemon.getsockname()[1]}")
        sink = open_audit_sink(path, settings)
        sink.write("a line")
        sink.close()
        assert daemon.recv(100) == b"<134>a line"
    assert path.read_text() == "a line\n"


def test_the_address_of_a_log_daemon_is_host_and_port():
    assert AdminApiSettings(audit_syslog="[::1]:514").syslog_address() == ("::1", 514)
    for wrong in ("localhost", ":514", "localhost:", "localhost:syslog", "h:0", "h:65536"):
        with pytest.raises(ValueError, match="HOST:PORT"):
            AdminApiSettings(audit_syslog=wrong)
