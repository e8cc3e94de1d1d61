"""Time-stamp records, with fail-over between the approved authorities.

A record that is stamped by itself has a token over the value of its signature.
"""

import logging
from collections.abc import Sequence

from sild.components.messagelog.errors import NoTimestampingProvider
from sild.components.messagelog.ports import Authorities, TimestampFetcher
from sild.components.messagelog.records import KeptRecord, Timestamp
from sild.components.messagelog.store import MessageStore
from sild.protocol.algorithms import DigestAlgorithm
from sild.protocol.errors import ProtocolError, TimestampRefused
from sild.protocol.pki.timestamp import (
    build_timestamp_request,
    read_timestamp_response,
    verify_timestamp,
    with_certificate,
)
from sild.protocol.pki.trust import ApprovedTsa
from sild.protocol.signature.verify import read_signature

_LOG = logging.getLogger(__name__)


class Timestamping:
    """Time-stamps records on demand."""

    def __init__(
        self, store: MessageStore, fetcher: TimestampFetcher, authorities: Authorities
    ) -> None:
        self._store = store
        self._fetcher = fetcher
        self._authorities = authorities

    async def stamp(self, kept: KeptRecord) -> Timestamp:
        """The record's time-stamp, made and kept if it has none yet.

        Raises NoTimestampingProvider, TimestampRefused, GlobalConfOutdated.
        """
        if kept.timestamp is not None:
            return kept.timestamp
        value = read_signature(kept.record.signature).value
        made = await fetch_timestamp(value, self._authorities(), self._fetcher)
        return await self._store.add_timestamp(kept.id, made)


async def fetch_timestamp(
    stamped: bytes, tsas: Sequence[ApprovedTsa], fetcher: TimestampFetcher
) -> Timestamp:
    """A verified time-stamp over the bytes, by the first authority that gives one.

    Raises NoTimestampingProvider where there is no authority to ask, and TimestampRefused with
    what each answered where none gave a good one.
    """
    if not tsas:
        message = "the global configuration names no time-stamping authority"
        raise NoTimestampingProvider(message)
    request = build_timestamp_request(DigestAlgorithm.SHA512.digest(stamped))
    failures = []
    for url in dict.fromkeys(tsa.url for tsa in tsas):
        try:
            token = read_timestamp_response(await fetcher.fetch_timestamp(url, request))
            proof = verify_timestamp(token, stamped, tsas)
        except ProtocolError as error:
            _LOG.warning("no time-stamp from %s: %s", url, error.message)
            failures.append(f"{url}: {error.message}")
        else:
            return Timestamp(with_certificate(token, proof.tsa.certificate), proof.gen_time)
    message = f"no authority gave a time-stamp: {'; '.join(failures)}"
    raise TimestampRefused(message)
