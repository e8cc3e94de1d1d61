"""Time-stamp records: all that wait together, or one by itself, with fail-over.

A record that is stamped by itself has a token over the value of its signature. Records that are
stamped together share a token over the top of a hash tree, whose leaves are the digests of their
signatures and the head of the log, and each of them has a chain that leads there from it.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sild.components.messagelog.authorities import (
    ChosenService,
    addresses_in_order,
    as_trusted,
    follow_addresses,
)
from sild.components.messagelog.errors import (
    NO_PROVIDER,
    NoTimestampingProvider,
    TimestampingServiceNotFound,
)
from sild.components.messagelog.ports import Authorities, Note, TimestampFetcher, unnoted
from sild.components.messagelog.records import KeptRecord, Timestamp
from sild.components.messagelog.settings import MessageLogSettings
from sild.components.messagelog.stamps import StampStore, WaitingRecord
from sild.components.messagelog.store import MessageStore
from sild.protocol.algorithms import DigestAlgorithm
from sild.protocol.errors import ProtocolError, TimestampRefused
from sild.protocol.evidence.loghead import HeadStamp, StampedHead, head_leaf
from sild.protocol.pki.timestamp import (
    build_timestamp_request,
    read_timestamp_response,
    verify_timestamp,
    with_certificate,
)
from sild.protocol.pki.trust import ApprovedTsa
from sild.protocol.signature.hashchain import HashTree, Leaf
from sild.protocol.signature.names import SIGNATURES, TS_HASH_CHAIN
from sild.protocol.signature.verify import read_signature

_LOG = logging.getLogger(__name__)
# A batch this near to its limit says that the interval is too long for the traffic.
_NEARLY_FULL = 0.7


@dataclass(frozen=True, slots=True)
class Asked:
    """Whom to ask for a time-stamp, in order, and who may have signed it."""

    urls: tuple[str, ...]
    trusted: tuple[ApprovedTsa, ...]


class Timestamping:
    """Time-stamps records: together when told to, or one on demand."""

    def __init__(
        self,
        stores: tuple[MessageStore, StampStore],
        fetcher: TimestampFetcher,
        authorities: Authorities,
        settings: MessageLogSettings,
        note: Note = unnoted,
    ) -> None:
        self._store, self._stamps = stores
        self._fetcher = fetcher
        self._authorities = authorities
        self._settings = settings
        self._note = note
        self._lock = asyncio.Lock()

    async def stamp(self, kept: KeptRecord) -> Timestamp:
        """The record's time-stamp, made and kept if it has none yet.

        Raises NoTimestampingProvider, TimestampRefused, GlobalConfOutdated.
        """
        if kept.timestamp is not None:
            return kept.timestamp
        value = read_signature(kept.record.signature).value
        made = await fetch_timestamp(value, await self.asked(), self._fetcher, self._note)
        return await self._store.add_timestamp(kept.id, made)

    async def stamp_waiting(self) -> int:
        """Time-stamp all records that wait, in batches; give how many there were.

        Raises NoTimestampingProvider, TimestampRefused, GlobalConfOutdated; batches that were
        stamped before stay so.
        """
        limit = self._settings.timestamp_records_limit
        stamped = 0
        async with self._lock:
            while waiting := await self._stamps.waiting(limit):
                if len(waiting) >= limit * _NEARLY_FULL:
                    told = "%d records wait for a time-stamp; one batch takes %d"
                    _LOG.warning(told, len(waiting), limit)
                stamped += await self._stamp_together(waiting)
                if len(waiting) < limit:
                    break
        return stamped

    async def choose(self, services: Sequence[ChosenService]) -> None:
        """Use these approved services, top to bottom, and no other.

        Raises TimestampingServiceNotFound, GlobalConfOutdated.
        """
        approved = {(each.name, each.url) for each in self._authorities()}
        for service in services:
            if (service.name, service.url) not in approved:
                message = f"no service {service.name} at {service.url} is approved"
                raise TimestampingServiceNotFound(message)
        await self._stamps.choose(tuple(dict.fromkeys(services)))

    async def asked(self) -> Asked:
        """Whom to ask now; raises GlobalConfOutdated."""
        approved = self._authorities()
        chosen = await self._stamps.chosen()
        if self._settings.auto_update_timestamp_service_url and chosen:
            followed = follow_addresses(chosen, approved)
            if followed != chosen:
                await self._stamps.choose(followed)
                chosen = followed
        strategy = self._settings.timestamping_prioritization_strategy
        return Asked(addresses_in_order(approved, chosen, strategy), as_trusted(approved))

    async def _stamp_together(self, waiting: Sequence[WaitingRecord]) -> int:
        signatures = {each.signature: each.sha512 for each in waiting}
        asked = await self.asked()
        head = await self._stamps.log_head()
        leaves = [Leaf(((SIGNATURES, sha512),)) for sha512 in signatures.values()]
        # The head of the log goes with each batch; no chain of a record shows it.
        tree = await asyncio.to_thread(HashTree, [*leaves, head_leaf(head)], TS_HASH_CHAIN)
        result = tree.result_document()
        made = await fetch_timestamp(result, asked, self._fetcher, self._note)
        chains = await asyncio.to_thread(_chains, tree, tuple(signatures))
        stamp = replace(made, hash_chain_result=result)
        of_head = HeadStamp(made.token, result, tree.chain_document(len(leaves)))
        stamped_head = StampedHead(head, of_head)
        return await self._stamps.add_timestamp(waiting, stamp, chains, stamped_head)


def _chains(tree: HashTree, signatures: Sequence[bytes]) -> dict[bytes, bytes]:
    return {signature: tree.chain_document(place) for place, signature in enumerate(signatures)}


async def fetch_timestamp(
    stamped: bytes, asked: Asked, fetcher: TimestampFetcher, note: Note = unnoted
) -> Timestamp:
    """A verified time-stamp over the bytes, by the first authority that gives one.

    Raises NoTimestampingProvider where there is no authority to ask, and TimestampRefused with
    what each answered where none gave a good one.
    """
    if not asked.urls:
        raise NoTimestampingProvider(NO_PROVIDER)
    request = build_timestamp_request(DigestAlgorithm.SHA512.digest(stamped))
    failures = []
    for url in asked.urls:
        try:
            token = read_timestamp_response(await fetcher.fetch_timestamp(url, request))
            proof = verify_timestamp(token, stamped, asked.trusted)
        except ProtocolError as error:
            _LOG.warning("no time-stamp from %s: %s", url, error.message)
            note(url, error)
            failures.append(f"{url}: {error.message}")
        else:
            note(url, None)
            return Timestamp(with_certificate(token, proof.tsa.certificate), proof.gen_time)
    message = f"no authority gave a time-stamp: {'; '.join(failures)}"
    raise TimestampRefused(message)
