"""The system areas of the Central Server's API on a real socket."""

import asyncio
import io
from contextlib import asynccontextmanager
from dataclasses import fields
from urllib.parse import quote

from adminapi.api_builder import some_api
from components.centralserver.nodes import Instance
from sild.adminapi import backups
from sild.adminapi.backups import BackupSide
from sild.adminapi.centralserver import (
    initialization,
    management_services,
    notifications,
    system,
)
from sild.adminapi.centralserver.central import CentralServer
from sild.components.backup.backups import BackupPlaces, Backups
from sild.components.backup.dump import SavedDatabase
from sild.components.backup.saved import SavedServer
from sild.components.backup.settings import BackupSettings
from sild.components.centralserver.alerts import Alerts
from sild.components.centralserver.initialization import Initialization
from sild.components.centralserver.metadata import METADATA
from sild.components.tlsidentity.identity import ServedTls
from sild.components.tlsidentity.selfsigned import TlsSubject
from sild.model.permissions import Role
from sild.runtime.database import Database

AREAS = (initialization, system, management_services, notifications, backups)
INITIAL = {
    "instance_identifier": "DEV",
    "central_server_address": "cs.example.org",
    "software_token_pin": "Secret-1234",
}


class ActiveKeys:
    """No key signs."""

    async def active_keys(self):
        return {"internal": None}


class Served:
    """A Central Server whose operations are asked for by those who may."""

    def __init__(self, api, instance, central):
        self.api = api
        self.instance = instance
        self.central = central
        self.headers = {}

    async def ask(self, method, path, body=None, **headers):
        return await self.api.ask(method, f"/api/v1{path}", body, self.headers | headers)

    async def upload(self, path, field, name, content):
        """Send a file in a form."""
        lines = (
            b"--limit\r\nContent-Disposition: form-data; "
            + f'name="{field}"; filename="{name}"'.encode()
            + b"\r\nContent-Type: application/octet-stream\r\n\r\n"
        )
        body = io.BytesIO(lines + content + b"\r\n--limit--\r\n").getvalue()
        kind = {"content-type": "multipart/form-data; boundary=limit"}
        return await self.api.ask("POST", f"/api/v1{path}", body, self.headers | kind)

    async def refused(self, *asked):
        """The status and code of a refusal."""
        answer = await self.ask(*asked)
        return answer.status, answer.json["error"]["code"]

    @property
    def told(self):
        """The last audit record."""
        record = self.api.audit.records[-1]
        return record.event.name, record.reason is None, record.data

    async def initialize(self):
        answer = await self.ask("POST", "/initialization", INITIAL)
        assert answer.status == 200

    @staticmethod
    def encoded(name):
        return quote(name, safe="")


@asynccontextmanager
async def served_system(folder, node=None, url=None):
    """The areas until the block ends, asked with a key of every role of people."""
    async with Database.open(url or f"sqlite:///{folder / 'db' / 'central.db'}") as database:
        async with database.migrating() as connection:
            await connection.run_sync(METADATA.create_all)
        instance = Instance(database, node)
        home = folder / "home"
        await asyncio.to_thread(home.mkdir)
        subject = TlsSubject("cs.example.org")
        tls = ServedTls(home / "management-service.pem", subject, instance.clock)
        saved = SavedServer(
            "central",
            instance.system.identity,
            "0.1",
            (SavedDatabase("central", database, (METADATA,)),),
            {"tls": home / "management-service.pem"},
        )
        places = BackupPlaces(home / "backup", home / "gnupg", home / "work")
        kept = Backups(saved, places, BackupSettings(), instance.clock)
        made = dict.fromkeys(field.name for field in fields(CentralServer))
        made |= {
            "initialization": Initialization(
                database, instance.node, instance.tokens, kept, instance.clock
            ),
            "system": instance.system,
            "management_services": instance.management,
            "management_tls": tls,
            "cluster": instance.cluster,
            "alerts": Alerts(instance.system, instance.cluster, instance.tokens, ActiveKeys()),
            "backups": kept,
            "tokens": instance.tokens,
            "clock": instance.clock,
        }
        central = CentralServer(**made)
        areas = [area.OPERATIONS for area in AREAS]
        accounts = folder / "accounts"
        await asyncio.to_thread(accounts.mkdir)
        async with some_api(accounts, areas) as api:
            api.application.state.central = central
            api.application.state.backup_side = BackupSide(kept, instance.tokens)
            served = Served(api, instance, central)
            served.headers = await api.key(
                Role.SECURITY_OFFICER, Role.REGISTRATION_OFFICER, Role.SYSTEM_ADMINISTRATOR
            )
            try:
                yield served
            finally:
                await kept.close()
