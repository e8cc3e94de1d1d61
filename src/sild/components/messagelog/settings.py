"""The message log's settings, named as the reference names its `[message-log]` parameters."""

from dataclasses import dataclass

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class MessageLogSettings:
    """What of a message is recorded, and how it is kept."""

    message_body_logging: bool = True
    """Whether bodies are kept; without them a record still proves what was signed."""
    max_loggable_message_body_size: int = 10 * _MIB
    """A larger body is refused, or truncated in the log, in bytes; 0 logs no bodies."""
    truncated_body_allowed: bool = False
    segment_bytes: int = 64 * _MIB
    """When a journal segment is full."""
    take_interval: float = 1.0
    """How often journals are taken into the store, in seconds."""
    timestamp_retry_delay: float = 60.0
