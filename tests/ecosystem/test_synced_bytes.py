"""A loss of power: of each server only the bytes are kept that were synced when an answer left.

Both servers live on disks of their own. At some moment under load nothing more reaches the disks:
whatever is answered from then on must have been synced before. When no more answers come the disks
are copied, and the copies opened as a server opens its own: all that was acknowledged is in both.
"""

import asyncio
import os
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ecosystem.callers import Callers, soap_service_of
from ecosystem.disks import why_no_disks
from ecosystem.duo import Duo, plan_at
from ecosystem.oracle import Oracle
from ecosystem.snapshots import Shelf, canary_in, mounted, write_canary
from sild.components.messagelog.index import JournalTaker
from sild.components.messagelog.store import MessageStore
from sild.runtime.journal import Journal
from sild.servers.databases import open_database
from sild.servers.layout import Layout

pytestmark = [
    pytest.mark.skipif(why_no_disks() is not None, reason=str(why_no_disks())),
    pytest.mark.feature("ML-01"),
]

NETWORK = "127.0.31"
COPIES = int(os.environ.get("SILD_COPIES", "30"))
SECONDS = 120
SILENCE, MOST_SILENCES = 0.2, 10
# Records are on their way from the journal to the store, and segments are deleted, all the time.
BUSY_LOG = (("take-interval", "0.2"), ("segment-bytes", "262144"))


@dataclass
class Losses:
    """Loses the power again and again, of copies; `found` is where records were then."""

    duo: Duo
    shelf: Shelf
    folder: Path
    oracle: Oracle
    callers: Callers
    number: int = 0
    counted: int = 0
    found: Counter = field(default_factory=Counter)

    @property
    def servers(self):
        return self.duo.consumer, self.duo.provider

    async def lose(self):
        """Copy the disks under load and look into the copies."""
        self.number += 1
        folder = self.folder / str(self.number)
        line = f"loss {self.number}\n"
        for server in self.servers:
            write_canary(server.layout.home, line, synced=False)
        await asyncio.sleep(random.uniform(0.1, 0.6))
        acknowledged = await self._copied(folder)
        for server in self.servers:
            write_canary(server.layout.home, "", synced=True)
            name = server.layout.home.name
            with mounted(folder / name, folder / f"of-{name}") as home:
                # Had the kernel written by itself what nobody synced, the copy would prove nothing.
                self.counted += line not in canary_in(home)
                await self._examine(Layout(home), acknowledged)
            (folder / name).unlink()

    async def _copied(self, folder):
        """Copy the disks at some moment; give what was acknowledged on the strength of them."""
        acknowledged = self.oracle.acknowledged
        with self.shelf.frozen():
            before, known = len(acknowledged), -1
            for _ in range(MOST_SILENCES):
                if known == len(acknowledged):
                    break
                known = len(acknowledged)
                await asyncio.sleep(SILENCE)
            self.found["answered while frozen"] += len(acknowledged) - before
            self.shelf.copy(folder)
            return tuple(acknowledged)

    async def _examine(self, layout, acknowledged):
        """What was acknowledged is in a log, once a server has opened it again."""
        (directory,) = layout.journals.iterdir()
        await Journal.open(directory, directory.name).close()
        async with open_database(layout.message_database) as database:
            store = MessageStore(database)
            self.found["store"] += await store.count()
            self.found["journal"] += await JournalTaker(layout.journals, store).take_all()
        assert await Oracle(acknowledged).compared_with(layout).make() == 0

    def tell(self, seconds):
        """What happened, for people."""
        kinds, found = dict(self.oracle.kinds), dict(self.found)
        return (
            f"\npower losses: {self.number} of both servers in {seconds:.0f} s, {self.counted} of "
            f"{2 * self.number} disks without anything that was not synced\n"
            f"messages: {len(self.oracle.acknowledged)} acknowledged {kinds}; found {found}; "
            "none lost\n"
        )


@pytest.fixture
async def losses(tmp_path, anyio_backend):
    servers = tmp_path / "servers"
    shelf = Shelf(tmp_path / "shelf", [servers / "police-1", servers / "health-1"])
    plan = plan_at(NETWORK, servers, message_log=BUSY_LOG, exchange_logs=False)
    try:
        async with Duo(plan) as duo, soap_service_of(duo):
            oracle = Oracle()
            yield Losses(duo, shelf, tmp_path, oracle, Callers(duo, oracle))
    finally:
        shelf.close()


@pytest.mark.parametrize(
    "count", [4, pytest.param(COPIES, marks=pytest.mark.soak)], ids=["a-few", "many"]
)
async def test_what_was_synced_when_an_answer_came_holds_all_that_was_acknowledged(
    losses, count, capsys
):
    await losses.duo.until_served(SECONDS, "/mirror")
    begun = time.monotonic()
    async with losses.callers.calling():
        while losses.counted < 2 * count and losses.number < 2 * count:
            await losses.lose()
    with capsys.disabled():
        sys.stdout.write(losses.tell(time.monotonic() - begun))
    assert losses.counted >= 2 * count, "the kernel wrote by itself what was not synced"
    assert losses.found["store"]
    assert losses.found["journal"]
