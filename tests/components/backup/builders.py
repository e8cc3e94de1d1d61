"""A small server that is backed up: a database, a settings file and a directory of keys."""

import io
import tarfile
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    insert,
    select,
)

from sild.components.backup.archive import Manifest
from sild.components.backup.backups import BackupPlaces, Backups
from sild.components.backup.dump import SavedDatabase
from sild.components.backup.saved import SavedServer
from sild.components.backup.settings import BackupSettings
from sild.runtime.clock import TurnedClock
from sild.runtime.database import Moment

METADATA = MetaData()
PERSON = Table(
    "person",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("name", String(255), nullable=False),
    Column("boss_id", Integer, ForeignKey("person.id", ondelete="CASCADE")),
)
ITEM = Table(
    "item",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("owner_id", Integer, ForeignKey("person.id", ondelete="CASCADE"), nullable=False),
    Column("note", Text, nullable=False),
    Column("content", LargeBinary),
    Column("made", Moment),
    Column("hidden", Boolean, nullable=False),
)
PRIVATE = b"-----BEGIN PRIVATE KEY-----"
MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)
PEOPLE = [(7, "Boss", None), (3, 'Ünal "x"\n', 7), (9, "Third", 7)]
ITEMS = [(2, 3, "", b"\x00\xff" * 300, MOMENT, True), (5, 7, "ä🙂", None, None, False)]


async def make_tables(database):
    async with database.migrating() as connection:
        await connection.run_sync(METADATA.create_all)


async def fill(database, people=PEOPLE, items=ITEMS):
    async with database.transaction() as connection:
        for table in (ITEM, PERSON):
            await connection.execute(table.delete())
        for table, rows in ((PERSON, people), (ITEM, items)):
            for row in sorted(rows, key=lambda row: row[-1] is not None):
                await connection.execute(insert(table).values(row))


async def contents(database):
    async with database.reading() as connection:
        return [
            sorted(tuple(row) for row in await connection.execute(select(table)))
            for table in (PERSON, ITEM)
        ]


class Server:
    """A server in a directory."""

    def __init__(self, home: Path, database, *, kind="central", identity="DEV", **settings):
        self.home = home
        self.database = database
        self.identity = identity
        self.clock = TurnedClock()
        self.restored = 0
        self.places = BackupPlaces(home / "backup", home / "gnupg", home / "backup-work")
        self.saved = SavedServer(
            kind,
            self._identity,
            "0.1",
            (SavedDatabase("registry", database, (METADATA,)),),
            {"settings": home / "sild.toml", "keys": home / "keys", "tls.pem": home / "tls.pem"},
            private={"tls.pem": lambda path: b"PRIVATE" in path.read_bytes()},
        )
        self.backups = Backups(
            self.saved, self.places, BackupSettings(**settings), self.clock, self._restored
        )

    async def _identity(self):
        return self.identity

    async def _restored(self):
        self.restored += 1

    async def set_up(self, *, key=True):
        await make_tables(self.database)
        await fill(self.database)
        self.write("sild.toml", b"[center]\n")
        self.write("tls.pem", PRIVATE)
        self.write("keys/one.p12", b"one")
        self.write("keys/deep/two.p12", b"two" * 100_000)
        if key:
            await self.backups.make_key("DEV")

    async def spoil(self):
        """Change all that is saved."""
        await fill(self.database, [(1, "Other", None)], [])
        self.write("sild.toml", b"[other]\n")
        (self.home / "keys/one.p12").unlink()
        self.write("keys/three.p12", b"three")
        self.write("tls.pem", b"other")

    def write(self, name, content):
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def files(self):
        found = [self.home / "sild.toml", self.home / "tls.pem", *(self.home / "keys").rglob("*")]
        return {
            path.relative_to(self.home).as_posix(): path.read_bytes()
            for path in found
            if path.is_file()
        }

    async def state(self):
        return await contents(self.database), self.files()


def tar_of(entries, tar_format=tarfile.USTAR_FORMAT):
    """A tar of names and contents; a TarInfo may stand in the place of a name."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tar_format) as archive:
        for name, content in entries:
            entry = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def manifest_of(entries, kind="central", identity="DEV"):
    return Manifest(kind, identity, "0.1", MOMENT, entries).to_json()
