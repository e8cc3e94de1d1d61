"""Signed documents: records as ASiC-E containers that prove themselves."""

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from sild.components.messagelog.errors import NotTimestamped, RecordNotFound
from sild.components.messagelog.records import KeptRecord, RecordSummary, Timestamp
from sild.components.messagelog.store import MessageStore
from sild.components.messagelog.timestamping import Timestamping
from sild.model.messages import WantedDocuments
from sild.protocol.asic.container import Container, with_signature_timestamp, write_container
from sild.protocol.ids import ClientId, file_name_part
from sild.protocol.signature.names import attachment

_BODY = attachment(1)
_TIMESTAMP_ELEMENT = b"SignatureTimeStamp>"
_LONGEST_QUERY_ID = 226
_DIGITS = "0123456789abcdefghijklmnopqrstuv"


@dataclass(frozen=True, slots=True)
class SignedDocument:
    """A container as a file: its name and its content."""

    name: str
    content: bytes


class SignedDocuments:
    """Gives records as containers, time-stamped first where they are not yet."""

    def __init__(self, store: MessageStore, timestamping: Timestamping) -> None:
        self._store = store
        self._timestamping = timestamping

    async def export(self, query_id: str, owner: ClientId, *, is_response: bool) -> SignedDocument:
        """The owner's request or response with this id; the newest where it was given twice.

        Raises RecordNotFound, and what `Timestamping.stamp` raises.
        """
        found = await self._store.find_of(query_id, owner, is_response=is_response)
        if not found:
            kind = "response" if is_response else "request"
            message = f"the message log of {owner} holds no {kind} with the id {query_id!r}"
            raise RecordNotFound(message)
        return await self.export_record(found[-1].id)

    async def find(self, wanted: WantedDocuments) -> tuple[RecordSummary, ...]:
        """The records that an information system asks for, in the order of the log.

        Raises NotTimestamped where one has no time-stamp and none is to be forced.
        """
        kinds = (False, True) if wanted.is_response is None else (wanted.is_response,)
        found = [
            summary
            for is_response in kinds
            for summary in await self._store.find_of(
                wanted.query_id, wanted.owner, is_response=is_response
            )
        ]
        if wanted.unique:
            found = found[-1:]
        if not wanted.force and any(each.timestamped_at is None for each in found):
            message = (
                "the signature has not been time-stamped yet; ask again later, or with the "
                'parameter "force"'
            )
            raise NotTimestamped(message)
        return tuple(found)

    async def export_record(self, record_id: int) -> SignedDocument:
        """One record; raises RecordNotFound, and what `Timestamping.stamp` raises."""
        kept = await self._store.get_record(record_id)
        timestamp = await self._timestamping.stamp(kept)
        content = await asyncio.to_thread(write_record, kept, timestamp)
        return SignedDocument(container_name(kept), content)


def container_name(kept: KeptRecord) -> str:
    """The file name of a record's container, as the reference names it."""
    query_id = file_name_part(kept.record.query_id)
    kind = "response" if kept.record.is_response else "request"
    return f"{query_id[:_LONGEST_QUERY_ID]}-{kind}-{_base32(kept.id)}.asice"


def write_record(kept: KeptRecord, timestamp: Timestamp) -> bytes:
    """The container of a record that is time-stamped."""
    date = datetime.fromtimestamp(kept.record.time_ms / 1000, UTC)
    return write_container(container_of(kept, timestamp), date)


def container_of(kept: KeptRecord, timestamp: Timestamp) -> Container:
    """The parts of a record's container; a time-stamp over this signature alone is inside it.

    What was kept of a body that was cut is there, as the reference gives it: the digest in the hash
    chain tells whoever verifies that it is not what was signed.
    """
    record = kept.record
    attachments = {} if record.body is None else {_BODY: record.body}
    signed = Container(
        message=record.message,
        signature=record.signature,
        hash_chain_result=record.hash_chain_result,
        hash_chain=record.hash_chain,
        attachments=attachments,
    )
    if timestamp.hash_chain_result is None:
        if _TIMESTAMP_ELEMENT in record.signature:
            # As the reference keeps it, whose log was imported.
            return signed
        inside = with_signature_timestamp(record.signature, timestamp.token)
        return replace(signed, signature=inside)
    return replace(
        signed,
        timestamp=timestamp.token,
        timestamp_hash_chain_result=timestamp.hash_chain_result,
        timestamp_hash_chain=timestamp.hash_chain,
    )


def _base32(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 32)
        digits = _DIGITS[digit] + digits
    return digits or "0"
