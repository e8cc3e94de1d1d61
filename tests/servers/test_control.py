"""How control makes the snapshot: rights first, whatever becomes of the signer and of responders."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial

import pytest

from central.nodes import until_true
from ecosystem.processes import until
from pki_builder import TestCa
from servers.builders import OWNER, SERVER, Home
from sild.components.messagelog.schema import MIGRATIONS as MESSAGE_LOG_MIGRATIONS
from sild.components.serverconf.declaration import (
    DeclaredClient,
    DeclaredRight,
    DeclaredService,
    ServerDeclaration,
    apply_declaration,
)
from sild.components.serverconf.schema import MIGRATIONS
from sild.components.serverconf.store import ConfigurationStore
from sild.components.signer.rpc import OPTIONS, SignerForControl
from sild.model.services import ClientStatus
from sild.model.snapshot import AuthenticationCertificate, SigningCertificate
from sild.model.tokens import (
    CertificateEntry,
    CertificateStatus,
    Key,
    KeyAlgorithm,
    KeyUsage,
    Token,
    TokenStatus,
)
from sild.protocol.globalconf.shared_parameters import CaEntry, OcspResponderEntry
from sild.protocol.ids import ClientId
from sild.runtime.clock import SystemClock
from sild.runtime.database import Database
from sild.runtime.fetch import Fetcher
from sild.runtime.migrations import migrate
from sild.runtime.rpc import RpcError, serve_rpc
from sild.servers.control import Control, Databases
from sild.servers.settings import NodeType, SecurityServerSettings, ServerSection
from sild.servers.snapshots import read_snapshot
from sild.servers.worker_calls import WorkerCalls

pytestmark = pytest.mark.anyio

PROVIDER = OWNER.subsystem("S1")
CALLER = ClientId("DEV", "COM", "M2", "S2")
CA = TestCa.create()
SIGNER = CA.issue_sign(OWNER).certificate


def declaration(*callers):
    """One service, which these may call."""
    rights = tuple(DeclaredRight(caller) for caller in callers)
    service = DeclaredService("service", "http://127.0.0.1/", rights)
    return ServerDeclaration(SERVER, (DeclaredClient(PROVIDER, services=(service,)),))


class OneCertificate(SignerForControl):
    """A signer that has one signing certificate, which nothing is known about."""

    async def tokens(self):
        status = CertificateStatus.REGISTERED
        entry = CertificateEntry(SIGNER.sha256.hex(), SIGNER.der, status, True, OWNER)
        key = Key("K", "", KeyUsage.SIGNING, KeyAlgorithm.EC_P256, b"", (entry,))
        return (Token("0", "", TokenStatus.OK, True, (key,), frozenset({"K"})),)


class Wired(Home):
    """Control over a directory, with its jobs in the test's hands."""

    def __init__(self, path, server=None):
        super().__init__(path, SystemClock().now())
        self.settings = SecurityServerSettings(server=server or ServerSection())

    def save_conf(self, responder="http://127.0.0.1:1/"):
        (service,) = self.own.shared.certification_services
        top = CaEntry(CA.certificate, (OcspResponderEntry(responder),))
        service = replace(service, top=top)
        self.own.shared = replace(self.own.shared, certification_services=(service,))
        super().save_conf()

    async def __aenter__(self):
        self._opened = opened = AsyncExitStack()
        databases = []
        for path, migrations in (
            (self.layout.server_database, MIGRATIONS),
            (self.layout.message_database, MESSAGE_LOG_MIGRATIONS),
        ):
            address = f"sqlite:///{path}"
            databases.append(await opened.enter_async_context(Database.open(address)))
            await migrate(databases[-1], migrations)
        fetcher = await opened.enter_async_context(Fetcher())
        self.control = Control(self.layout, self.settings, Databases(*databases), fetcher)
        return self

    async def __aexit__(self, *_):
        await self._opened.aclose()

    async def serve_signer(self, signer=None):
        path = self.layout.signer_admin_socket
        server = await serve_rpc(path, signer or OneCertificate(), SignerForControl, OPTIONS)
        self._opened.push_async_callback(server.close)

    @property
    def snapshot(self):
        return read_snapshot(self.layout.snapshot_file)

    def serves_provider_as(self, status):
        return {client.id: client.status for client in self.snapshot.clients}[PROVIDER] is status

    @property
    def callers(self):
        return {right.subject for right in self.snapshot.rights}


@pytest.fixture
async def wired(tmp_path):
    async with Wired(tmp_path) as wired:
        yield wired


@pytest.mark.parametrize("content", [b"", b"of another release", b"\x80" * 1000])
async def test_a_snapshot_that_cannot_be_read_is_made_anew(tmp_path, content):
    wired = Wired(tmp_path)
    wired.layout.snapshot_file.write_bytes(content)
    wired.save_conf()
    async with wired:
        await wired.serve_signer()
        await wired.control.declare(declaration(CALLER))
        assert wired.callers == {CALLER}


@dataclass
class SilentResponder:
    """An OCSP responder that takes every question and answers none."""

    url: str
    asked: asyncio.Event


@pytest.fixture
async def responder(anyio_backend):
    asked = asyncio.Event()

    async def say_nothing(reader, writer):
        asked.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    yield SilentResponder(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", asked)
    server.close()


async def test_a_right_is_gone_at_once_while_an_ocsp_responder_is_slow(wired, responder):
    wired.save_conf(responder.url)
    await wired.serve_signer()
    await wired.control.declare(declaration(CALLER))
    running = asyncio.get_running_loop().create_task(wired.control.run())
    try:
        await asyncio.wait_for(responder.asked.wait(), 60)
        assert wired.callers == {CALLER}
        async with asyncio.timeout(15):
            await wired.control.declare(declaration())
        assert wired.callers == set()
    finally:
        running.cancel()
        await asyncio.wait([running])


class Looking(OneCertificate):
    """A signer that notes when its tokens are looked at after a change."""

    def __init__(self):
        self.changed = False
        self.looked = asyncio.Event()

    async def tokens(self):
        if self.changed:
            self.looked.set()
        return await super().tokens()

    async def set_active(self, sha256, active):
        self.changed = True


async def test_a_certificate_is_disabled_at_once_while_an_ocsp_responder_is_slow(
    tmp_path, responder
):
    # Nobody looks in between of themselves.
    async with Wired(tmp_path, ServerSection(refresh_interval=3600.0)) as wired:
        wired.save_conf(responder.url)
        signer = Looking()
        await wired.serve_signer(signer)
        await wired.control.declare(declaration(CALLER))
        tasks = [asyncio.create_task(wired.control.run())]
        try:
            await asyncio.wait_for(responder.asked.wait(), 60)
            tasks.append(asyncio.create_task(wired.control.disable(SIGNER.sha256.hex())))
            async with asyncio.timeout(15):
                await signer.looked.wait()
            assert not tasks[-1].done()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


class StartedLate(WorkerCalls):
    """A worker that notes when it is told of another certificate."""

    def __init__(self):
        self.told = 0

    async def reload_internal_tls(self):
        self.told += 1


async def test_a_worker_that_is_only_just_starting_is_told_of_a_certificate_too(wired):
    """It may have read the certificate of before."""
    worker = StartedLate()
    restarting = asyncio.create_task(wired.control.internal_tls_changed())
    await asyncio.sleep(0.3)
    assert not restarting.done()
    async with await serve_rpc(wired.layout.worker_socket(0), worker, WorkerCalls):
        await restarting
    assert worker.told == 1


async def test_a_right_is_gone_at_once_while_the_signer_is_not_there(wired):
    wired.save_conf()
    with pytest.raises(RpcError):
        await wired.control.declare(declaration(CALLER))
    assert wired.callers == {CALLER}
    with pytest.raises(RpcError):
        await wired.control.declare(declaration())
    assert wired.callers == set()


async def test_certificates_stay_as_they_were_while_the_signer_is_not_there(tmp_path):
    wired = Wired(tmp_path)
    wired.save_conf()
    signing = SigningCertificate(OWNER, "K", SIGNER.der, (), (b"response",), batch=True)
    authentication = AuthenticationCertificate("A", b"certificate", (), (b"response",))
    wired.save_snapshot(signing=(signing,), authentication=authentication)
    async with wired:
        with pytest.raises(RpcError):
            await wired.control.declare(declaration(CALLER))
        assert wired.snapshot.generation == 2
        assert wired.snapshot.signing == (signing,)
        assert wired.snapshot.authentication == authentication
        await wired.serve_signer()
        await wired.control.declare(declaration(CALLER))
        assert wired.snapshot.signing == ()
        assert wired.snapshot.authentication is None


async def test_what_is_declared_beside_updates_is_what_the_snapshot_says(wired):
    wired.save_conf()
    await wired.serve_signer()
    for callers in ((CALLER,), ()) * 5:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(wired.control.disable("none"))
            tasks.create_task(wired.control.declare(declaration(*callers)))
            tasks.create_task(wired.control.disable("none"))
        assert wired.callers == set(callers)


async def test_a_secondary_node_sees_what_its_primary_has_changed(tmp_path):
    section = ServerSection(node_type=NodeType.SECONDARY, refresh_interval=0.05)
    async with Wired(tmp_path, section) as wired:
        wired.save_conf()
        await wired.serve_signer()
        await wired.control.declare(declaration(CALLER))
        running = asyncio.get_running_loop().create_task(wired.control.run())
        try:
            async with Database.open(f"sqlite:///{wired.layout.server_database}") as database:
                primary = ConfigurationStore(database)
                await apply_declaration(primary, declaration(), SystemClock())
            await until(lambda: not wired.callers, 10, "the right is gone")
        finally:
            running.cancel()
            await asyncio.wait([running])


async def test_clients_follow_the_global_configuration_and_what_others_write(tmp_path):
    """Although control looks closely only now and then while nobody tells it of anything."""
    async with Wired(tmp_path, ServerSection(refresh_interval=0.05)) as wired:
        listing = wired.own.shared.servers
        unlisting = tuple(replace(server, clients=()) for server in listing)
        wired.save_conf()
        await wired.serve_signer()
        await wired.control.declare(declaration(CALLER))
        running = asyncio.get_running_loop().create_task(wired.control.run())
        try:
            for servers, status in (
                (listing, ClientStatus.REGISTERED),
                (unlisting, ClientStatus.GLOBAL_ERROR),
                (listing, ClientStatus.REGISTERED),
            ):
                wired.own.shared = replace(wired.own.shared, servers=servers)
                wired.save_conf()
                await until(partial(wired.serves_provider_as, status), 20, f"it is {status}")
            async with Database.open(f"sqlite:///{wired.layout.server_database}") as database:
                async with ConfigurationStore(database).transaction() as conf:
                    (client,) = (c for c in await conf.clients() if c.id == PROVIDER)
                    wrong = replace(client, status=ClientStatus.GLOBAL_ERROR)
                    await conf.replace_client(wrong)
                await until_true(lambda: is_in(database, client), "it is what it was", 20)
        finally:
            running.cancel()
            await asyncio.wait([running])


async def is_in(database, client):
    async with ConfigurationStore(database).reading() as conf:
        return client in await conf.clients()


async def test_a_snapshot_that_could_not_be_written_is_written_later(wired):
    wired.save_conf()
    await wired.serve_signer()
    await wired.control.declare(declaration(CALLER))
    run = wired.layout.run
    away = run.rename(run.with_name("away"))
    with pytest.raises((OSError, RpcError)):
        await wired.control.declare(declaration())
    away.rename(run)
    assert wired.callers == {CALLER}
    await wired.control.declare(declaration())
    assert wired.callers == set()
