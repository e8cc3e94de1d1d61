"""A program of the administrator's that judges WSDLs."""

import asyncio
import contextlib
import os
from dataclasses import dataclass

from sild.components.serverconf.service_errors import InvalidWsdl, ValidatorNotRun

# What programs want to know of where they run; nothing else of this process's is theirs.
_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "JAVA_HOME", "TZ", "TMPDIR")
_MOST_BYTES = 1024 * 1024
_MOST_LINES = 200
_LONGEST_LINE = 500


@dataclass(frozen=True, slots=True)
class WsdlValidator:
    """The program, by its path; without one every WSDL will do."""

    command: str = ""
    timeout: float = 60.0

    async def validate(self, url: str) -> tuple[str, ...]:
        """What the program has to say of the WSDL there; raises InvalidWsdl, ValidatorNotRun."""
        if not self.command:
            return ()
        try:
            process = await asyncio.create_subprocess_exec(
                self.command,
                url,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
            )
        except OSError as error:
            message = f"the WSDL validator {self.command!r} cannot be run: {error.strerror}"
            raise ValidatorNotRun(message) from error
        lines = await self._lines(process)
        if process.returncode != 0:
            message = f"the WSDL validator ended with {process.returncode}"
            raise InvalidWsdl(message, *(lines or (message,)))
        return lines

    async def _lines(self, process: asyncio.subprocess.Process) -> tuple[str, ...]:
        try:
            async with asyncio.timeout(self.timeout):
                output = await _read(process)
                await process.wait()
        except TimeoutError:
            message = f"the WSDL validator did not end within {self.timeout:g} s"
            raise InvalidWsdl(message, message) from None
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        text = output.decode("utf-8", errors="replace")
        lines = (line.strip()[:_LONGEST_LINE] for line in text.splitlines())
        return tuple(line for line in lines if line)[:_MOST_LINES]


async def _read(process: asyncio.subprocess.Process) -> bytes:
    """What the process says, the end of a long speech left out."""
    assert process.stdout is not None  # noqa: S101 - it was asked for
    output = bytearray()
    while chunk := await process.stdout.read(64 * 1024):
        output += chunk[: _MOST_BYTES - len(output)]
    return bytes(output)
