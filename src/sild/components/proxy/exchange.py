"""What both sides of an exchange work with."""

from dataclasses import dataclass

from sild.components.proxy.outgoing import Sender
from sild.components.proxy.ports import MessageLog, Views
from sild.components.proxy.settings import ProxySettings
from sild.components.proxy.steps import ExchangeLog
from sild.runtime.clock import Clock
from sild.runtime.files import SpoolDirectory, SpooledBytes


@dataclass(frozen=True, slots=True)
class Exchanges:
    """The proxy's ports and settings, and what sends for both sides."""

    views: Views
    log: MessageLog
    sender: Sender
    spool: SpoolDirectory
    clock: Clock
    settings: ProxySettings
    steps: ExchangeLog


class SpoolStream:
    """The content of a spool as a response body; it lets go of the spool at its end or `aclose`."""

    def __init__(self, spooled: SpooledBytes) -> None:
        self._spooled = spooled
        self._chunks = spooled.chunks()

    def __aiter__(self) -> "SpoolStream":
        return self

    async def __anext__(self) -> bytes:
        try:
            return await self._chunks.__anext__()
        except BaseException:
            self._spooled.close()
            raise

    async def aclose(self) -> None:
        """Let go of the spool, also where nothing of it was read."""
        self._spooled.close()
