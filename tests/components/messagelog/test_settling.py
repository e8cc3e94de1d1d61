import asyncio

import pytest

from components.messagelog.builders import plain_record, writing
from runtime.http_ends import settle
from sild.components.messagelog.log import Conditions
from sild.components.messagelog.settling import Settling
from sild.protocol.errors import LoggingFailed, TimestampingFailed
from sild.runtime.journal import Position, read_records

pytestmark = pytest.mark.anyio


class Control:
    """Notes what is asked; answers when it is let."""

    def __init__(self, outcome=""):
        self.asked = []
        self.outcome = outcome
        self.let = asyncio.Event()
        self.let.set()

    async def commit(self, journal, places):
        await self.stamp(journal, places)

    async def stamp(self, journal, places):
        self.asked.append((journal, places))
        await self.let.wait()
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return tuple(self.outcome for _ in places)


async def test_records_that_come_while_control_is_busy_are_asked_about_together():
    control = Control()
    control.let.clear()
    async with asyncio.TaskGroup() as tasks:
        settling = Settling(control, "worker-0", tasks.create_task, stamped=False)
        waits = [tasks.create_task(settling.settle(Position(1, 10)))]
        await settle()
        waits += [tasks.create_task(settling.settle(Position(1, n))) for n in (20, 30)]
        await settle()
        assert control.asked == [("worker-0", ((1, 10),))]
        assert not any(each.done() for each in waits)
        control.let.set()
    assert control.asked[1:] == [("worker-0", ((1, 20), (1, 30)))]


async def test_what_control_refuses_is_refused_and_the_next_is_asked_again():
    control = Control(ConnectionError("control is away"))
    async with asyncio.TaskGroup() as tasks:
        settling = Settling(control, "worker-0", tasks.create_task, stamped=True)
        with pytest.raises(LoggingFailed, match="control is away"):
            await settling.settle(Position(1, 10))
        control.outcome = "no authority answers"
        with pytest.raises(TimestampingFailed, match="no authority answers"):
            await settling.settle(Position(1, 10))
        control.outcome = ""
        await settling.settle(Position(1, 10))


async def test_a_message_waits_until_its_own_record_is_settled(tmp_path):
    control = Control()
    control.let.clear()

    def settle(tasks):
        settling = Settling(control, "worker-0", tasks.create_task, stamped=False)
        return Conditions(settle=settling.settle)

    async with writing(tmp_path, conditions=settle) as writer:
        saves = [
            writer.tasks.create_task(writer.log.save(plain_record(str(n), b"s%d" % n), None))
            for n in range(3)
        ]
        await asyncio.sleep(0.1)
        assert not any(each.done() for each in saves)
        control.let.set()
        await asyncio.gather(*saves)
        where = [
            (record.position.segment, record.position.offset)
            for record, entry in zip(read_records(writer.directory), writer.entries, strict=True)
            if hasattr(entry, "record")
        ]
    assert sorted(place for _, places in control.asked for place in places) == where


async def test_a_message_that_the_gate_refuses_leaves_nothing_in_the_journal(tmp_path):
    def refuse():
        raise TimestampingFailed("it is too late")

    async with writing(tmp_path, conditions=lambda _: Conditions(gate=refuse)) as writer:
        with pytest.raises(TimestampingFailed):
            await writer.log.save(plain_record(), None)
        assert writer.entries == []
