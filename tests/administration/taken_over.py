"""A security server of the reference that was taken over by `sild import`, and runs."""

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass

from administration.world import PASSWORD, USER, Administered
from ecosystem.processes import children_of, is_running, until
from sild.components.signer.rpc import connect_control, connect_worker
from sild.devnet.process import start_server
from sild.runtime.files import write_private
from sild.runtime.rpc import close_rpc


@dataclass
class TakenOver(Administered):
    """As `Administered`, but for settings, which came with the server."""

    def write_settings(self):
        """Add what no other server has: its API's address, and who may ask there."""
        if (self.home / "first-user").exists():
            return
        write_private(self.home / "first-user", f"{USER}:{PASSWORD}".encode())
        added = (
            f'\n[server]\nfirst-user-file = "{self.home / "first-user"}"\nrefresh-interval = 0.2\n'
            f'[listeners]\nlisten-address = "{self.address}"\napi-port = {self.places.api}\n'
        )
        settings = self.layout.settings_file
        write_private(settings, settings.read_bytes() + added.encode())

    def parameters(self):
        """The parameters of the old server that give each process its address here."""
        places = self.places
        return (
            f"[proxy]\nconnector-host={self.address}\nserver-listen-address={self.address}\n"
            f"client-http-port={places.http}\nclient-https-port={places.https}\n"
            f"server-port={places.server}\nocsp-responder-port={places.ocsp}\n"
        ).encode()

    @property
    def processes(self):
        """The processes beside the supervisor, by name."""
        return children_of(self.process.pid)

    async def until_anew(self, before):
        """Come back when all processes are others, and the API answers them."""
        await until(lambda: not any(map(is_running, before.values())), 120, "the old are gone")
        await self.client.close()
        self.client = None
        await self.until_up()

    async def start_again(self):
        """Start it once more, as it is."""
        self.process = await start_server("security-server", self.home)
        await self.until_up()

    async def kill(self):
        """End all of it at once."""
        if self.client is not None:
            await self.client.close()
            self.client = None
        for pid in (self.process.pid, *self.processes.values()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await self.process.wait()

    async def sign(self, key_id, digest, algorithm):
        """A signature of a key, by the signer that runs."""
        worker = connect_worker(self.layout.signer_socket)
        try:
            return await worker.sign(key_id, digest, algorithm)
        finally:
            close_rpc(worker)

    async def tokens(self):
        """The tokens of the signer that runs."""
        control = connect_control(self.layout.signer_admin_socket)
        try:
            return await control.tokens()
        finally:
            close_rpc(control)


def run(*command, given=b""):
    """Run a program to its end."""
    return subprocess.run(command, input=given, capture_output=True, check=False, timeout=180)


async def command(*arguments, given="", code=0):
    """What `sild` prints; the PIN and the like go to its standard input."""
    words = (sys.executable, "-m", "sild", *map(str, arguments))
    done = await asyncio.to_thread(run, *words, given=given.encode())
    assert done.returncode == code, done.stderr.decode()
    return (done.stdout + done.stderr).decode()
