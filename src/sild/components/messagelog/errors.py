"""What the message log cannot give.

MessageLogError                  internal_error
├── RecordNotFound               message_record_not_found
├── NotTimestamped               internal_error (as peers answer it)
├── JournalDamaged               internal_error
├── NoTimestampingProvider       mlog.no_timestamping_provider_found
├── TimestampingServiceNotFound  timestamping_service_not_found
├── DuplicateTimestampingService duplicate_configured_timestamping_service
├── EncryptionKeyNotFound        internal_error
└── ReferenceLogUnreadable       internal_error
"""

from sild.model.refusals import BadRequest, Conflict
from sild.protocol.errors import ProtocolError


class MessageLogError(ProtocolError):
    """The message log refuses."""


class RecordNotFound(MessageLogError):
    """There is no such record."""

    code = "message_record_not_found"


class NotTimestamped(MessageLogError):
    """A record has no time-stamp yet, and was not to be given one now."""


class JournalDamaged(MessageLogError):
    """A journal holds what its writer never writes."""


class NoTimestampingProvider(MessageLogError):
    """There is no time-stamping service to ask."""

    code = "mlog.no_timestamping_provider_found"


NO_PROVIDER = (
    "no time-stamping service is chosen, or none of the wanted cost: the administrator of this "
    "security server should choose one"
)
"""What it says, to administrators and to callers."""


class TimestampingServiceNotFound(MessageLogError, BadRequest):
    """The global configuration approves no such time-stamping service, or it was not chosen."""

    code = "timestamping_service_not_found"


class DuplicateTimestampingService(MessageLogError, Conflict):
    """The time-stamping service was chosen already."""

    code = "duplicate_configured_timestamping_service"


class EncryptionKeyNotFound(MessageLogError):
    """What is encrypted, or is to be, needs a key that is not at hand."""


class ReferenceLogUnreadable(MessageLogError):
    """A message log of the reference holds what it never writes."""


class ArchivingFailed(MessageLogError):
    """An archive could not be written, encrypted or taken away."""
