"""The guide to a Central Server: its commands make an instance."""

import asyncio
import os
import re
import shutil
import sys
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from central.nodes import Client, node_at, until_true
from management_builder import BOUNDARY, MEMBER, SERVER, TestSender
from pki_builder import TestCa, TestTsa
from sild.protocol.management.package import Proofs, package_type, write_package
from sild.runtime.clock import SystemClock
from sild.runtime.fetch import Fetcher
from sild.runtime.files import make_private_directory

GUIDE = (Path(__file__).parents[2] / "docs/how-to/central-server.md").read_text()
ADDRESS = "127.0.79.1"
PROVIDER = MEMBER.subsystem("management")
HOME, NAME = "/var/lib/sild-central", "cs.example.org"


class Reader:
    """Who follows the guide, on another address, with ports that are free."""

    def __init__(self, directory):
        self.directory = directory
        self.node = node_at(directory, ADDRESS)
        make_private_directory(self.node.layout.home)

    def blocks(self, kind):
        return re.findall(rf"^```{kind}\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)

    def here(self, text):
        ports = self.node.plan.ports
        text = text.replace(HOME, str(self.node.layout.home))
        return text.replace(f"{NAME}:4000", f"{NAME}:{ports.api}").replace(NAME, ADDRESS)

    async def run(self, *blocks):
        """Run commands in one shell; give what they print."""
        script = "set -euo pipefail\n" + self.here("\n".join(blocks))
        paths = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        process = await asyncio.create_subprocess_exec(
            *("bash", "-c", script),
            cwd=self.directory,
            env=os.environ | {"PATH": paths},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        told, _ = await process.communicate()
        assert process.returncode == 0, told.decode()
        return told.decode()


@asynccontextmanager
async def started(node):
    """The server, which has one account, and that is the guide's."""
    await node.start()
    try:
        async with httpx.AsyncClient(verify=False, trust_env=False, timeout=60) as http:

            async def answers():
                try:
                    return (await http.get(f"{node.api_url}/api/v1/openapi.yaml")).is_success
                except httpx.TransportError:
                    return False

            await until_true(answers, "the API answers")
        yield node
    finally:
        await node.stop()


@pytest.fixture
def reader(tmp_path):
    for program in ("bash", "curl", "gpg"):
        if shutil.which(program) is None:
            pytest.skip(f"there is no {program}")
    return Reader(tmp_path)


async def register(node, ca, ages):
    """A security server of another make registers."""
    now = SystemClock().now()
    signers = {MEMBER: ca.issue_sign(MEMBER, **ages)}
    sender = TestSender(ca, ca.issue_auth("SS1", **ages), signers)
    soap = sender.soap(sender.registration())
    moment = now.replace(microsecond=0) - timedelta(seconds=1)
    member = sender.member_proof(soap, MEMBER, this_update=moment)
    body = write_package(soap, Proofs(member, sender.possession(soap)), BOUNDARY)
    url = f"https://{ADDRESS}:{node.plan.ports.registration}/managementservice/"
    async with httpx.AsyncClient(verify=False, trust_env=False, timeout=60) as http:
        headers = {"content-type": package_type(BOUNDARY)}
        answer = await http.post(url, content=body, headers=headers)
    assert answer.status_code == 200, answer.text


@pytest.mark.feature("CI-01")
async def test_a_stranger_makes_an_instance(reader):
    now = SystemClock().now()
    ages = {"not_before": now - timedelta(days=1), "not_after": now + timedelta(days=90)}
    ca = TestCa.create("Guide CA", **ages)
    tsa = TestTsa.create(ca=ca, **ages)
    for name, certificate in (("ca", ca.certificate), ("tsa", tsa.signer.certificate)):
        path = reader.directory / f"{name}.pem"
        path.write_bytes(certificate.x509.public_bytes(Encoding.PEM))
    account, *commands = reader.blocks("sh")
    at = next(i for i, block in enumerate(commands) if "management-requests" in block)
    assert "admin was added" in await reader.run(account)
    async with started(reader.node) as node:
        told = await reader.run(*commands[:at])
        assert '"stamp":' in told
        await register(node, ca, ages)
        told = await reader.run(commands[0], *commands[at:])
        assert '"security_server_id":"DEV:GOV:M1:SS1"' in told
        assert "conf_backup_" in told
        async with Fetcher() as fetcher:
            anchor = (reader.directory / "anchor.xml").read_bytes()
            client = Client(reader.directory / "client", anchor, fetcher)

            async def is_published():
                await client.refresh()
                return [server.clients for server in client.shared().servers] == [(PROVIDER,)]

            await until_true(is_published, "a configuration with the server and its client")
        assert client.members() == {"M1"}
        assert [server.id for server in client.shared().servers] == [SERVER]
