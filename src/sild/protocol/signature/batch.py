"""Group waiting messages into one signed hash tree.

A lone message of one part is signed directly; anything more is signed through a hash chain, in
which case all messages share the signature and the result, and each has a chain of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sild.protocol.algorithms import DigestAlgorithm
from sild.protocol.signature.hashchain import HashTree, Leaf
from sild.protocol.signature.names import MESSAGE, SIG_HASH_CHAIN_RESULT
from sild.protocol.signature.xades import SigningIdentity, prepare


@dataclass(frozen=True, slots=True)
class SignedMessage:
    """The documents that go with one message."""

    signature: bytes
    hash_chain_result: bytes | None
    hash_chain: bytes | None


class SignatureBatch:
    """Messages, by the SHA-512 digests of their parts, that one signature value is made for."""

    def __init__(self, items: Sequence[Leaf], identity: SigningIdentity, now: datetime) -> None:
        self._count = len(items)
        self._tree = HashTree(items)
        self._result: bytes | None = None
        target, digest = MESSAGE, self._tree.top
        if len(items) > 1 or len(items[0].parts) > 1:
            self._result = self._tree.result_document()
            target, digest = SIG_HASH_CHAIN_RESULT, DigestAlgorithm.SHA512.digest(self._result)
        self._unsigned = prepare(target, digest, identity, now)

    @property
    def to_sign(self) -> bytes:
        """What the signature value is to be over."""
        return self._unsigned.to_sign

    @property
    def digest_to_sign(self) -> bytes:
        """Its digest, for keys that sign a digest."""
        return self._unsigned.digest_to_sign

    def finish(self, value: bytes) -> tuple[SignedMessage, ...]:
        """The documents of each message, in order, around the value as the key made it."""
        signature = self._unsigned.finish(value)
        if self._result is None:
            return (SignedMessage(signature, None, None),)
        return tuple(
            SignedMessage(signature, self._result, self._tree.chain_document(index))
            for index in range(self._count)
        )
