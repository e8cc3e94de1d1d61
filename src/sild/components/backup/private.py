"""Files that hold keys or passwords in clear: in backups, they are encrypted for the server itself.

A backup of this server restores them here, or where its GnuPG home was taken to.
"""

import asyncio
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

from sild.components.backup.saved import SavedServer
from sild.runtime.gnupg import GnupgError
from sild.runtime.gnupg_home import GnupgHome

_LOG = logging.getLogger(__name__)
_PGP_PACKET = 0x80
_SEALED, _OPENED = ".sealed", ".opened"


class PrivateFiles:
    """The private files of a server, as they are gathered and as they are restored."""

    def __init__(self, server: SavedServer, gnupg: GnupgHome, limit: int) -> None:
        self._server = server
        self._gnupg = gnupg
        self._limit = limit

    async def hide(self, files: Path, keys: Sequence[str]) -> None:
        """Encrypt them for keys, where they were gathered; without any, leave them out.

        Raises GnupgError and OSError.
        """
        for name, is_private in sorted(self._server.private.items()):
            clear, sealed = files / name, files / f"{name}{_SEALED}"
            if not clear.exists() or not await asyncio.to_thread(is_private, clear):
                continue
            if keys:
                await self._gnupg.seal(clear, sealed, keys[0], keys)
            await asyncio.to_thread(clear.unlink)
            if keys:
                await asyncio.to_thread(sealed.rename, clear)

    async def show(self, files: Path) -> None:
        """Decrypt them, where they were unpacked; what is for others stays as it is here.

        Raises OSError.
        """
        for name in sorted(self._server.private):
            sealed, clear = files / name, files / f"{name}{_OPENED}"
            if not await asyncio.to_thread(_is_sealed, sealed):
                continue
            try:
                await self._gnupg.open(sealed, clear, self._limit, signed=False)
            except GnupgError as error:
                _LOG.warning("%s is not restored, and stays as it is: %s", name, error)
                await asyncio.to_thread(_keep_as_is, self._server.files[name], sealed, clear)
            else:
                await asyncio.to_thread(clear.replace, sealed)


def _is_sealed(path: Path) -> bool:
    """Whether GnuPG wrote a file, which is no text; those of older backups are."""
    try:
        with path.open("rb") as file:
            return file.read(1) >= bytes([_PGP_PACKET])
    except FileNotFoundError:
        return False


def _keep_as_is(present: Path, staged: Path, opened: Path) -> None:
    """Have what is there restored as it is."""
    opened.unlink(missing_ok=True)
    staged.unlink()
    if present.is_file():
        shutil.copyfile(present, staged)
