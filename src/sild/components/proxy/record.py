"""What the log keeps of a message, made from what was sent or received."""

from dataclasses import dataclass
from datetime import datetime

from sild.components.proxy.ports import MessageLog
from sild.components.proxy.verification import SignedParts
from sild.model.messages import MessageRecord
from sild.protocol.errors import LoggingFailed
from sild.protocol.ids import ClientId


@dataclass(frozen=True, slots=True)
class Subject:
    """Which message of which exchange is recorded, and under whose name."""

    query_id: str
    request_id: str
    owner: ClientId
    is_response: bool


def make_record(
    subject: Subject, message: bytes, parts: SignedParts, now: datetime
) -> MessageRecord:
    """The record of a signed message, without its body."""
    return MessageRecord(
        query_id=subject.query_id,
        owner=subject.owner,
        is_response=subject.is_response,
        time_ms=int(now.timestamp() * 1000),
        message=message,
        signature=parts.signature,
        hash_chain_result=parts.hash_chain_result,
        hash_chain=parts.hash_chain,
        request_id=subject.request_id,
    )


def check_loggable(size: int, log: MessageLog) -> None:
    """Return if a body that has come to this size may still pass; raises LoggingFailed."""
    limit = log.body_limit
    if limit is not None and size > limit:
        message = (
            f"the body has more than the {limit} bytes that may be logged; to let it pass, log no "
            "bodies, raise max-loggable-message-body-size, or set truncated-body-allowed"
        )
        raise LoggingFailed(message)
