"""What the proxy needs from others: signatures, a log, a view of the configuration, time."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from sild.components.proxy.view import View
from sild.model.messages import MessageRecord, WantedDocuments
from sild.runtime.files import SpooledBytes


class Signer(Protocol):
    """Signs with a key that never leaves the signer."""

    async def sign(self, key_id: str, digest: bytes, algorithm: str) -> bytes:
        """The signature over a digest; `algorithm` is the XML signature URI.

        RSA gives the raw value, EC gives DER.
        """
        ...


class MessageLog(Protocol):
    """Keeps the evidence; a message goes on only after `save` has returned."""

    @property
    def body_limit(self) -> int | None:
        """The largest body that may pass, in bytes; None where any may."""
        ...

    @property
    def body_kept(self) -> int:
        """How many bytes of a body are kept, from its beginning; 0 where bodies are not logged."""
        ...

    async def save(self, record: MessageRecord, body: bytes | SpooledBytes | None) -> None:
        """Return when the record is durable.

        Raises LoggingFailed where it is not, for whatever reason.
        """
        ...


class Views(Protocol):
    """Where the present view of the configuration is found."""

    @property
    def current(self) -> View:
        """The view to use for one message, from its first to its last step.

        Raises GlobalConfOutdated where there is none that may be used.
        """
        ...

    @property
    def latest(self) -> View | None:
        """The last view, also where no message may use it any more."""
        ...


@dataclass(frozen=True, slots=True)
class DocumentFile:
    """A file with signed documents, read once."""

    name: str
    media_type: str
    size: int
    chunks: AsyncIterator[bytes]


class Documents(Protocol):
    """Where signed documents come from."""

    async def find(self, wanted: WantedDocuments) -> DocumentFile | None:
        """The documents in one file, or None where nothing was logged.

        Raises ProtocolError: NotTimestamped, or what keeps them from being time-stamped.
        """
        ...
