"""What of a message the log keeps: all of it, or who asked whom for what and no more.

Whether bodies are kept is one setting with exceptions for subsystems: those whose services are
called, on their own server and on those of their callers by different lists. What is reduced
proves nothing about the message any more, which is what the setting asks for.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from sild.components.messagelog.settings import MessageLogSettings
from sild.model.messages import MessageRecord
from sild.protocol.errors import LoggingFailed, ProtocolError
from sild.protocol.ids import ClientId
from sild.protocol.rest.message import (
    RestRequest,
    RestResponse,
    read_rest_request,
    read_rest_response,
)
from sild.protocol.soap.message import SoapMessage, read_soap
from sild.protocol.soap.reduced import write_reduced

# A REST message part begins with a method or a status, an XML document with neither.
_XML = re.compile(rb"\s*(?:<|\xef\xbb\xbf|\xff\xfe|\xfe\xff|\x00)")


@dataclass(frozen=True, slots=True)
class Kept:
    """What is to be kept of a message: its record, and whether its body is."""

    record: MessageRecord
    with_body: bool


class BodyPolicy:
    """Decides for each message."""

    def __init__(self, settings: MessageLogSettings) -> None:
        self._by_default = settings.message_body_logging
        if self._by_default:
            local = settings.disabled_body_logging_local_producer_subsystems
            remote = settings.disabled_body_logging_remote_producer_subsystems
        else:
            local = settings.enabled_body_logging_local_producer_subsystems
            remote = settings.enabled_body_logging_remote_producer_subsystems
        self._local_exceptions, self._remote_exceptions = _clients(local), _clients(remote)
        self._has_exceptions = bool(local or remote)
        self.keeps_all = self._by_default and not self._has_exceptions
        """Whether every message is kept as it is."""
        self._size = max(0, settings.max_loggable_message_body_size)
        self._truncates = settings.truncated_body_allowed

    @property
    def limit(self) -> int | None:
        """The largest body of any message that may pass; None where it depends on the message."""
        certain = self.keeps_all and not self._truncates
        return self._size or None if certain else None

    @property
    def spooled(self) -> int:
        """How many bytes of a body must be handed over at most: one more tells of an excess."""
        if not self._by_default and not self._has_exceptions:
            return 0
        asks = self._has_exceptions and not self._truncates and self._size > 0
        return self._size + 1 if asks else self._size

    @property
    def size(self) -> int:
        """How many bytes of a body are kept where it is."""
        return self._size

    @property
    def truncates(self) -> bool:
        """Whether a larger body is cut; else it is refused."""
        return self._truncates

    def apply(self, record: MessageRecord) -> Kept:
        """What is to be kept of this message; raises LoggingFailed where that cannot be told."""
        if self.keeps_all:
            return Kept(record, with_body=True)
        try:
            message = _read(record)
        except ProtocolError as error:
            reason = f"the message cannot be read, so it cannot be reduced: {error.message}"
            raise LoggingFailed(reason) from error
        if self._has_exceptions and self._is_whole(message, record.owner):
            return Kept(record, with_body=True)
        return Kept(replace(record, message=_reduced(message), body=None), with_body=False)

    def _is_whole(self, message: RestRequest | RestResponse | SoapMessage, owner: ClientId) -> bool:
        says = message.header if isinstance(message, SoapMessage) else message
        if says.service is None:
            return False
        provider = says.service.provider
        local = self._by_default != (provider in self._local_exceptions)
        remote = self._by_default != (provider in self._remote_exceptions)
        if provider == says.client:
            # A subsystem that calls itself stands on either side: both have to agree.
            return local and remote
        return local if provider == owner else remote


def _read(record: MessageRecord) -> RestRequest | RestResponse | SoapMessage:
    if _XML.match(record.message):
        return read_soap(record.message, "text/xml")
    if record.is_response:
        return read_rest_response(record.message)
    return read_rest_request(record.message)


def _reduced(message: RestRequest | RestResponse | SoapMessage) -> bytes:
    return write_reduced(message) if isinstance(message, SoapMessage) else message.reduced_part


def _clients(texts: Iterable[str]) -> frozenset[ClientId]:
    return frozenset(ClientId(*(part.strip() for part in text.split("/"))) for text in texts)
