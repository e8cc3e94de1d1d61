import json
import socket
from contextlib import closing, contextmanager

import pytest

from adminapi.api_builder import some_api
from adminapi.operations_of_tests import THINGS
from sild.adminapi.auditing import AuditLog
from sild.model.audit import AuditEvent, AuditRecord
from sild.model.permissions import SECURITY_SERVER, Role, on_secondary_node
from sild.runtime.auditlog import AuditSyslog
from sild.runtime.clock import SystemClock

pytestmark = pytest.mark.anyio


@contextmanager
def daemon():
    """An audit log that is sent to a log daemon, and that daemon's socket."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(60)
        with closing(AuditSyslog("127.0.0.1", listening.getsockname()[1])) as sink:
            yield AuditLog(sink, "cs1", "Sild", SystemClock()), listening


def json_of(datagram):
    return json.loads(datagram.decode().partition(" - ")[2])


@pytest.mark.feature("AU-02")
async def test_every_event_of_the_catalogue_reaches_the_log_daemon():
    with daemon() as (log, listening):
        for event in AuditEvent:
            log.record(AuditRecord(event, user="joe"))
            assert json_of(listening.recv(10_000))["event"] == event.value


@pytest.mark.feature("AU-03")
async def test_what_the_server_does_by_itself_is_of_the_user_system():
    with daemon() as (log, listening):
        log.record(AuditRecord(AuditEvent.BACKUP, {"backupFileName": "a.gpg"}))
        assert json_of(listening.recv(10_000)) == {
            "event": "Back up configuration",
            "user": "system",
            "data": {"backupFileName": "a.gpg"},
        }


@pytest.mark.feature("US-02")
@pytest.mark.parametrize("role", sorted(SECURITY_SERVER, key=str))
async def test_the_roles_of_a_security_server_are_another_table(tmp_path, role):
    async with some_api(tmp_path, [THINGS], roles=SECURITY_SERVER) as api:
        key = await api.key(role)
        answer = await api.ask("GET", "/api/v1/user/permissions", headers=key)
        assert answer.json == sorted(one.value for one in SECURITY_SERVER[role])


@pytest.mark.feature("US-09")
async def test_on_a_secondary_node_only_observers_see_and_others_enter_pins(tmp_path):
    roles = on_secondary_node(SECURITY_SERVER)
    async with some_api(tmp_path, [THINGS], roles=roles) as api:
        for role, expected in (
            (Role.SECURITY_OFFICER, ["ACTIVATE_DEACTIVATE_TOKEN"]),
            (Role.SERVICE_ADMINISTRATOR, []),
        ):
            key = await api.key(role)
            answer = await api.ask("GET", "/api/v1/user/permissions", headers=key)
            assert answer.json == expected
        key = await api.key(Role.SECURITYSERVER_OBSERVER)
        answer = await api.ask("GET", "/api/v1/user/permissions", headers=key)
        assert len(answer.json) == 28
        key = await api.key(Role.SYSTEM_ADMINISTRATOR)
        assert (await api.ask("POST", "/api/v1/warnings", headers=key)).status == 403
