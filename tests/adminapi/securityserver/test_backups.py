"""Backups of a security server over its API."""

import re
import shutil
from datetime import timedelta
from functools import partial

import pytest

from adminapi.api_builder import some_api
from servers.test_server_backups import opened
from sild.adminapi import backups
from sild.adminapi.backups import BackupSide
from sild.adminapi.securityserver import backups_ext
from sild.components.backup.settings import BackupSettings
from sild.model.permissions import SECURITY_SERVER, Role
from sild.model.tokens import SOFT_TOKEN_ID, Token, TokenStatus
from sild.runtime.timed import Timed
from sild.servers.audit import delete_old_backups

pytestmark = pytest.mark.anyio


class Tokens:
    """Tokens as a signer tells of them."""

    def __init__(self):
        self.held = [Token(SOFT_TOKEN_ID, "software", TokenStatus.OK, logged_in=True)]

    async def tokens(self):
        return tuple(self.held)


class Served:
    """The operations on a real socket, asked by a system administrator."""

    def __init__(self, api, server, tokens):
        self.api, self.server, self.tokens = api, server, tokens
        self.headers = {}

    async def ask(self, method, path):
        return await self.api.ask(method, f"/api/v1{path}", None, self.headers)

    @property
    def told(self):
        record = self.api.audit.records[-1]
        return record.event.name, record.reason is None, record.data


@pytest.fixture
async def served(tmp_path):
    if shutil.which("gpg") is None:
        pytest.skip("there is no GnuPG")
    areas = [backups.OPERATIONS, backups_ext.OPERATIONS]
    async with (
        opened(tmp_path / "home") as server,
        some_api(tmp_path, areas, roles=SECURITY_SERVER) as api,
    ):
        tokens = Tokens()
        api.application.state.backup_side = BackupSide(server.backups, tokens)
        made = Served(api, server, tokens)
        made.headers = await api.key(Role.SYSTEM_ADMINISTRATOR)
        yield made


@pytest.mark.feature("BK-01")
async def test_a_backup_is_made_and_says_when(served):
    refused = await served.ask("POST", "/backups/ext")
    assert (refused.status, refused.json["error"]["code"]) == (409, "backup_generation_failed")
    assert served.told[:2] == ("BACKUP", False)
    await served.server.initialize()
    made = await served.ask("POST", "/backups/ext")
    assert made.status == 201
    assert made.json.keys() == {"filename", "created_at", "local_conf_present"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", made.json["created_at"])
    assert made.json["local_conf_present"] is False
    assert served.told == ("BACKUP", True, {"backupFileName": made.json["filename"]})
    listed = (await served.ask("GET", "/backups")).json
    assert listed == [{key: made.json[key] for key in ("filename", "created_at")}]


@pytest.mark.feature("BK-03")
async def test_a_restoration_says_whether_tokens_in_hardware_are_closed(served):
    await served.server.initialize()
    await served.server.fill()
    before = await served.server.state()
    name = (await served.ask("POST", "/backups")).json["filename"]
    await served.server.spoil()
    restored = await served.ask("PUT", f"/backups/{name}/restore")
    assert restored.json == {"hsm_tokens_logged_out": False}
    assert await served.server.state() == before
    assert served.told == ("RESTORE_BACKUP", True, {"backupFileName": name})
    served.tokens.held.append(
        Token("1", "device", TokenStatus.OK, logged_in=False, type="hsm", available=False)
    )
    restored = await served.ask("PUT", f"/backups/{name}/restore")
    assert restored.json == {"hsm_tokens_logged_out": True}
    assert served.server.restored == 2


@pytest.mark.feature("BK-05")
async def test_backups_are_made_at_their_time_and_deleted_when_they_are_old(served):
    await served.server.initialize()
    settings, clock, made = BackupSettings(), served.server.clock, served.server.backups
    making = Timed(settings.backup_cron, made.create_automatic, clock)
    clear = partial(delete_old_backups, made, served.api.audit)
    clearing = Timed(settings.backup_cleanup_cron, clear, clock)
    await making.look()
    assert (await served.ask("GET", "/backups")).json == []
    clock.turn(timedelta(days=1))
    await making.look()
    kept = (await served.ask("POST", "/backups")).json["filename"]
    names = {each["filename"] for each in (await served.ask("GET", "/backups")).json} - {kept}
    assert [name.startswith("ss-automatic-backup-") for name in names] == [True]
    clock.turn(timedelta(days=31))
    await clearing.look()
    assert [each["filename"] for each in (await served.ask("GET", "/backups")).json] == [kept]
    assert served.told == ("DELETE_BACKUP", True, {"backupFileName": names.pop()})


async def test_only_system_administrators_have_to_do_with_backups(served):
    others = [
        role
        for role in SECURITY_SERVER
        if role not in {Role.SYSTEM_ADMINISTRATOR, Role.MANAGEMENT_SERVICE}
    ]
    served.headers = await served.api.key(*others)
    for method, path in (
        ("GET", "/backups"),
        ("POST", "/backups"),
        ("POST", "/backups/ext"),
        ("PUT", "/backups/x.gpg/restore"),
        ("GET", "/backups/x.gpg/download"),
        ("DELETE", "/backups/x.gpg"),
    ):
        assert (await served.ask(method, path)).status == 403, path
