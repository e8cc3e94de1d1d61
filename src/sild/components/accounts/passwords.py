"""Passwords of local users: argon2id, off the event loop, few at a time."""

import asyncio

import argon2
from argon2.exceptions import Argon2Error, InvalidHashError

# Each hash takes 64 MiB for a moment.
_AT_ONCE = 2


class Passwords:
    """Hashes and checks passwords."""

    def __init__(self, hasher: argon2.PasswordHasher | None = None) -> None:
        self._hasher = hasher or argon2.PasswordHasher()
        self._places = asyncio.Semaphore(_AT_ONCE)
        # What the password of nobody is compared with: an unknown name takes as long as a known.
        self._nobody: str | None = None

    async def hash(self, password: str) -> str:
        """Give the hash to keep, its salt and parameters in it."""
        async with self._places:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def is_right(self, hashed: str | None, password: str) -> bool:
        """Whether this password has this hash; takes as long where there is no hash."""
        if hashed is None:
            self._nobody = self._nobody or await self.hash("nobody")
        async with self._places:
            matches = await asyncio.to_thread(self._verify, hashed or self._nobody or "", password)
        return matches and hashed is not None

    def is_outdated(self, hashed: str) -> bool:
        """Whether it was made with parameters that are not today's."""
        return self._hasher.check_needs_rehash(hashed)

    def _verify(self, hashed: str, password: str) -> bool:
        try:
            return self._hasher.verify(hashed, password)
        except (Argon2Error, InvalidHashError):
            return False
