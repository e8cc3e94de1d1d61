"""The security server's own configuration anchor: seen, compared, replaced and handed out (SP-02).

No anchor is kept before what it leads to was downloaded and verified.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sild.components.confclient.errors import (
    AnchorExists,
    AnchorMalformed,
    AnchorMissing,
    AnchorNotKept,
    AnchorNotVerified,
    AnchorOfOtherInstance,
    AnchorOutdated,
    AnchorSignatureInvalid,
    AnchorUnreachable,
    AnchorWithoutPrivate,
    ConfigurationNotDownloaded,
)
from sild.model.refusals import Failed
from sild.protocol.errors import (
    GlobalConfDownloadFailed,
    GlobalConfError,
    GlobalConfExpiredDirectory,
    GlobalConfMissingPart,
    GlobalConfMissingSignature,
    GlobalConfMissingVerificationCert,
    GlobalConfSignatureFailure,
    MalformedAnchor,
    ProtocolError,
)
from sild.protocol.globalconf import anchor as globalconf
from sild.runtime.files import FileError, read_bounded, write_private

_LIMIT = 1024 * 1024
_PATIENCE_SECONDS = 120.0

_REFUSALS: tuple[tuple[type[ProtocolError], type[Failed]], ...] = (
    (GlobalConfDownloadFailed, AnchorUnreachable),
    (GlobalConfExpiredDirectory, AnchorOutdated),
    (GlobalConfMissingSignature, AnchorSignatureInvalid),
    (GlobalConfSignatureFailure, AnchorSignatureInvalid),
    (GlobalConfMissingVerificationCert, AnchorSignatureInvalid),
    (GlobalConfMissingPart, AnchorWithoutPrivate),
    (ProtocolError, AnchorNotVerified),
)


class Downloads(Protocol):
    """The configuration client."""

    async def verify(self, anchor: globalconf.Anchor) -> None:
        """Download what an anchor leads to, and keep nothing of it.

        Raises what is wrong as a ProtocolError.
        """
        ...


@dataclass(frozen=True, slots=True)
class AnchorSurroundings:
    """What the anchor's use cases need of the server."""

    downloads: Downloads
    refresh: Callable[[], Awaitable[object]]
    """Downloads by the anchor that is kept now; raises GlobalConfError."""
    own_instance: Callable[[], Awaitable[str | None]]
    """The instance of the security server, once it has one."""


class Anchor:
    """The use cases; what is kept is one file."""

    def __init__(self, path: Path, surroundings: AnchorSurroundings) -> None:
        self._path = path
        self._around = surroundings
        self._changing = asyncio.Lock()

    async def is_imported(self) -> bool:
        """Whether there is an anchor; what cannot be used is none."""
        try:
            return await self.find() is not None
        except AnchorMalformed:
            return False

    async def find(self) -> globalconf.Anchor | None:
        """The anchor that is kept, with its document; raises AnchorMalformed."""
        try:
            content = await asyncio.to_thread(read_bounded, self._path, _LIMIT)
        except FileNotFoundError:
            return None
        except (OSError, FileError) as error:
            raise AnchorMalformed(f"the configuration anchor cannot be read: {error}") from error
        return _read(content)

    async def get(self) -> globalconf.Anchor:
        """The anchor that is kept, with its document; raises AnchorMissing, AnchorMalformed."""
        found = await self.find()
        if found is None:
            raise AnchorMissing("the security server has no configuration anchor")
        return found

    async def preview(self, document: bytes, *, any_instance: bool = False) -> globalconf.Anchor:
        """What a document says, for people to compare.

        Raises AnchorMalformed, AnchorOfOtherInstance and AnchorMissing.
        """
        anchor = _read(document)
        if not any_instance:
            await self._check_instance(anchor)
        return anchor

    async def import_first(self, document: bytes) -> globalconf.Anchor:
        """Keep the first anchor.

        Raises AnchorExists, AnchorMalformed and what verifying and keeping it does.
        """
        async with self._changing:
            if await self.is_imported():
                raise AnchorExists("the security server has a configuration anchor")
            return await self._keep(_read(document))

    async def replace(self, document: bytes) -> globalconf.Anchor:
        """Keep another anchor of the same instance.

        Raises as `preview`, and what verifying and keeping it does.
        """
        async with self._changing:
            return await self._keep(await self.preview(document))

    async def _check_instance(self, anchor: globalconf.Anchor) -> None:
        own = await self._around.own_instance()
        if own is None:
            own = (await self.get()).instance
        if anchor.instance != own:
            raise AnchorOfOtherInstance(
                f"the anchor is of instance {anchor.instance!r}, the security server of {own!r}"
            )

    async def _keep(self, anchor: globalconf.Anchor) -> globalconf.Anchor:
        """Verify and keep an anchor, and download by it.

        Raises AnchorUnreachable, AnchorOutdated, AnchorSignatureInvalid, AnchorWithoutPrivate,
        AnchorNotVerified, AnchorNotKept and ConfigurationNotDownloaded.
        """
        await self._verify(anchor)
        try:
            await asyncio.to_thread(write_private, self._path, anchor.document or b"")
        except OSError as error:
            raise AnchorNotKept(f"the anchor could not be kept: {error}") from error
        try:
            await self._around.refresh()
        except GlobalConfError as error:
            raise ConfigurationNotDownloaded(error.message) from error
        return anchor

    async def _verify(self, anchor: globalconf.Anchor) -> None:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self._around.downloads.verify(anchor)
        except TimeoutError:
            raise AnchorUnreachable(
                f"no source gave its configuration within {_PATIENCE_SECONDS:g} seconds"
            ) from None
        except ProtocolError as error:
            refusal = next(refusal for kind, refusal in _REFUSALS if isinstance(error, kind))
            raise refusal(error.message) from error


def _read(document: bytes) -> globalconf.Anchor:
    try:
        return globalconf.read_anchor(document)
    except MalformedAnchor as error:
        raise AnchorMalformed(error.message) from None
