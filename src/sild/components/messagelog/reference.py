"""Take over the message log of the reference implementation: its tables, read as they are.

Records come in the order of their ids, with the time-stamps that they have; what is encrypted is
opened with the keys of the key store, and kept as new records are. How far the import has come is
kept like the position in a journal, so that it goes on where it was broken off.
"""

import logging
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from sild.components.messagelog.encryption import RecordCipher, Seal
from sild.components.messagelog.entries import (
    BodyEntry,
    Entry,
    RecordEntry,
    SignatureEntry,
    record_key,
)
from sild.components.messagelog.errors import EncryptionKeyNotFound, ReferenceLogUnreadable
from sild.components.messagelog.intake import Intake, TakenEntry
from sild.components.messagelog.store import MessageStore, Taking
from sild.components.messagelog.tables import RECORD, TIMESTAMP, TIMESTAMP_CHAIN
from sild.model.messages import MessageRecord
from sild.protocol.algorithms import DigestAlgorithm
from sild.protocol.errors import ProtocolError
from sild.protocol.ids import ClientId
from sild.protocol.pki.timestamp import read_timestamp_token
from sild.runtime.database import Database
from sild.runtime.journal import Position

_LOG = logging.getLogger(__name__)
_PAGE = 50
_SEGMENT = 1
IMPORTED = "reference "
"""What the name of a journal begins with that was never a file: that of an import."""
_SESSION = 32
_PIECE = 1024 * 1024
_LARGE = 256 * 1024

_RECORDS = text(
    "SELECT id, queryid, message, ciphermessage, keyid, signature, hashchain, hashchainresult,"
    " timestamprecord, timestamphashchain, response, memberclass, membercode, subsystemcode,"
    " xrequestid, time, archived FROM logrecord"
    " WHERE discriminator = 'm' AND id > :after ORDER BY id LIMIT :page"
)
_ATTACHMENTS = text(
    "SELECT logrecord_id, attachment_no, lo_get(attachment) AS content FROM message_attachment"
    " WHERE logrecord_id = ANY(:ids) ORDER BY logrecord_id, attachment_no"
)
_STAMPS = text(
    "SELECT id, timestamp, hashchainresult FROM logrecord"
    " WHERE discriminator = 't' AND id = ANY(:ids)"
)


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import has done, and the ids of the records that it could not take over."""

    records: int
    left_out: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Page:
    rows: Sequence[Any]
    attachments: dict[int, list[bytes]]
    stamps: dict[int, Any]


class ReferenceImport:
    """Imports from one database of the reference into the store."""

    def __init__(
        self, source: Database, store: MessageStore, cipher: RecordCipher | None, instance: str
    ) -> None:
        self._source = source
        self._store = store
        self._cipher = cipher
        self._instance = instance
        self._journal = f"{IMPORTED}{instance}"
        self._session = DigestAlgorithm.SHA256.digest(self._journal.encode()).hex()[:_SESSION]

    async def run(self) -> Imported:
        """Import all that was not imported yet.

        Raises ReferenceLogUnreadable, EncryptionKeyNotFound; what was imported before stays.
        """
        records, left_out = 0, list[int]()
        while True:
            position = await self._store.find_position(self._journal)
            after = 0 if position is None else position.offset
            page = await self._read(after)
            if not page.rows:
                return Imported(records, tuple(left_out))
            fit = [row for row in page.rows if len(page.attachments.get(row.id, [])) <= 1]
            async with self._store.taking(self._journal) as taking:
                if taking.position.offset != after:
                    raise ReferenceLogUnreadable("another import is under way")
                await self._add(taking, page, fit)
            records += len(fit)
            left_out += [row.id for row in page.rows if row not in fit]

    async def _read(self, after: int) -> _Page:
        async with self._source.reading() as connection:
            found = await connection.execute(_RECORDS, {"after": after, "page": _PAGE})
            rows = found.all()
            attachments: dict[int, list[bytes]] = {}
            ids = [row.id for row in rows]
            for row in await connection.execute(_ATTACHMENTS, {"ids": ids}):
                attachments.setdefault(row.logrecord_id, []).append(bytes(row.content))
            wanted = [row.timestamprecord for row in rows if row.timestamprecord is not None]
            stamps = (await connection.execute(_STAMPS, {"ids": wanted})).all()
        return _Page(rows, attachments, {row.id: row for row in stamps})

    async def _add(self, taking: Taking, page: _Page, rows: Sequence[Any]) -> None:
        intake = Intake(await taking.unfinished())
        for row in rows:
            body = next(iter(page.attachments.get(row.id, ())), None)
            for entry in self._entries(row, body):
                intake.take(TakenEntry(Position(_SEGMENT, row.id), entry))
        await taking.add(intake, Position(_SEGMENT, page.rows[-1].id))
        for row in rows:
            stamp = page.stamps.get(row.timestamprecord)
            await _finish(taking, row, None if stamp is None else await _stamp(taking, stamp))

    def _entries(self, row: Any, body: bytes | None) -> list[Entry]:
        signature = _bytes(row.signature) or b""
        digest = DigestAlgorithm.SHA256.digest(signature)
        key = record_key(self._session, row.id)
        record, body = self._record(row, body)
        entries: list[Entry] = [SignatureEntry(digest, signature)]
        if body is None or len(body) <= _LARGE:
            size = None if body is None else len(body)
            return [*entries, RecordEntry(key, digest, record, size, body_may_be_cut=True)]
        entries += [
            BodyEntry(key, body[start : start + _PIECE]) for start in range(0, len(body), _PIECE)
        ]
        return [*entries, RecordEntry(key, digest, record, len(body), body_may_be_cut=True)]

    def _record(self, row: Any, body: bytes | None) -> tuple[MessageRecord, bytes | None]:
        message = _bytes(row.message)
        if row.keyid is not None:
            if self._cipher is None:
                raise EncryptionKeyNotFound("records are encrypted, and no key store is configured")
            seal = Seal(row.keyid, row.id)
            message = self._cipher.message(seal, bytes(row.ciphermessage or b""))
            body = None if body is None else self._cipher.attachment(seal, body)
        try:
            owner = ClientId(
                self._instance, row.memberclass, row.membercode, row.subsystemcode or None
            )
        except (ProtocolError, TypeError) as error:
            raise ReferenceLogUnreadable(f"record {row.id} has no owner: {error}") from error
        record = MessageRecord(
            query_id=row.queryid,
            owner=owner,
            is_response=bool(row.response),
            time_ms=row.time,
            message=message or b"",
            signature=b"",
            hash_chain_result=_bytes(row.hashchainresult),
            hash_chain=_bytes(row.hashchain),
            body=body if body is not None and len(body) <= _LARGE else None,
            request_id=row.xrequestid,
        )
        return record, body


async def _stamp(taking: Taking, row: Any) -> int:
    """The id that a time-stamp of the reference has here, added if it is new."""
    try:
        token = b64decode(row.timestamp, validate=False)
        stamped_at = read_timestamp_token(token).gen_time
    except (Base64Error, ProtocolError, TypeError) as error:
        message = f"the time-stamp {row.id} cannot be read: {error}"
        raise ReferenceLogUnreadable(message) from error
    connection = taking.connection
    found = await connection.scalar(select(TIMESTAMP.c.id).where(TIMESTAMP.c.token == token))
    if found is not None:
        return int(found)
    values = {
        "token": token,
        "stamped_at": stamped_at,
        "hash_chain_result": _bytes(row.hashchainresult),
    }
    added = (await connection.execute(insert(TIMESTAMP).values(values))).inserted_primary_key
    assert added is not None  # noqa: S101 - the table has one
    return int(added[0])


async def _finish(taking: Taking, row: Any, timestamp_id: int | None) -> None:
    """What a record brings that none from a journal has: a time-stamp, and its being archived."""
    values: dict[str, object] = {"archived": bool(row.archived)}
    if timestamp_id is not None:
        values["timestamp_id"] = timestamp_id
        if row.timestamphashchain is not None:
            await _add_chain(taking.connection, timestamp_id, row)
    if values == {"archived": False}:
        return
    at = (
        RECORD.c.journal_id == taking.journal_id,
        RECORD.c.segment == _SEGMENT,
        RECORD.c.place == row.id,
    )
    await taking.connection.execute(update(RECORD).where(*at).values(values))


async def _add_chain(connection: AsyncConnection, timestamp_id: int, row: Any) -> None:
    signature = DigestAlgorithm.SHA256.digest(_bytes(row.signature) or b"")
    chain = TIMESTAMP_CHAIN.c
    known = await connection.scalar(
        select(chain.signature).where(
            chain.timestamp_id == timestamp_id, chain.signature == signature
        )
    )
    if known is None:
        values = {
            "timestamp_id": timestamp_id,
            "signature": signature,
            "document": _bytes(row.timestamphashchain),
        }
        await connection.execute(insert(TIMESTAMP_CHAIN).values(values))


def _bytes(value: str | None) -> bytes | None:
    return None if value is None else value.encode()
