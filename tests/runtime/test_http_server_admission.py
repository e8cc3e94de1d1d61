"""Who is served when more connect than there are places."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from runtime.http_ends import LOCAL, pki, serving, settle
from sild.runtime.http_server import Admission, Response
from sild.runtime.tls import AnyCertificate, TlsPolicy, server_context
from sild.runtime.transport import FAST

pytestmark = pytest.mark.anyio
ONE, OTHER, THIRD, KNOWN = "127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def is_known(address):
    return address == KNOWN


class Guest:
    """A connection from some address."""

    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer

    def ask(self):
        self.writer.write(GET)

    async def answer(self, seconds=60.0):
        """The status of the answer, nothing where the connection ends, or None for silence."""
        try:
            async with asyncio.timeout(seconds):
                line = await self.reader.readline()
                await self.reader.readuntil(b"\r\n\r\n")
        except TimeoutError:
            return None
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""
        return line.split(b" ")[1]


class House:
    """A server whose handlers answer when they are let."""

    def __init__(self, server):
        self.port = server.port
        self.guests = []

    async def visit(self, address, *, asks=True):
        guest = Guest(*await asyncio.open_connection(LOCAL, self.port, local_addr=(address, 0)))
        self.guests.append(guest)
        if asks:
            guest.ask()
        await settle()
        return guest

    def leave(self, guest):
        guest.writer.transport.abort()


@asynccontextmanager
async def house_of(places, *, tls=None, is_known=None, held=False, **admission):
    opened = asyncio.Event()
    if not held:
        opened.set()

    async def handler(request):
        await opened.wait()
        return Response(200)

    weighed = Admission(is_known=is_known, **admission)
    async with serving(
        handler, engine=FAST, tls=tls, connections=places, admission=weighed
    ) as server:
        house = House(server)
        house.open = opened.set
        try:
            yield house
        finally:
            for guest in house.guests:
                house.leave(guest)


async def test_one_address_leaves_places_for_others():
    async with house_of(5) as house:
        inside = [await house.visit(ONE) for _ in range(4)]
        assert [await each.answer() for each in inside] == [b"200"] * 4
        fifth = await house.visit(ONE)
        assert await fifth.answer(0.1) is None
        assert await (await house.visit(OTHER)).answer() == b"200"
        house.leave(inside[0])
        assert await fifth.answer() == b"200"


async def test_strangers_together_leave_places_for_those_who_are_known():
    async with house_of(5, is_known=is_known) as house:
        inside = [await house.visit(each) for each in (ONE, OTHER, ONE, OTHER)]
        assert [await each.answer() for each in inside] == [b"200"] * 4
        stranger = await house.visit(THIRD)
        assert await stranger.answer(0.1) is None
        assert await (await house.visit(KNOWN)).answer() == b"200"
        house.leave(inside[0])
        assert await stranger.answer() == b"200"


async def test_those_who_are_known_enter_first_and_addresses_take_turns():
    entered = []
    async with house_of(2, is_known=is_known, largest_share=1.0) as house:
        inside = [await house.visit(KNOWN) for _ in range(2)]
        names = ["one", "one again", "one more", "other", "known"]
        places = [ONE, ONE, ONE, OTHER, KNOWN]
        waiting = [await house.visit(each) for each in places]

        async def follow(name, guest):
            assert await guest.answer() == b"200"
            entered.append(name)
            house.leave(guest)

        async with asyncio.TaskGroup() as tasks:
            for name, guest in zip(names, waiting, strict=True):
                tasks.create_task(follow(name, guest))
            house.leave(inside[0])
    assert entered == ["known", "one", "other", "one again", "one more"]


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_who_waits_too_long_is_refused(tls):
    context = server_context(TlsPolicy(), pki().server.identity, AnyCertificate.WANTED)
    admission = {"largest_share": 1.0, "waiting_seconds": 0.1}
    async with house_of(1, tls=context if tls else None, **admission) as house:
        await house.visit(ONE, asks=False)
        guest = await house.visit(OTHER)
        assert await guest.answer() == (b"" if tls else b"503")


async def test_when_too_many_wait_the_longest_line_is_shortened():
    async with house_of(1, held=True, largest_share=1.0, waiting=3) as house:
        await house.visit(ONE)
        line = [await house.visit(OTHER) for _ in range(3)]
        assert await (await house.visit(OTHER)).answer() == b"503"
        newcomer = await house.visit(THIRD)
        assert await line[2].answer() == b"503"
        assert await newcomer.answer(0.1) is None
        assert await line[0].answer(0.1) is None


async def test_when_too_many_wait_strangers_give_way_to_those_who_are_known():
    async with house_of(1, held=True, is_known=is_known, largest_share=1.0, waiting=1) as house:
        await house.visit(ONE)
        stranger = await house.visit(OTHER)
        known = await house.visit(KNOWN)
        assert await stranger.answer() == b"503"
        assert await known.answer(0.1) is None
        assert await (await house.visit(OTHER)).answer() == b"503"


async def test_nobody_enters_when_descriptors_are_short():
    async with house_of(5, free_files=1 << 30) as house:
        assert await (await house.visit(ONE)).answer() == b"503"


async def test_who_has_rested_longest_gives_way():
    async with house_of(2, largest_share=1.0) as house:
        first = await house.visit(ONE)
        second = await house.visit(ONE)
        assert [await first.answer(), await second.answer()] == [b"200"] * 2
        await asyncio.sleep(1.1)
        first.ask()
        assert await first.answer() == b"200"
        assert await (await house.visit(OTHER)).answer() == b"200"
        assert await second.answer() == b""
        first.ask()
        assert await first.answer() == b"200"


async def test_whose_request_is_answered_does_not_give_way():
    async with house_of(1, held=True, largest_share=1.0) as house:
        busy = await house.visit(ONE)
        await asyncio.sleep(1.1)
        newcomer = await house.visit(OTHER)
        assert await newcomer.answer(0.1) is None
        house.open()
        assert await busy.answer() == b"200"


async def test_who_leaves_while_waiting_is_not_counted():
    async with house_of(1, largest_share=1.0, waiting_seconds=60) as house:
        inside = await house.visit(ONE)
        house.leave(await house.visit(OTHER))
        last = await house.visit(THIRD)
        house.leave(inside)
        assert await last.answer() == b"200"


async def test_who_becomes_known_while_inside_is_known_from_then_on():
    proved = set()
    async with house_of(5, is_known=proved.__contains__) as house:
        inside = [await house.visit(each) for each in (ONE, OTHER, OTHER, OTHER)]
        assert [await each.answer() for each in inside] == [b"200"] * 4
        proved.add(ONE)
        assert await (await house.visit(ONE)).answer() == b"200"
        # Its first connection takes no stranger's place any more.
        house.leave(inside[1])
        assert await (await house.visit(THIRD)).answer() == b"200"
