"""What local administration sees of the message log."""

import stat
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from components.messagelog.builders import (
    CHOSEN,
    OWNER,
    TRUST,
    Authority,
    plain_record,
    records_of,
    writing,
)
from sild.components.messagelog.errors import JournalDamaged, RecordNotFound
from sild.components.messagelog.schema import MIGRATIONS
from sild.components.messagelog.settings import MessageLogSettings
from sild.components.messagelog.store import MessageStore
from sild.protocol.asic.container import read_container
from sild.protocol.asic.verify import verify_container
from sild.protocol.errors import GlobalConfOutdated
from sild.runtime.clock import SystemClock
from sild.runtime.database import Database
from sild.runtime.fetch import Fetcher
from sild.runtime.migrations import migrate
from sild.runtime.rpc import close_rpc, connect_rpc, serve_rpc
from sild.servers.control import Control, Databases
from sild.servers.control_calls import CONTROL_OPTIONS, ControlCalls
from sild.servers.kept_messages import KeptMessages, StampSources
from sild.servers.layout import Layout
from sild.servers.settings import SecurityServerSettings

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def messages(path):
    layout, authority = Layout(path), Authority()
    layout.run.mkdir()
    async with Database.open(f"sqlite:///{layout.message_database}") as database:
        await migrate(database, MIGRATIONS)
        sources = StampSources(authority, lambda: authority.approved)
        kept = KeptMessages(layout, database, sources, MessageLogSettings(), SystemClock())
        kept.authority = authority
        await kept.choose_services((CHOSEN,))
        yield kept


async def test_what_was_just_saved_is_found_and_exported(tmp_path):
    async with messages(tmp_path) as kept, writing(tmp_path) as writer:
        (record,) = records_of(b"the body")
        await writer.log.save(record, b"the body")
        assert await kept.count() == 1
        await writer.log.save(plain_record("another"), None)
        (summary,) = await kept.find("another")
        assert (summary.id, summary.timestamped_at) == (2, None)
        written = await kept.export("id-0", OWNER, tmp_path, is_response=False)
        assert written == tmp_path / "id-0-request-1.asice"
        assert stat.S_IMODE(written.stat().st_mode) == 0o600
        assert verify_container(read_container(written.read_bytes()), {"DEV": TRUST})
        named = await kept.export("id-0", OWNER, tmp_path / "x.asice", is_response=False)
        assert named.read_bytes() == written.read_bytes()
        (summary,) = await kept.find("id-0")
        assert summary.timestamped_at is not None


async def test_nothing_is_cleaned_away_that_a_record_in_a_journal_still_needs(tmp_path):
    async with messages(tmp_path) as kept, writing(tmp_path) as writer:
        (record,) = records_of(None)
        await writer.log.save(replace(record, query_id="old", time_ms=1_000_000_000_000), None)
        assert await kept.stamp_waiting() == 1
        assert await kept.archive() == 1
        # The same signature, which the journal does not hold again.
        await writer.log.save(record, None)
        assert await kept.clean() == 1
        assert await kept.count() == 1
        written = await kept.export("id-0", OWNER, tmp_path, is_response=False)
        assert verify_container(read_container(written.read_bytes()), {"DEV": TRUST})


async def test_a_record_that_was_not_taken_is_not_said_to_be_committed(tmp_path):
    async with messages(tmp_path) as kept, writing(tmp_path) as writer:
        await writer.log.save(plain_record("one"), None)
        for journal, place in (("worker-0", (1, 1_000_000)), ("worker-9", (1, 1))):
            with pytest.raises(JournalDamaged, match=journal):
                await kept.commit(journal, (place,))


async def test_an_export_writes_over_no_other_file(tmp_path):
    precious, link = tmp_path / "precious.db", tmp_path / "link"
    precious.write_bytes(b"precious")
    link.symlink_to(tmp_path / "nowhere")
    async with messages(tmp_path) as kept, writing(tmp_path) as writer:
        await writer.log.save(records_of(None)[0], None)
        for path in (precious, link):
            with pytest.raises(FileExistsError):
                await kept.export("id-0", OWNER, path, is_response=False)
        first = await kept.export("id-0", OWNER, tmp_path, is_response=False)
        assert await kept.export("id-0", OWNER, tmp_path, is_response=False) == first
    assert precious.read_bytes() == b"precious"
    assert not link.exists()


async def test_a_damaged_journal_does_not_hide_what_was_taken(tmp_path):
    async with messages(tmp_path) as kept, writing(tmp_path) as writer:
        await writer.log.save(plain_record("before"), None)
        assert await kept.count() == 1
        await writer.journal.append(b"no entry")
        assert await kept.count() == 1
        assert len(await kept.find("before")) == 1


async def test_what_stands_in_a_journal_that_cannot_be_taken_waits_for_a_time_stamp_as_well(
    tmp_path,
):
    async with messages(tmp_path) as kept, writing(tmp_path) as writer:
        await writer.log.save(records_of(None)[0], None)
        assert await kept.stamp_waiting() == 1
        assert (await kept.status()).failing_since is None
        await writer.journal.append(b"no entry")
        for _ in range(2):
            assert await kept.stamp_waiting() == 0
            assert (await kept.status()).failing_since is not None


@asynccontextmanager
async def control(path):
    """Control as others call it; it has nothing to do with a signer, nor with a configuration."""
    layout = Layout(path)
    async with (
        Database.open(f"sqlite:///{layout.server_database}") as configuration,
        Database.open(f"sqlite:///{layout.message_database}") as log,
        Fetcher() as fetcher,
    ):
        await migrate(log, MIGRATIONS)
        wired = Control(layout, SecurityServerSettings(), Databases(configuration, log), fetcher)
        server = await serve_rpc(layout.control_socket, wired, ControlCalls, CONTROL_OPTIONS)
        called = connect_rpc(layout.control_socket, ControlCalls, CONTROL_OPTIONS)
        try:
            yield called, MessageStore(log)
        finally:
            close_rpc(called)
            await server.close()


async def test_records_are_asked_for_over_the_socket(tmp_path):
    async with control(tmp_path) as (called, store), writing(tmp_path) as writer:
        await writer.log.save(plain_record("a"), None)
        assert await called.record_count() == 1
        assert await called.find_records("a") == await store.find_by_query_id("a")
        assert await called.find_records("b") == ()
        with pytest.raises(RecordNotFound, match="no response with the id 'a'"):
            await called.export_container("a", OWNER, True, str(tmp_path))
        await writer.log.save(records_of(None)[0], None)
        with pytest.raises(GlobalConfOutdated):
            await called.export_container("id-0", OWNER, False, str(tmp_path))
        assert list(tmp_path.glob("*.asice")) == []
