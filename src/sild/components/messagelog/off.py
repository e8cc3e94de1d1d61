"""The message log that is switched off: messages go on, and nothing proves that they did."""

from sild.model.messages import MessageRecord
from sild.runtime.files import SpooledBytes


class NoLog:
    """Keeps nothing."""

    @property
    def body_limit(self) -> None:
        """Any body may pass."""
        return

    @property
    def body_kept(self) -> int:
        """Nothing is kept of bodies."""
        return 0

    async def save(self, record: MessageRecord, body: bytes | SpooledBytes | None) -> None:
        """Return at once."""
