"""The software token as one device among others: its work in threads, one act at a time."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from sild.components.signer.errors import ActionNotPossible
from sild.components.signer.ports import DeviceState, MadeKey
from sild.components.signer.settings import SignerSettings
from sild.components.signer.soft_token import SoftToken
from sild.model.tokens import KeyAlgorithm, TokenStatus
from sild.protocol.algorithms import SignatureAlgorithm

_T = TypeVar("_T")


class SoftDevice:
    """Keys in files, for the use cases."""

    def __init__(self, token: SoftToken, settings: SignerSettings) -> None:
        self._token = token
        self._threads = ThreadPoolExecutor(settings.signing_threads, thread_name_prefix="sign")
        self._administering = asyncio.Lock()

    def state(self) -> DeviceState:
        """What is known of it now."""
        token = self._token
        status = token.pin_status if token.is_initialized else TokenStatus.NOT_INITIALIZED
        return DeviceState(status, token.is_logged_in, token.available_keys)

    async def initialize(self, pin: str) -> None:
        """Set the PIN, once."""
        await self._alone(partial(self._token.initialize, pin))

    async def login(self, pin: str) -> None:
        """Open the keys."""
        await self._alone(partial(self._token.login, pin))

    async def logout(self) -> None:
        """Close the keys, and forget the PIN."""
        await self._alone(self._token.logout)

    async def rescan(self) -> None:
        """Take over key files that others have written or removed."""
        await self._alone(self._token.rescan)

    async def change_pin(self, old: str, new: str) -> None:
        """Encrypt every key with another PIN."""
        await self._alone(partial(self._token.change_pin, old, new))

    async def generate(self, label: str, algorithm: KeyAlgorithm) -> MadeKey:
        """Make a key; its file knows no label."""
        del label
        return await self._alone(partial(self._token.generate, algorithm))

    async def delete(self, key_id: str) -> None:
        """Remove a key for good."""
        await self._alone(partial(self._token.delete, key_id))

    async def delete_certificate(self, key_id: str, certificate: bytes) -> None:
        """Refuse: a key's file holds none."""
        del certificate
        raise ActionNotPossible(f"the software token holds no certificates of key {key_id}")

    async def sign(self, key_id: str, digest: bytes, algorithm: SignatureAlgorithm) -> bytes:
        """The signature over a digest."""
        if not self._token.is_slow(key_id):
            return self._token.sign(key_id, digest, algorithm)
        loop = asyncio.get_running_loop()
        act = partial(self._token.sign, key_id, digest, algorithm)
        return await loop.run_in_executor(self._threads, act)

    def private_key(self, key_id: str) -> bytes:
        """The key itself, as PKCS #8 in DER: only for keys of TLS."""
        return self._token.private_key(key_id)

    async def close(self) -> None:
        """Forget the PIN and the keys, and stop the threads that sign."""
        self._token.logout()
        self._threads.shutdown()

    async def _alone(self, act: Callable[[], _T]) -> _T:
        async with self._administering:
            return await asyncio.to_thread(act)
