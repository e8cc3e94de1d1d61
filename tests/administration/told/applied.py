"""A server that a file makes, by the command, with a password for its database and a PIN."""

import asyncio
import json
import sys
from contextlib import suppress
from dataclasses import dataclass, field

from administration.told.canaries import files_below
from sild.apiclient.errors import ApiError
from sild.runtime.files import make_private_directory, write_private

APPLIED_PIN, DATABASE_PASSWORD = "Canary-PIN-0008", "canary-password-nine"
CLIENT = "DEV:COM:4321:Applied"
# What an administrator put there for the command to read.
GIVEN = {"pin", "key"}
_ROLES = ("SYSTEM_ADMINISTRATOR", "SECURITY_OFFICER", "REGISTRATION_OFFICER")
_ASK_THE_CA = """
import sys
import httpx
files = {"certreq": ("request.pem", sys.stdin.buffer.read())}
use = "auth" if sys.argv[2] == "AUTHENTICATION" else "sign"
answer = httpx.post(sys.argv[1], data={"type": use}, files=files, trust_env=False)
sys.stdout.buffer.write(answer.raise_for_status().content)
"""


@dataclass
class Applied:
    """The command, as its administrator calls it; `process` is the one that runs, if any."""

    run: object
    server: object
    process: object = None
    printed: list = field(default_factory=list)

    @property
    def folder(self):
        return self.run.folder / "applied"

    def files(self):
        """What stands in the folder of the file, but for what was given."""
        return [each for each in files_below(self.folder) if each[0].name not in GIVEN]

    async def apply_thrice(self):
        """Fail for want of the right PIN, make the server so, and find nothing to be done."""
        await self._write()
        write_private(self.folder / "pin", b"weak")
        assert await self._apply() == 1
        write_private(self.folder / "pin", APPLIED_PIN.encode())
        approving = asyncio.create_task(self._approve())
        try:
            assert await self._apply() == 0, self.printed
        finally:
            approving.cancel()
        assert await self._apply() == 0
        assert "nothing was changed" in self.printed[-1]

    async def _write(self):
        make_private_directory(self.folder)
        roles = [f"XROAD_{role}" for role in (*_ROLES, "SERVICE_ADMINISTRATOR")]
        made = await self.server.ask("POST", "/api-keys", roles)
        key = self.run.secrets.add("the key of who applies", made["key"])
        write_private(self.folder / "key", key.encode())
        path = "/configuration-sources/INTERNAL/anchor/download"
        anchor = (await self.run.central.client.call("GET", path)).content
        (self.folder / "anchor.xml").write_bytes(anchor)
        (self.folder / "ask_the_ca.py").write_text(_ASK_THE_CA)
        declared = {
            "owner": "DEV:COM:4321",
            "code": "SS2",
            "address": self.server.address,
            "anchor": "anchor.xml",
            "pin": {"file": "pin"},
            "fields": {"C": "FI", "O": "Test member"},
            "timestamping": "all",
            "clients": [
                {
                    "id": CLIENT,
                    "connection-type": "HTTP",
                    "services": [
                        {"type": "REST", "code": "things", "url": self.run.services.rest_url}
                    ],
                }
            ],
        }
        # JSON is YAML.
        (self.folder / "server.yaml").write_text(json.dumps(declared))

    async def _apply(self):
        ask = f"{sys.executable} ask_the_ca.py {self.run.authority.sign_at}"
        words = ["-m", "sild", "apply", self.folder / "server.yaml", "--server", self.server.url]
        words += ["--insecure", "--api-key-file", self.folder / "key"]
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            *map(str, [*words, "--certificate-command", ask, "--timeout", 300]),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        self.printed.append((await self.process.communicate())[0].decode())
        return self.process.returncode

    async def _approve(self):
        while True:
            with suppress(ApiError, IndexError):
                await self.run.founding.approve()
                # Who carries the management services is to know what was approved.
                await self.run.founding.settle()
            await asyncio.sleep(0.2)
