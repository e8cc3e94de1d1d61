"""What TLS a listener speaks when it is asked as security servers and nginx ask."""

import asyncio
import contextlib
import ssl
from dataclasses import dataclass

from sild.devnet.errors import DevnetError

_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Negotiated:
    """The version and the suite of a connection, in OpenSSL's names."""

    version: str
    suite: str

    def __str__(self) -> str:
        return f"{self.version} {self.suite}"


async def negotiated(host: str, port: int) -> Negotiated:
    """Connect once and say what was agreed on; a client without a certificate sees that far."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        async with asyncio.timeout(_SECONDS):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
    except (OSError, TimeoutError) as error:
        raise DevnetError(f"no TLS connection to {host}:{port}: {error}") from error
    cipher = writer.get_extra_info("cipher")
    writer.close()
    with contextlib.suppress(OSError, ssl.SSLError):
        await writer.wait_closed()
    return Negotiated(cipher[1], cipher[0])
