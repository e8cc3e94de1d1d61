"""Queues messages to the signer, many to a signature when they come faster than it signs.

A lone message is signed at once; whatever queues while a signature is being made is signed
together by the next one (`docs/decisions` has the measurements).
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any

from sild.components.proxy.ports import Signer
from sild.components.proxy.view import SigningKey
from sild.protocol.errors import CannotCreateSignature, ProtocolError
from sild.protocol.signature.batch import SignatureBatch, SignedMessage
from sild.protocol.signature.hashchain import Leaf
from sild.runtime.rpc import RpcUnavailable

_LOG = logging.getLogger(__name__)

Spawn = Callable[[Coroutine[Any, Any, None]], object]
Now = Callable[[], datetime]


class _Waiting:
    __slots__ = ("done", "leaf")

    def __init__(self, leaf: Leaf, done: "asyncio.Future[SignedMessage]") -> None:
        self.leaf = leaf
        self.done = done


class SigningQueue:
    """The queue before one signing key."""

    def __init__(self, key: SigningKey, signer: Signer, batch_limit: int) -> None:
        self._key = key
        self._signer = signer
        self._limit = batch_limit if key.batch else 1
        self._waiting: deque[_Waiting] = deque()
        self._draining = False

    def add(self, leaf: Leaf, spawn: Spawn, now: Now) -> "asyncio.Future[SignedMessage]":
        """Queue a message; the future gives its signature or raises CannotCreateSignature."""
        done: asyncio.Future[SignedMessage] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(leaf, done))
        if not self._draining:
            self._draining = True
            work = self._drain(now)
            try:
                spawn(work)
            except RuntimeError:
                # The tasks of this worker are being ended.
                work.close()
                self._draining = False
                self._fail([self._waiting.popleft()], "the server is stopping")
        return done

    async def _drain(self, now: Now) -> None:
        try:
            while self._waiting:
                size = min(self._limit, len(self._waiting))
                batch = [self._waiting.popleft() for _ in range(size)]
                batch = [waiting for waiting in batch if not waiting.done.done()]
                if batch:
                    await self._sign(batch, now())
        finally:
            self._draining = False
            while self._waiting:
                self._fail([self._waiting.popleft()], "the server is stopping")

    async def _sign(self, batch: list[_Waiting], now: datetime) -> None:
        key = self._key
        try:
            prepared = SignatureBatch([waiting.leaf for waiting in batch], key.identity, now)
            value = await self._signer.sign(
                key.key_id, prepared.digest_to_sign, key.identity.algorithm.uri
            )
            signed = prepared.finish(value)
        except ProtocolError as error:
            self._fail(batch, error.message)
        except RpcUnavailable as error:
            # Where it was looked for is for this server's log, not for those who get the error.
            _LOG.error("no signature: %s", error)
            self._fail(batch, "the signer cannot be reached")
        except asyncio.CancelledError:
            self._fail(batch, "the server is stopping")
            raise
        except Exception as error:  # noqa: BLE001 - whatever the signer says, the callers hear of it
            self._fail(batch, str(error) or type(error).__name__)
        else:
            for waiting, message in zip(batch, signed, strict=True):
                if not waiting.done.done():
                    waiting.done.set_result(message)

    def _fail(self, batch: list[_Waiting], why: str) -> None:
        message = f"no signature by key {self._key.key_id}: {why}"
        for waiting in batch:
            if not waiting.done.done():
                waiting.done.set_exception(CannotCreateSignature(message))


class SigningQueues:
    """One queue for each signing key in use."""

    def __init__(self, signer: Signer, spawn: Spawn, now: Now, batch_limit: int) -> None:
        self._signer = signer
        self._spawn = spawn
        self._now = now
        self._limit = batch_limit
        self._queues: dict[SigningKey, SigningQueue] = {}

    async def sign(self, key: SigningKey, leaf: Leaf) -> SignedMessage:
        """Sign a message's parts with the key, together with whatever else waits for it."""
        queue = self._queues.get(key)
        if queue is None:
            queue = SigningQueue(key, self._signer, self._limit)
            self._queues[key] = queue
        return await queue.add(leaf, self._spawn, self._now)

    def forget_all_but(self, keys: frozenset[SigningKey]) -> None:
        """Drop the queues of keys that a new configuration no longer names."""
        self._queues = {key: queue for key, queue in self._queues.items() if key in keys}
