"""Nothing goes on unsaved: at each of the four places where a message is saved, the disk fails.

The servers are whole and their own; what is broken is the disk below the journal, and what is
watched is the wire between them, the service and the caller.
"""

import asyncio
import contextlib
import os
import signal
from dataclasses import dataclass, replace

import httpx
import pytest

from ecosystem.disks import Disk, why_no_disks
from ecosystem.duo import OWN_FAULT, PROVIDER, REMOTE_FAULT, Duo, plan_at, worker_of
from ecosystem.link import Link, has_signature
from ecosystem.processes import child_of, is_blocked_on_disk, until
from ecosystem.recorder import Recorder
from sild.runtime.http_server import Response

pytestmark = [
    pytest.mark.skipif(why_no_disks() is not None, reason=str(why_no_disks())),
    pytest.mark.feature("ML-01"),
]

NETWORK = "127.0.5"
SMALL, LARGE = 100, 400_000
"""Handled as a whole; and streamed, with a body that stands in the journal in pieces."""


@dataclass(frozen=True)
class SavePoint:
    """Who saves what, and how the test sees that something went on."""

    saver: str
    saves: str
    fault: str

    @property
    def comes_after_the_service(self):
        return self.saves == "response"


POINTS = [
    SavePoint("consumer", "request", OWN_FAULT),
    SavePoint("provider", "request", REMOTE_FAULT),
    SavePoint("provider", "response", REMOTE_FAULT),
    SavePoint("consumer", "response", OWN_FAULT),
]
at_each_save_point = pytest.mark.parametrize(
    "point", POINTS, ids=[f"{point.saver}-saves-{point.saves}" for point in POINTS]
)
of_both_sizes = pytest.mark.parametrize("size", [SMALL, LARGE], ids=["small", "large"])


class Gate:
    """A service that can be held: it tells that it was called, and answers when it is let go."""

    def __init__(self):
        self.size = SMALL
        self.called = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()

    async def answer(self, asked):
        self.called.set()
        await self.open.wait()
        return Response(200, b"OK", [], os.urandom(self.size))

    def hold(self, size):
        self.size = size
        self.called.clear()
        self.open.clear()


class Stage:
    """The two servers with a disk each, the wire, and the service."""

    def __init__(self, duo, disks, link, recorder):
        self.duo = duo
        self.home = str(duo.plan.directory)
        self.disks = disks
        self.link = link
        self.recorder = recorder
        self._stopped = []
        self.gate = Gate()
        recorder.prepare("/gate/", self.gate.answer)

    def server(self, point):
        return self.duo.consumer if point.saver == "consumer" else self.duo.provider

    def worker(self, point):
        return worker_of(self.server(point))

    def call(self, size):
        """A call of the service with a body of this size, to be answered with one of this size."""
        self.gate.hold(size)
        self.asked = len(self.recorder.asked)
        self.link.forget()
        content = os.urandom(size)
        return asyncio.create_task(self.duo.call("/", "gate", content=content))

    def spoil(self, point, fault):
        """Let the disk be at fault, and keep control from deleting there what it has taken."""
        control = child_of(self.server(point).process.pid, "control")
        os.kill(control, signal.SIGSTOP)
        self._stopped.append(control)
        disk = self.disks[point.saver]
        (disk.fill if fault == "full" else disk.forbid)()

    def mend(self):
        for disk in self.disks.values():
            disk.mend()
        while self._stopped:
            os.kill(self._stopped.pop(), signal.SIGCONT)

    async def call_with_fault(self, point, size, fault):
        """The same, with the fault there when the point is reached; gives the call."""
        if not point.comes_after_the_service:
            fault()
            calling = self.call(size)
        else:
            calling = self.call(size)
            await asyncio.wait_for(self.gate.called.wait(), 60)
            fault()
        self.gate.open.set()
        return calling

    def check_nothing_went_on(self, point):
        """What the record that was not saved should have let through, did not come."""
        called = self.recorder.since(self.asked)
        match point.saver, point.saves:
            case "consumer", "request":
                assert not has_signature(self.link.sent)
                assert not called
            case "provider", "request":
                assert has_signature(self.link.sent)
                assert not called
                assert not has_signature(self.link.answered)
            case "provider", "response":
                assert len(called) == 1
                assert not has_signature(self.link.answered)
            case "consumer", "response":
                assert len(called) == 1
                assert has_signature(self.link.answered)

    async def until_served(self, seconds=120):
        self.gate.open.set()
        self.gate.size = SMALL
        return await self.duo.until_served(seconds, "/", "gate")


@pytest.fixture(scope="module")
async def stage(tmp_path_factory, anyio_backend):
    directory = tmp_path_factory.mktemp("save-points")
    images = directory / "images"
    images.mkdir()
    async with contextlib.AsyncExitStack() as opened:
        disks = {}
        for name, code in (("consumer", "police-1"), ("provider", "health-1")):
            place = directory / "duo" / code / "journal"
            disks[name] = Disk(images / name, place)
            opened.callback(disks[name].close)
        duo = await opened.enter_async_context(Duo(plan_at(NETWORK, directory / "duo")))
        recorder = await Recorder().start(f"{NETWORK}.2")
        opened.push_async_callback(recorder.close)
        await duo.offer("gate", f"{recorder.url}/gate")
        link = Link(duo.consumer, duo.provider, f"{NETWORK}.3")
        await opened.enter_async_context(link)
        await lead_over(link, duo)
        yield Stage(duo, disks, link, recorder)


async def lead_over(link, duo):
    """Let the consumer find the provider at the other end of the wire."""
    known = duo.registry.get_server(PROVIDER)
    duo.publish(duo.registry.with_server(replace(known, address=f"{NETWORK}.3")))
    await duo.consumer.control.refresh()
    for _ in range(1200):
        answer = await duo.call("/", "gate")
        if answer.status_code == 200 and link.sent:
            return
        await asyncio.sleep(0.05)
    message = f"the consumer did not come to call over the wire: {answer.text}"
    raise AssertionError(message)


@pytest.fixture(autouse=True)
def sound(stage):
    """Disks are good before a test, and after it."""
    yield
    stage.mend()


@of_both_sizes
async def test_a_message_that_is_saved_goes_on_with_its_signature(stage, size):
    calling = stage.call(size)
    stage.gate.open.set()
    answer = await calling
    assert answer.status_code == 200
    assert len(answer.content) == size
    assert len(stage.recorder.since(stage.asked)) == 1
    assert has_signature(stage.link.sent)
    assert has_signature(stage.link.answered)
    await stage.duo.check_ledger()


@of_both_sizes
@at_each_save_point
@pytest.mark.parametrize("fault", ["full", "unwritable"])
async def test_nothing_goes_on_while_the_journal_cannot_be_written(stage, point, size, fault):
    worker = stage.worker(point)
    calling = await stage.call_with_fault(point, size, lambda: stage.spoil(point, fault))
    answer = await calling
    assert answer.status_code == 500
    assert answer.headers["x-road-error"] == answer.json()["type"] == point.fault
    assert len(answer.content) < SMALL * 10
    assert stage.home not in answer.text
    stage.check_nothing_went_on(point)
    again = await stage.duo.call("/", "gate", content=b"again")
    assert again.headers["x-road-error"].endswith("logging_failed")
    assert stage.home not in again.text

    stage.mend()
    await stage.until_served()
    assert stage.worker(point) == worker
    await stage.duo.check_ledger()


@at_each_save_point
async def test_nothing_goes_on_when_the_disk_turns_read_only(stage, point):
    disk, server = stage.disks[point.saver], stage.server(point)
    calling = await stage.call_with_fault(point, LARGE, disk.turn_read_only)
    answer = await calling
    assert answer.headers["x-road-error"] == answer.json()["type"] == point.fault
    stage.check_nothing_went_on(point)

    await stage.duo.stop(server)
    disk.repair()
    await server.start()
    await stage.until_served()
    await stage.duo.check_ledger()


# One size a point in a short run: each restart of a process waits longer than the one before.
_KILLED = [
    pytest.param(point, size, id=f"{point.saver}-saves-{point.saves}-{name}", marks=marks)
    for place, point in enumerate(POINTS)
    for number, (size, name) in enumerate(((LARGE, "large"), (SMALL, "small")))
    for marks in [(pytest.mark.soak,) if (place + number) % 2 else ()]
]


@pytest.mark.parametrize(("point", "size"), _KILLED)
async def test_nothing_goes_on_when_the_process_is_killed_while_it_saves(stage, point, size):
    disk = stage.disks[point.saver]
    worker = stage.worker(point)
    calling = await stage.call_with_fault(point, size, disk.freeze)
    await until(lambda: is_blocked_on_disk(worker), 60, "the journal waits for its disk")
    await asyncio.sleep(0.05)
    assert not calling.done()
    stage.check_nothing_went_on(point)
    os.kill(worker, signal.SIGKILL)
    disk.thaw()
    with contextlib.suppress(httpx.TransportError):
        assert (await calling).status_code == 500
    stage.check_nothing_went_on(point)

    await stage.until_served()
    assert stage.worker(point) != worker
    await stage.duo.check_ledger()
