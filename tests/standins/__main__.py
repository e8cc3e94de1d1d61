"""Serves the stand-ins until it is told to stop: python -m standins FOLDER CA-HOST IS-HOST.

The CA answers on port 8888, its time-stamper on 8899, the services on 8080; FOLDER/ca gets the
certificates that a Central Server is to trust.
"""

import asyncio
import signal
import sys
from pathlib import Path

from standins.authority import TestAuthority
from standins.services import Services


async def main(folder, ca_host, is_host):
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    async with (
        await TestAuthority().serve(ca_host, 8888, 8899) as authority,
        await Services().serve(is_host, 8080),
    ):
        authority.write_certificates(Path(folder) / "ca")
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await stopping.wait()


asyncio.run(main(*sys.argv[1:]))
