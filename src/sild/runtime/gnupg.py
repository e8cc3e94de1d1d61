"""The system's GnuPG: encrypt and sign a stream of bytes into a file."""

import asyncio
import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

_STDERR_KEPT = 2000
_SECONDS_TO_END = 300


class GnupgError(Exception):
    """GnuPG is not there, or has refused; its own words are in the text."""


@dataclass(frozen=True, slots=True)
class Gnupg:
    """A GnuPG home directory, with the key that signs and those of recipients."""

    home: Path
    program: str = "gpg"

    def command(self, output: Path, recipients: Sequence[str]) -> tuple[str, ...]:
        """What is run: sign, encrypt to the recipients or else to oneself, compress nothing."""
        encrypt_to = (
            tuple(word for key in recipients for word in ("--recipient", key))
            if recipients
            else ("--default-recipient-self",)
        )
        return (
            self.program,
            "--homedir",
            str(self.home),
            "--batch",
            "--no-tty",
            "--yes",
            "--trust-model",
            "always",
            "--cipher-algo",
            "AES256",
            "--compress-algo",
            "none",
            "--sign",
            "--encrypt",
            *encrypt_to,
            "--output",
            str(output),
        )


class EncryptedFile:
    """A file that is being encrypted as it is written; `finish` or `abort` it."""

    def __init__(
        self, process: asyncio.subprocess.Process, path: Path, complaints: IO[bytes]
    ) -> None:
        self._process = process
        self._path = path
        self._complaints = complaints

    @classmethod
    async def open(cls, gnupg: Gnupg, path: Path, recipients: Sequence[str]) -> "EncryptedFile":
        """Start to write; raises GnupgError where there is no GnuPG."""
        complaints = await asyncio.to_thread(TemporaryFile)
        try:
            process = await asyncio.create_subprocess_exec(
                *gnupg.command(path, recipients),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=complaints,
            )
        except OSError as error:
            complaints.close()
            raise GnupgError(f"{gnupg.program} cannot be run: {error.strerror}") from error
        return cls(process, path, complaints)

    async def write(self, data: bytes) -> None:
        """Encrypt more; raises GnupgError."""
        assert self._process.stdin is not None  # noqa: S101 - it was asked for
        self._process.stdin.write(data)
        try:
            await self._process.stdin.drain()
        except (ConnectionError, BrokenPipeError):
            await self._end()

    async def finish(self) -> None:
        """Return when the file is whole and on the disk; raises GnupgError."""
        await self._end()
        await asyncio.to_thread(_sync, self._path)

    async def _end(self) -> None:
        assert self._process.stdin is not None  # noqa: S101 - it was asked for
        with contextlib.suppress(ConnectionError, BrokenPipeError):
            self._process.stdin.close()
            await self._process.stdin.wait_closed()
        try:
            async with asyncio.timeout(_SECONDS_TO_END):
                code = await self._process.wait()
        except TimeoutError:
            await self.abort()
            raise GnupgError(f"GnuPG did not end within {_SECONDS_TO_END} s") from None
        complaints = await asyncio.to_thread(self._told)
        if code != 0:
            raise GnupgError(f"GnuPG ended with code {code}: {complaints.strip()}")

    async def abort(self) -> None:
        """Stop; what was written of the file is of no use."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        self._complaints.close()

    def _told(self) -> str:
        with self._complaints as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _STDERR_KEPT))
            return file.read().decode("utf-8", "replace")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
