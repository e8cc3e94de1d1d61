import asyncio
import threading
import time
from datetime import UTC, datetime, timedelta
from uuid import RFC_4122, UUID

from sild.runtime.clock import Clock, SystemClock, TurnedClock


def test_now_is_aware_and_in_utc():
    for clock in (SystemClock(), TurnedClock()):
        assert clock.now().utcoffset() == timedelta()


def test_the_system_clock_tells_the_machines_time_and_chance():
    clock: Clock = SystemClock()
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(minutes=1)
    assert len(clock.random_bytes(16)) == 16
    assert clock.random_bytes(16) != clock.random_bytes(16)
    assert clock.uuid() != clock.uuid()
    for text in [clock.uuid() for _ in range(50)]:
        made = UUID(text)
        assert (str(made), made.version, made.variant) == (text, 4, RFC_4122)
    before = clock.monotonic()
    asyncio.run(clock.sleep(0.01))
    assert clock.monotonic() - before >= 0.009


def test_a_turned_clock_keeps_running_from_where_it_was_turned():
    clock = TurnedClock(timedelta(days=-400))
    assert abs(clock.now() - (datetime.now(UTC) - timedelta(days=400))) < timedelta(minutes=1)
    clock.turn_to(datetime(2030, 1, 1, tzinfo=UTC))
    first = clock.now()
    time.sleep(0.002)
    assert timedelta() < clock.now() - first < timedelta(minutes=1)


def test_a_turn_forward_wakes_the_sleepers_whose_time_has_come():
    async def scenario():
        clock = TurnedClock()
        short = asyncio.get_running_loop().create_task(clock.sleep(3600))
        long = asyncio.get_running_loop().create_task(clock.sleep(7200))
        await asyncio.sleep(0)
        clock.turn(timedelta(hours=1))
        await asyncio.wait_for(short, 60)
        assert not long.done()
        clock.turn(timedelta(hours=1))
        await asyncio.wait_for(long, 60)

    asyncio.run(scenario())


def test_a_turn_back_changes_the_date_and_keeps_nobody_asleep():
    async def scenario():
        clock = TurnedClock()
        before, steady = clock.now(), clock.monotonic()
        sleeper = asyncio.get_running_loop().create_task(clock.sleep(0.02))
        await asyncio.sleep(0)
        clock.turn(timedelta(days=-1))
        assert clock.now() < before
        assert clock.monotonic() >= steady
        await asyncio.wait_for(sleeper, 60)

    asyncio.run(scenario())


def test_a_turn_in_another_thread_wakes_a_sleeper():
    clock, awake = TurnedClock(), threading.Event()

    def turn():
        # Perhaps nobody sleeps yet.
        while not awake.wait(0.01):
            clock.turn(timedelta(hours=2))

    async def scenario():
        await asyncio.wait_for(clock.sleep(3600), 60)

    turning = threading.Thread(target=turn)
    turning.start()
    try:
        asyncio.run(scenario())
    finally:
        awake.set()
        turning.join()
