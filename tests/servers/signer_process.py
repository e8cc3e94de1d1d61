"""A signer as the process that it is, over its sockets."""

import asyncio
import contextlib
import os
import signal
import sys

from sild.components.signer.rpc import connect_control, connect_worker
from sild.runtime.files import make_private_directory, write_private
from sild.runtime.kept_secrets import KeptSecrets
from sild.runtime.rpc import RpcError, close_rpc
from sild.servers.layout import Layout

_MAIN = """
import asyncio, pathlib, sys
from sild.runtime.kept_secrets import KeptSecrets
from sild.servers.layout import Layout
from sild.servers.settings import read_server_settings
from sild.servers.signer import run_signer
layout = Layout(pathlib.Path(sys.argv[1]))
asyncio.run(run_signer(layout, read_server_settings(layout), KeptSecrets(int(sys.argv[2]))))
"""


class SignerProcess:
    """A signer that runs in a home directory; it can be killed and started again."""

    def __init__(self, home, hsm=None, **settings):
        self.layout = Layout(home)
        self.hsm = hsm
        make_private_directory(self.layout.run)
        lines = [f"{key} = {value}" for key, value in {"pin-rounds": 1000, **settings}.items()]
        write_private(self.layout.settings_file, "\n".join(["[signer]", *lines, ""]).encode())
        if hsm is not None:
            write_private(self.layout.devices_file, hsm.devices().encode())
        self.pins = KeptSecrets.open({})
        self.process = None

    async def __aenter__(self):
        await self.start()
        return self

    async def __aexit__(self, *_):
        await self.stop()
        self.pins.let_go()

    async def start(self):
        """Start it, and come back when it answers."""
        descriptor = self.pins._descriptor
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            _MAIN,
            str(self.layout.home),
            str(descriptor),
            pass_fds=[descriptor],
            env={**os.environ, **(self.hsm.environment if self.hsm else {})},
        )
        self.control = connect_control(self.layout.signer_admin_socket)
        self.worker = connect_worker(self.layout.signer_socket)
        for _ in range(6000):
            try:
                await self.control.tokens()
            except (RpcError, OSError):
                assert self.process.returncode is None, "the signer ended"
                await asyncio.sleep(0.02)
                continue
            return
        raise AssertionError("the signer does not answer")

    async def stop(self, how=signal.SIGTERM):
        """End it."""
        close_rpc(self.control)
        close_rpc(self.worker)
        if self.process.returncode is None:
            self.process.send_signal(how)
        await asyncio.wait_for(self.process.wait(), 120)

    async def restart(self, how=signal.SIGTERM):
        """End it, and start it again."""
        await self.stop(how)
        await self.start()

    async def token(self, name="0"):
        """A token by its id or by what its device calls it."""
        for token in await self.control.tokens():
            if name in {token.id, token.device_label}:
                return token
        raise AssertionError(f"there is no token {name}")

    async def until(self, question, seconds=120):
        """Come back when it is so of the tokens."""
        for _ in range(seconds * 20):
            # Those of devices come some time after a start.
            with contextlib.suppress(IndexError):
                if question(await self.control.tokens()):
                    return
            await asyncio.sleep(0.05)
        raise AssertionError(f"not within {seconds} s")
