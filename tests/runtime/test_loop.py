import asyncio
import logging

import pytest

from runtime.http_ends import LOCAL, echo, pki, serving
from sild.runtime.loop import run
from sild.runtime.tls import TlsPolicy, server_context
from sild.runtime.transport import FAST


def test_a_process_runs_its_main_on_uvloop_and_gets_its_result():
    async def main():
        return type(asyncio.get_running_loop()).__module__

    assert run(main()) == "uvloop"


def test_an_error_of_main_comes_out():
    async def main():
        raise LookupError

    with pytest.raises(LookupError):
        run(main())


def test_a_peer_that_goes_away_within_its_handshake_is_no_error(caplog):
    context = server_context(TlsPolicy(), pki().server.identity, None)

    async def meet():
        async with serving(echo, engine=FAST, tls=context) as server:
            for sent in (b"", b"\x16\x03\x01"):
                _, writer = await asyncio.open_connection(LOCAL, server.port)
                writer.write(sent)
                await asyncio.sleep(0.02)
                writer.close()
            await asyncio.sleep(0.05)

    run(meet())
    assert [each for each in caplog.records if each.levelno > logging.DEBUG] == []


def test_what_nobody_caught_is_logged(caplog):
    async def fail():
        asyncio.get_running_loop().call_soon(int, "no number")
        await asyncio.sleep(0.01)

    run(fail())
    assert "no number" in caplog.text
