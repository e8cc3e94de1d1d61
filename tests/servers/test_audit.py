"""Where the audit log of a server goes, as its settings say."""

import shutil
import socket
from datetime import timedelta

import pytest

from servers.test_server_backups import opened
from sild.adminapi.settings import AdminApiSettings
from sild.components.backup.errors import BackupNotFound
from sild.model.audit import AuditEvent
from sild.servers.audit import delete_old_backups, open_audit_sink


def test_lines_go_to_the_file_of_the_server_or_to_the_one_that_is_set(tmp_path):
    own, other = tmp_path / "own.log", tmp_path / "other.log"
    for settings in (AdminApiSettings(), AdminApiSettings(audit_log=other)):
        sink = open_audit_sink(own, settings)
        sink.write("a line")
        sink.close()
    assert own.read_text() == other.read_text() == "a line\n"


@pytest.mark.feature("AU-04")
def test_lines_go_to_the_log_daemon_too_where_one_is_set(tmp_path):
    path = tmp_path / "audit.log"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
        daemon.bind(("127.0.0.1", 0))
        daemon.settimeout(60)
        settings = AdminApiSettings(audit_syslog=f"127.0.0.1:{daemon.getsockname()[1]}")
        sink = open_audit_sink(path, settings)
        sink.write("a line")
        sink.close()
        assert daemon.recv(100) == b"<134>a line"
    assert path.read_text() == "a line\n"


class Elsewhere:
    """Keeps records; with the first, somebody else deletes a backup that is old too."""

    def __init__(self, folder, name):
        self.path, self.records = folder / name, []

    def record(self, record):
        self.records.append(record)
        if len(self.records) == 1:
            self.path.unlink()


@pytest.mark.anyio
@pytest.mark.skipif(shutil.which("gpg") is None, reason="there is no GnuPG")
async def test_an_old_backup_that_cannot_be_deleted_is_told_and_keeps_no_other(tmp_path):
    async with opened(tmp_path / "home") as server:
        await server.initialize()
        for _ in range(3):
            await server.backups.create_automatic()
            server.clock.turn(timedelta(minutes=1))
        server.clock.turn(timedelta(days=31))
        newest, between, oldest = await server.backups.old()
        audit = Elsewhere(server.backups.path_of(oldest.name).parent, between.name)
        with pytest.raises(BackupNotFound):
            await delete_old_backups(server.backups, audit)
        assert await server.backups.list() == ()
        assert {each.event for each in audit.records} == {AuditEvent.DELETE_BACKUP}
        told = {each.data["backupFileName"]: each.reason is None for each in audit.records}
        assert told == {newest.name: True, between.name: False, oldest.name: True}


def test_the_address_of_a_log_daemon_is_host_and_port():
    assert AdminApiSettings(audit_syslog="[::1]:514").syslog_address() == ("::1", 514)
    for wrong in ("localhost", ":514", "localhost:", "localhost:syslog", "h:0", "h:65536"):
        with pytest.raises(ValueError, match="HOST:PORT"):
            AdminApiSettings(audit_syslog=wrong)
