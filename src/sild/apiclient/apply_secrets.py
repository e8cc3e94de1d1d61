"""Files and secrets that a declaration names."""

import asyncio
import os
import ssl
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Sequence
from pathlib import Path

from sild.apiclient.apply_errors import ApplyError
from sild.apiclient.declared import Secret
from sild.runtime.files import FileNotPrivate, FileTooLarge, read_bounded, read_private

_LARGEST_SECRET = 4096
_LARGEST_OUTPUT = 1024**2
_COMMAND_SECONDS = 120.0


async def read_secret(secret: Secret, folder: Path) -> str:
    """Read a secret; raises ApplyError, in which the secret never is."""
    if secret.file is not None:
        text = await _read_secret_file(folder / secret.file)
    elif secret.environment is not None:
        text = os.environ.get(secret.environment, "")
    else:
        text = await _printed(secret.command or (), folder)
    text = text.rstrip("\r\n")
    if not text:
        where = secret.file or secret.environment or (secret.command or ("",))[0]
        raise ApplyError(f"there is no secret in {where}")
    return text


async def _read_secret_file(path: Path) -> str:
    try:
        return (await asyncio.to_thread(read_private, path, _LARGEST_SECRET)).decode()
    except UnicodeDecodeError:
        raise ApplyError(f"{path} is no text") from None
    except (OSError, FileTooLarge, FileNotPrivate) as error:
        raise ApplyError(f"a secret cannot be read: {error}") from error


async def _printed(command: Sequence[str], folder: Path) -> str:
    try:
        return (await run_command(command, folder)).decode()
    except UnicodeDecodeError:
        raise ApplyError(f"{command[0]} printed no text") from None


async def read_file(path: Path, limit: int) -> bytes:
    """Read a file of at most so many bytes; raises ApplyError."""
    try:
        return await asyncio.to_thread(read_bounded, path, limit)
    except (OSError, FileTooLarge) as error:
        raise ApplyError(f"a file cannot be read: {error}") from error


async def run_command(command: Sequence[str], folder: Path, given: bytes = b"") -> bytes:
    """Run a command in a folder, something on its standard input; give what it printed.

    Raises ApplyError if it fails or takes too long. Its complaints go where ours do.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *command, cwd=folder, stdin=PIPE if given else DEVNULL, stdout=PIPE
        )
    except OSError as error:
        raise ApplyError(f"{command[0]} cannot be run: {error}") from error
    try:
        async with asyncio.timeout(_COMMAND_SECONDS):
            printed, _ = await process.communicate(given or None)
    except TimeoutError:
        raise ApplyError(f"{command[0]} did not end in {_COMMAND_SECONDS:g} seconds") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise ApplyError(f"{command[0]} ended with exit code {process.returncode}")
    if len(printed) > _LARGEST_OUTPUT:
        raise ApplyError(f"{command[0]} printed more than {_LARGEST_OUTPUT} bytes")
    return printed


def to_der(certificate: bytes, name: str) -> bytes:
    """A certificate of either form as DER; raises ApplyError for what is PEM and unreadable."""
    if b"-----BEGIN CERTIFICATE-----" not in certificate:
        return certificate
    try:
        return ssl.PEM_cert_to_DER_cert(certificate.decode("ascii").strip())
    except (ValueError, UnicodeDecodeError):
        raise ApplyError(f"{name} holds no certificate that can be read") from None
