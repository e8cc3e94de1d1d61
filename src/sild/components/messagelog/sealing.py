"""Each record that is taken gets a number to be encrypted with, in the same transaction.

A log's numbers go on from one that was drawn: another node with the same key store, a log that was
begun anew, and the reference's, whose numbers are the ids of its rows, do not come upon them.
"""

from collections.abc import Iterable

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from sild.components.messagelog.encryption import RecordCipher, Seal
from sild.components.messagelog.errors import EncryptionKeyNotFound
from sild.components.messagelog.tables import CIPHER
from sild.runtime.clock import SystemClock

_ONLY = 1  # the id of the one row


class Sealing:
    """The seals of the records of one transaction, by their keys; without a cipher, none.

    A body may come before its record, and in several transactions: what was begun under a seal, or
    without one, is gone on with as it was begun.
    """

    def __init__(self, cipher: RecordCipher | None) -> None:
        self._cipher = cipher
        self._seals: dict[str, Seal | None] = {}

    def remember(self, record_key: str, seal: Seal | None) -> None:
        """A body of this record was begun so."""
        self._seals[record_key] = seal

    async def give(self, connection: AsyncConnection, record_keys: Iterable[str]) -> None:
        """Seal each of these that has none yet, if records are encrypted now."""
        cipher = self._cipher
        if cipher is None or cipher.current is None:
            return
        fresh = [key for key in dict.fromkeys(record_keys) if key not in self._seals]
        if fresh:
            first = await _reserve(connection, len(fresh))
            for number, key in enumerate(fresh, first):
                self._seals[key] = Seal(cipher.current, number)

    def seal_of(self, record_key: str) -> Seal | None:
        """The seal of a record."""
        return self._seals.get(record_key)

    def message(self, seal: Seal | None, data: bytes) -> bytes:
        """A message under the seal; raises EncryptionKeyNotFound."""
        return data if seal is None else self._get_cipher().message(seal, data)

    def body(self, seal: Seal | None, data: bytes, offset: int = 0) -> bytes:
        """A piece of a body under the seal; raises EncryptionKeyNotFound."""
        if seal is None:
            return data
        return self._get_cipher().attachment(seal, data, offset=offset)

    def _get_cipher(self) -> RecordCipher:
        if self._cipher is None:
            raise EncryptionKeyNotFound("something is encrypted, and no key store is configured")
        return self._cipher


async def _reserve(connection: AsyncConnection, count: int) -> int:
    """The first of so many numbers that were never given before."""
    query = select(CIPHER.c.last_number).where(CIPHER.c.id == _ONLY).with_for_update()
    last = await connection.scalar(query)
    if last is None:
        last = _drawn()
        await connection.execute(insert(CIPHER).values(id=_ONLY, last_number=last))
    change = update(CIPHER).where(CIPHER.c.id == _ONLY).values(last_number=last + count)
    await connection.execute(change)
    return int(last) + 1


def _drawn() -> int:
    """A number beyond all ids of rows, with as many again behind it, in what a column holds."""
    return 1 << 61 | int.from_bytes(SystemClock().random_bytes(8), "big") >> 3
