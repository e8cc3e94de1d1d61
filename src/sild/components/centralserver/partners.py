"""Other instances' configuration, tried before their anchor is trusted."""

from dataclasses import dataclass

from sild.protocol.errors import GlobalConfError, MalformedGlobalConf
from sild.protocol.globalconf.anchor import Anchor
from sild.protocol.globalconf.directory import (
    Directory,
    PartKind,
    read_directory,
    verify_directory,
)
from sild.protocol.globalconf.fetch import (
    Answer,
    Conversation,
    Download,
    Get,
    NoAnswer,
    download,
    locations_of,
)
from sild.protocol.globalconf.trusted import Scope, TrustedConf
from sild.runtime.clock import Clock
from sild.runtime.fetch import Fetcher, FetchError, FetchLimits, FetchRequest

_CONNECT_SECONDS, _TOTAL_SECONDS = 10.0, 40.0
_OK = 200


class NotExternal(GlobalConfError):
    """An anchor that leads to configuration for an instance's own servers."""

    code = "anchor_not_for_external_source"


@dataclass(frozen=True, slots=True)
class DownloadingPartners:
    """Verifies anchors by what they lead to, as a configuration client would."""

    fetcher: Fetcher
    clock: Clock

    async def verify(self, anchor: Anchor) -> None:
        """Raise unless the anchor leads to external configuration that can be used now.

        Raises GlobalConfDownloadFailed, NotExternal and MalformedGlobalConf.
        """
        trusted = TrustedConf(anchor, Scope.FEDERATED)
        locations = tuple(url for rank in locations_of(anchor, None) for url in rank)
        seen: dict[str, Answer] = {}
        outcome = await self._converse(download(trusted, locations), seen)
        outcome.get_trusted()
        parts = _found(outcome, anchor, seen).parts
        if any(part.kind is PartKind.PRIVATE_PARAMETERS for part in parts):
            raise NotExternal(f"the anchor of {anchor.instance} is for its own servers")

    async def _converse(self, conversation: Conversation, seen: dict[str, Answer]) -> Download:
        try:
            wanted = next(conversation)
            while True:
                answer = await self._get(wanted)
                if isinstance(answer, Answer):
                    seen[wanted.url] = answer
                wanted = conversation.send(answer)
        except StopIteration as done:
            outcome: Download = done.value
            return outcome

    async def _get(self, wanted: Get) -> Answer | NoAnswer:
        limits = FetchLimits(total=_TOTAL_SECONDS, connect=_CONNECT_SECONDS, body=wanted.limit)
        try:
            response = await self.fetcher.fetch(FetchRequest(wanted.url), limits)
        except FetchError as error:
            return NoAnswer(str(error))
        return Answer(response.status, response.body, self.clock.now())


def _found(outcome: Download, anchor: Anchor, seen: dict[str, Answer]) -> Directory:
    location = outcome.location or ""
    for url, answer in seen.items():
        if url.startswith(location) and answer.status == _OK:
            return verify_directory(read_directory(answer.body), anchor.certificates, answer.at)
    raise MalformedGlobalConf(f"nothing was found at {location}")
