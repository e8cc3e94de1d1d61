"""The global configuration that this node publishes, as requests are judged by it."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from sild.components.centralserver.publishing_files import PublicationDirectory
from sild.components.centralserver.source_rows import INTERNAL_DIRECTORY, SigningKey
from sild.protocol.errors import GlobalConfError, GlobalConfOutdated
from sild.protocol.globalconf.directory import PartKind, read_directory, verify_directory
from sild.protocol.globalconf.lookup import GlobalConf
from sild.protocol.globalconf.trusted import Issue, PartContent, read_instance
from sild.protocol.management.verify import Ecosystem
from sild.protocol.pki.certificate import read_certificate
from sild.runtime.clock import Clock
from sild.runtime.files import read_bounded

_LARGEST = 16_000_000

ActiveKey = Callable[[], Coroutine[Any, Any, SigningKey | None]]
"""Asks for the key that signs the configuration of this instance's servers."""


class PublishedConfiguration:
    """What was published last, read again when something newer was."""

    def __init__(self, files: PublicationDirectory, active_key: ActiveKey, clock: Clock) -> None:
        self._files = files
        self._active_key = active_key
        self._clock = clock
        self._held: tuple[bytes, GlobalConf] | None = None

    async def ecosystem(self) -> Ecosystem:
        """Whom the instance trusts; raises GlobalConfOutdated where nothing valid is published."""
        key = await self._active_key()
        if key is None:
            raise GlobalConfOutdated("no key signs the global configuration yet")
        conf = await asyncio.to_thread(self._conf, key)
        conf.check_valid(self._clock.now())
        return Ecosystem(conf.trust(conf.instance), conf.management_service.provider)

    def _conf(self, key: SigningKey) -> GlobalConf:
        version = max(self._files.versions(), default=None)
        if version is None:
            raise GlobalConfOutdated("no global configuration has been published yet")
        try:
            signed = read_bounded(self._files.path / f"V{version}" / INTERNAL_DIRECTORY, _LARGEST)
        except OSError as error:
            raise GlobalConfOutdated("no global configuration has been published yet") from error
        if self._held is None or self._held[0] != signed:
            self._held = (signed, self._read(version, signed, key))
        return self._held[1]

    def _read(self, version: int, signed: bytes, key: SigningKey) -> GlobalConf:
        certificate = read_certificate(key.certificate)
        try:
            directory = verify_directory(read_directory(signed), (certificate,), self._clock.now())
        except GlobalConfError as error:
            raise GlobalConfOutdated(f"what is published is not valid: {error}") from error
        contents: dict[PartKind, PartContent] = {}
        for part in directory.parts:
            if part.kind is not None:
                data = read_bounded(self._files.path / part.location.lstrip("/"), _LARGEST)
                if part.is_of(data):
                    contents[part.kind] = PartContent(part.location, data)
        issue = Issue(directory.parts[0].instance, version, directory.expires)
        return GlobalConf({issue.instance: read_instance(issue, contents)}, issue.instance)
