"""Where certificates come from: a folder that people look into, or a command."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sild.apiclient.apply_errors import ApplyError
from sild.apiclient.apply_secrets import read_file, run_command
from sild.apiclient.apply_values import CertificateOrder
from sild.runtime.files import write_private

_LARGEST_CERTIFICATE = 1024**2
_ENDINGS = (".pem", ".crt", ".cer", ".der")
_READABLE = 0o644


@dataclass(frozen=True, slots=True)
class CertificateFolder:
    """A folder: requests are written to it, certificates of the same name are found in it."""

    folder: Path

    async def certify(self, order: CertificateOrder) -> bytes | None:
        """Write the request, once, and look for the certificate."""
        request = self.folder / f"{order.name}.csr.pem"
        await asyncio.to_thread(self._write, request, order.csr)
        for ending in _ENDINGS:
            path = self.folder / f"{order.name}{ending}"
            if await asyncio.to_thread(path.is_file):
                return await read_file(path, _LARGEST_CERTIFICATE)
        return None

    def wanted(self, order: CertificateOrder) -> str:
        """Say which request waits for which file."""
        path = self.folder / order.name
        return f"the certificate {path}.pem for the request {path}.csr.pem"

    def _write(self, path: Path, content: bytes) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # Servers sign a request anew each time: the first one will do.
            if not path.is_file():
                write_private(path, content, mode=_READABLE)
        except OSError as error:
            raise ApplyError(f"a request cannot be written: {error}") from error


@dataclass(frozen=True, slots=True)
class CertificateCommand:
    """A command that reads a PEM request, and prints the certificate, or nothing yet.

    The request's usage, member and name are its last arguments.
    """

    command: Sequence[str]
    folder: Path

    async def certify(self, order: CertificateOrder) -> bytes | None:
        """Run it."""
        command = (*self.command, order.usage, order.member, order.name)
        return await run_command(command, self.folder, order.csr) or None

    def wanted(self, order: CertificateOrder) -> str:
        """Say what has printed nothing."""
        return f"{self.command[0]} to print the certificate {order.name}"
