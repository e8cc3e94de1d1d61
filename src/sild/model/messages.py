"""A logged message and the evidence kept with it."""

from dataclasses import dataclass

from sild.protocol.ids import ClientId


@dataclass(frozen=True, slots=True)
class MessageRecord:
    """One message as the log keeps it: what was said, by whom it is kept, and what proves it.

    `owner` is the client on the consumer's server and the service's provider on the provider's,
    for request and response alike. `message` is the exact bytes that were signed as
    `/message.xml`; `body` those of `/attachment1`, absent where the message had none or where it
    is not logged. `time_ms` counts from 1970.
    """

    query_id: str
    owner: ClientId
    is_response: bool
    time_ms: int
    message: bytes
    signature: bytes
    hash_chain_result: bytes | None = None
    hash_chain: bytes | None = None
    body: bytes | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class WantedDocuments:
    """Which signed documents an information system asks for.

    `is_response` None means both directions; `unique` is one container instead of a ZIP file of
    all; `force` time-stamps at once what has no time-stamp yet.
    """

    query_id: str
    owner: ClientId
    is_response: bool | None
    unique: bool
    force: bool
