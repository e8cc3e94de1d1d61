"""Nobody waits for a signature that will never be made."""

import asyncio

import pytest

from pki_builder import MEMBER, NOON
from signing_builder import PARTS, TestSigner, leaf_of
from sild.components.proxy.signing import SigningQueues
from sild.components.proxy.view import SigningKey
from sild.protocol.errors import CannotCreateSignature

pytestmark = pytest.mark.anyio

SIGNER = TestSigner.create()
KEY = SigningKey(MEMBER, "K", SIGNER.identity, batch=True)
LEAF = leaf_of(PARTS)


class Broken:
    """A signer that says something unexpected, once it is let."""

    def __init__(self):
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()

    async def sign(self, key_id, digest, algorithm):
        self.asked.set()
        await self.may_answer.wait()
        message = "the key is gone"
        raise LookupError(message)


def queues(spawn, signer=None):
    return SigningQueues(signer or Broken(), spawn, lambda: NOON, 16)


async def test_when_the_tasks_are_being_ended_messages_are_refused_at_once():
    def spawn(work):
        message = "TaskGroup is shutting down"
        raise RuntimeError(message)

    ending = queues(spawn)
    for _ in range(2):
        async with asyncio.timeout(60):
            with pytest.raises(CannotCreateSignature, match="stopping"):
                await ending.sign(KEY, LEAF)


async def test_what_the_signer_cannot_do_every_message_of_the_batch_hears():
    signer = Broken()
    async with asyncio.TaskGroup() as tasks:
        broken = queues(tasks.create_task, signer)
        waiting = [tasks.create_task(outcome(broken)) for _ in range(5)]
        await signer.asked.wait()
        signer.may_answer.set()
    assert [task.result() for task in waiting] == ["no signature by key K: the key is gone"] * 5


async def outcome(queues):
    try:
        await queues.sign(KEY, LEAF)
    except CannotCreateSignature as error:
        return error.message


async def test_when_the_work_is_cancelled_those_who_wait_are_refused():
    signer = Broken()
    tasks = []
    stopped = queues(
        lambda work: tasks.append(asyncio.get_running_loop().create_task(work)), signer
    )
    first = asyncio.get_running_loop().create_task(outcome(stopped))
    await signer.asked.wait()
    second = asyncio.get_running_loop().create_task(outcome(stopped))
    await asyncio.sleep(0)
    tasks[0].cancel()
    for each in (first, second):
        assert "stopping" in await asyncio.wait_for(each, 60)


async def test_a_message_that_is_given_up_is_not_signed():
    signer = Broken()
    async with asyncio.TaskGroup() as tasks:
        broken = queues(tasks.create_task, signer)
        kept = tasks.create_task(outcome(broken))
        await signer.asked.wait()
        signer.asked.clear()
        given_up = tasks.create_task(outcome(broken))
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.sleep(0)
        signer.may_answer.set()
        assert "gone" in await kept
        await asyncio.sleep(0.01)
        assert not signer.asked.is_set()
