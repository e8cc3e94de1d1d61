"""What of a security server is saved and restored, and what is left alone."""

import shutil
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from sqlalchemy import func, insert, select

from sild.components.accounts.accounts import Accounts
from sild.components.accounts.settings import AccountSettings
from sild.components.accounts.store import AccountStore
from sild.components.backup.errors import BackupKeyNotMade, BackupRefused, NotYetInitialized
from sild.components.backup.saved import RestoreOptions
from sild.components.backup.settings import BackupSettings
from sild.components.messagelog.authorities import ChosenService
from sild.components.messagelog.stamps import StampStore
from sild.components.messagelog.tables import JOURNAL
from sild.components.serverconf.clients import put_server
from sild.components.serverconf.store import ConfigurationStore
from sild.model.permissions import SECURITY_SERVER, Role
from sild.model.services import Client, ConnectionType
from sild.protocol.ids import ClientId, SecurityServerId
from sild.runtime.clock import TurnedClock
from sild.runtime.database import Database
from sild.runtime.files import make_private_directory, write_private
from sild.runtime.gnupg_home import GnupgHome
from sild.servers.databases import migrate_databases
from sild.servers.layout import Layout
from sild.servers.server_backups import BackedUp, ServerBackups
from sild.servers.settings import SecurityServerSettings, ServerSection

pytestmark = pytest.mark.anyio

OWNER = ClientId("DEV", "GOV", "M1")
SERVER = SecurityServerId(OWNER, "SS1")
FIRST, SECOND = ChosenService("One", "http://one.test"), ChosenService("Two", "http://two.test")
PRIVATE = ("internal_tls", "api_tls")
FILES = ("settings_file", "devices_file", "anchor_file", *PRIVATE)


class Server:
    """A server in a directory, whose databases are files or one PostgreSQL."""

    def __init__(self, home, databases):
        self.layout = Layout(home)
        self.databases = databases
        self.store = ConfigurationStore(databases.configuration)
        self.stamps = StampStore(databases.messages)
        self.clock = TurnedClock()
        self.restored = 0
        self.backups = ServerBackups(self.layout, BackupSettings(), databases, self.clock).make(
            self._restored
        )

    async def _restored(self):
        self.restored += 1

    async def initialize(self, server=SERVER):
        async with self.store.transaction() as conf:
            await put_server(conf, server)
        await self.backups.make_own_key()

    async def fill(self):
        async with self.store.transaction() as conf:
            await conf.add_client(Client(OWNER.subsystem("A")))
        await self.stamps.choose([FIRST, SECOND])
        make_private_directory(self.layout.keys / "softtoken")
        write_private(self.layout.keys / "softtoken" / "key.p12", b"key")
        for name in FILES:
            write_private(getattr(self.layout, name), f"[logs]\n# {name}\n".encode())

    async def log(self, name):
        """Let the message log hold something more."""
        async with self.databases.messages.transaction() as connection:
            await connection.execute(insert(JOURNAL).values(name=name, segment=1, place=0))

    async def logged(self):
        async with self.databases.messages.reading() as connection:
            return await connection.scalar(select(func.count()).select_from(JOURNAL))

    async def spoil(self):
        async with self.store.transaction() as conf:
            found = await conf.get_client(OWNER.subsystem("A"))
            await conf.replace_client(replace(found, connection_type=ConnectionType.NOSSL))
            await conf.add_client(Client(OWNER.subsystem("B")))
        await self.stamps.choose([SECOND])
        (self.layout.keys / "softtoken" / "key.p12").unlink()
        write_private(self.layout.keys / "softtoken" / "other.p12", b"other")
        for name in FILES:
            write_private(getattr(self.layout, name), b"other")

    async def state(self):
        async with self.store.reading() as conf:
            clients = await conf.clients()
        keys = {path.name for path in (self.layout.keys / "softtoken").iterdir()}
        files = tuple(getattr(self.layout, name).read_bytes() for name in FILES)
        return clients, await self.stamps.chosen(), keys, files


@asynccontextmanager
async def opened(home, url=None):
    make_private_directory(home)
    layout = Layout(home)
    settings = SecurityServerSettings(server=ServerSection(database=url))
    await migrate_databases(layout, settings)
    first = url or f"sqlite:///{layout.server_database}"
    second = url or f"sqlite:///{layout.message_database}"
    async with Database.open(first) as configuration, Database.open(second) as messages:
        server = Server(home, BackedUp(configuration, messages))
        try:
            yield server
        finally:
            await server.backups.close()


@pytest.fixture(params=["sqlite", "postgresql"])
async def server(request, tmp_path):
    if shutil.which("gpg") is None:
        pytest.skip("there is no GnuPG")
    url = None
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres").new_database()
    async with opened(tmp_path / "home", url) as made:
        yield made


async def test_a_server_is_restored_and_its_message_log_is_left_alone(server):
    await server.initialize()
    await server.fill()
    before = await server.state()
    await server.log("worker-0")
    made = await server.backups.create()
    await server.spoil()
    await server.log("worker-1")
    assert await server.state() != before
    await server.backups.restore(made.name)
    assert await server.state() == before
    assert await server.logged() == 2
    assert server.restored == 1


async def test_accounts_are_saved_too(server):
    await server.initialize()
    await server.fill()
    settings = AccountSettings()
    accounts = Accounts(
        AccountStore(server.databases.configuration), SECURITY_SERVER, settings, server.clock
    )
    await accounts.add_user("joe", "correct horse battery", [Role.SYSTEM_ADMINISTRATOR])
    made = await server.backups.create()
    await accounts.remove_user("joe")
    await server.backups.restore(made.name)
    assert [user.name for user in await accounts.users()] == ["joe"]


async def test_without_an_identity_there_is_nothing_to_save(tmp_path):
    async with opened(tmp_path / "home") as server:
        with pytest.raises(NotYetInitialized):
            await server.backups.make_own_key()
        with pytest.raises(NotYetInitialized):
            await server.backups.create()
        assert await server.backups.create_automatic() is None


async def test_the_backup_of_another_server_is_refused_unless_it_is_wanted(tmp_path):
    async with opened(tmp_path / "one") as one, opened(tmp_path / "two") as two:
        await one.initialize()
        await one.fill()
        before = await one.state()
        made = one.backups.path_of((await one.backups.create()).name)
        await two.initialize(SecurityServerId(OWNER, "SS2"))
        with pytest.raises(BackupRefused):
            await two.backups.restore_file(made, RestoreOptions(unsigned=True))
        private = [getattr(two.layout, name) for name in PRIVATE]
        for path in private:
            write_private(path, b"of two")
        await two.backups.restore_file(made, RestoreOptions(unsigned=True, force=True))
        # Its TLS keys nobody else can read, and its own stay.
        assert [path.read_bytes() for path in private] == [b"of two", b"of two"]
        assert (await two.state())[:3] == before[:3]


async def test_a_backup_goes_from_files_to_postgresql(tmp_path, postgres):
    async with (
        opened(tmp_path / "one") as one,
        opened(tmp_path / "two", postgres.new_database()) as two,
    ):
        await one.initialize()
        await one.fill()
        made = one.backups.path_of((await one.backups.create()).name)
        await two.initialize()
        await two.backups.restore_file(made, RestoreOptions(unsigned=True))
        for name in PRIVATE:
            write_private(getattr(two.layout, name), getattr(one.layout, name).read_bytes())
        assert await two.state() == await one.state()
        async with two.store.transaction() as conf:
            await conf.add_client(Client(OWNER.subsystem("next")))


@pytest.mark.parametrize(
    ("text", "is_private"),
    [
        ("[logs]\n", False),
        ('[server]\ndatabase = "postgresql://sild:canary@localhost/sild"\n', True),
        ('[message-log]\nmessagelog-keystore-password = "canary"\n', True),
        ("[what is this", True),
    ],
)
async def test_settings_with_passwords_are_encrypted_in_backups(tmp_path, text, is_private):
    async with opened(tmp_path / "home") as server:
        await server.initialize()
        await server.fill()
        write_private(server.layout.settings_file, text.encode())
        made = server.backups.path_of((await server.backups.create()).name)
        before = await server.state()
        await server.spoil()
        await server.backups.restore(made.name)
        assert await server.state() == before
        tar = tmp_path / "opened.tar"
        await GnupgHome(server.layout.gnupg).open(made, tar, 2**30)
        assert (text.encode() in tar.read_bytes()) is not is_private
        for name in PRIVATE:
            assert name.encode() not in tar.read_bytes()


async def test_a_key_that_cannot_be_made_is_told(tmp_path, monkeypatch):
    async with opened(tmp_path / "home") as server:
        async with server.store.transaction() as conf:
            await put_server(conf, SERVER)
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(BackupKeyNotMade):
            await server.backups.make_own_key()
