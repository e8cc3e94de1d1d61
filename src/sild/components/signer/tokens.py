"""Use cases on the token and its keys, and signing."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TypeVar

from sild.components.signer.errors import (
    ActionNotPossible,
    CannotSign,
    CertificateNotFound,
    TokenNotActive,
    WrongCertificateUsage,
)
from sild.components.signer.settings import SignerSettings
from sild.components.signer.soft_token import SoftToken
from sild.components.signer.store import KeyConfStore
from sild.model.services import check_code
from sild.model.tokens import (
    DELETABLE_CERTIFICATES,
    SOFT_TOKEN_ID,
    Key,
    KeyAlgorithm,
    KeyUsage,
    Token,
)
from sild.protocol.algorithms import SignatureAlgorithm

_T = TypeVar("_T")


class Tokens:
    """The software token and its keys."""

    def __init__(self, token: SoftToken, store: KeyConfStore, settings: SignerSettings) -> None:
        self._token = token
        self._store = store
        self._threads = ThreadPoolExecutor(settings.signing_threads, thread_name_prefix="sign")
        self._administering = asyncio.Lock()

    def close(self) -> None:
        """Forget the PIN and the keys, and stop the threads that sign."""
        self._token.logout()
        self._threads.shutdown()

    def status(self) -> Token:
        """The token with its keys, requests and certificates."""
        conf = self._store.conf
        initialized, logged_in = self._token.is_initialized, self._token.is_logged_in
        available = self._token.available_keys
        return Token(SOFT_TOKEN_ID, conf.label, initialized, logged_in, conf.keys, available)

    async def initialize(self, pin: str) -> None:
        """Set the token's PIN, once."""
        await self._alone(partial(self._token.initialize, pin))

    async def login(self, pin: str) -> None:
        """Open the token's keys."""
        await self._alone(partial(self._token.login, pin))

    async def logout(self) -> None:
        """Close them; nothing is signed until the next login."""
        await self._alone(self._token.logout)

    async def generate_key(self, label: str, usage: KeyUsage, algorithm: KeyAlgorithm) -> Key:
        """Make a key, which is durable when this returns."""
        if label:
            check_code("the label of a key", label)
        made = await self._alone(partial(self._token.generate, algorithm))
        key = Key(made.id, label or made.id, usage, algorithm, made.public_key)
        await self._store.change(lambda conf: conf.with_key(key))
        return key

    async def rename_key(self, key_id: str, label: str) -> None:
        """Give a key another label."""
        check_code("the label of a key", label)
        await self._store.change(
            lambda conf: conf.with_key(replace(conf.get_key(key_id), label=label))
        )

    async def delete_key(self, key_id: str) -> None:
        """Remove a key for good, with its requests and certificates."""
        key = self._store.conf.get_key(key_id)
        if key.usage is KeyUsage.AUTHENTICATION:
            for entry in key.certificates:
                if entry.status not in DELETABLE_CERTIFICATES:
                    raise ActionNotPossible(
                        f"key {key_id} has a certificate that is {entry.status.value}: "
                        "unregister it first"
                    )
        if not self._token.is_logged_in:
            raise TokenNotActive(f"key {key_id} is deleted only while its token is logged in")
        await self._store.change(lambda conf: conf.without_key(key_id))
        await self._alone(partial(self._token.delete, key_id))

    async def sign(self, key_id: str, digest: bytes, algorithm: str) -> bytes:
        """The signature of a signing key over a digest; `algorithm` is the XML signature URI."""
        if self._store.conf.get_key(key_id).usage is not KeyUsage.SIGNING:
            raise CannotSign(f"key {key_id} is for authentication and signs no messages")
        return await self._sign(key_id, digest, algorithm)

    async def sign_as_server(self, key_id: str, digest: bytes, algorithm: str) -> bytes:
        """The signature of an authentication key, for requests that prove its possession."""
        if self._store.conf.get_key(key_id).usage is not KeyUsage.AUTHENTICATION:
            raise CannotSign(f"key {key_id} is for signing messages")
        return await self._sign(key_id, digest, algorithm)

    def auth_key(self, sha256: str) -> bytes:
        """The private key of an authentication certificate, PKCS #8 in DER, for TLS."""
        found = self._store.conf.find_certificate(sha256)
        if found is None:
            raise CertificateNotFound(f"there is no certificate {sha256!r}")
        key, _ = found
        if key.usage is not KeyUsage.AUTHENTICATION:
            raise WrongCertificateUsage(f"key {key.id} signs messages and never leaves the signer")
        return self._token.private_key(key.id)

    async def _alone(self, act: Callable[[], _T]) -> _T:
        async with self._administering:
            return await asyncio.to_thread(act)

    async def _sign(self, key_id: str, digest: bytes, algorithm: str) -> bytes:
        how = SignatureAlgorithm.from_uri(algorithm)
        if not self._token.is_slow(key_id):
            return self._token.sign(key_id, digest, how)
        loop = asyncio.get_running_loop()
        act = partial(self._token.sign, key_id, digest, how)
        return await loop.run_in_executor(self._threads, act)
