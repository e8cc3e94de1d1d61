"""The guides to a security server: their commands bring one from nothing to serving."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_csr

from administration.test_from_nothing import Founding
from administration.world import PASSWORD, THIRD, USER, Administered, Places, World
from components.takeover.builders import PIN
from servers.old_server import OldGnupg, OldServer
from sild.apiclient.declared import (
    DeclaredClient,
    DeclaredEndpoint,
    DeclaredGroup,
    DeclaredKey,
    DeclaredOperation,
    DeclaredServer,
    DeclaredToken,
    OpenApiService,
    RestService,
    Secret,
    WsdlService,
)
from sild.apiclient.declared_reading import read_declared
from sild.apiclient.errors import ApiError
from sild.apiclient.values import Login
from sild.runtime.files import make_private_directory, write_private
from sild.runtime.settings import read_settings
from sild.runtime.yaml import read_yaml
from sild.servers.settings import SecurityServerSettings

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(1200)]

HOW_TO = Path(__file__).parents[2] / "docs/how-to"
HOME = "/var/lib/sild"
SHOP = "DEV:COM:4321:shop"
WAITING, DIFFERENT = 5, 6


def blocks(page, kind):
    """The blocks of a page that are marked as of a kind."""
    text = (HOW_TO / page).read_text()
    return re.findall(rf"^ *```{kind}\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)


class Guided(Administered):
    """A server whose only account is the one that the guide makes."""

    def settings(self):
        sections = super().settings()
        del sections["server"]["first-user-file"]
        return sections

    def connect(self, _):
        return super().connect(Login("admin", "correct horse battery"))


class Reader:
    """Who follows a guide, at another address and with other ports."""

    def __init__(self, world, server, directory):
        self.world, self.server, self.directory = world, server, directory
        make_private_directory(directory)
        make_private_directory(directory / "who-reads")
        self.environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(directory / "who-reads"),
        }
        self.environment.pop("XDG_CONFIG_HOME", None)

    def here(self, text):
        """The text with what is otherwise here."""
        places = self.server.places
        others = self.world.others if self.world else ()
        for there, here in (
            (f"{HOME}/", f"{self.server.home}/"),
            (HOME, str(self.server.home)),
            ("localhost:4000", f"{self.server.address}:{places.api}"),
            ("ss1.example.org:4000", f"{self.server.address}:{places.api}"),
            ("ss1.example.org:8443", f"{self.server.address}:{places.https}"),
            ("ss1.example.org", self.server.address),
            *others,
        ):
            text = text.replace(there, here)
        return text

    async def run(self, *commands, code=0):
        """Run commands in one shell; give what they print."""
        script = "set -euo pipefail\n" + self.here("\n".join(commands))
        process = await asyncio.create_subprocess_exec(
            *("bash", "-c", script),
            cwd=self.directory,
            env=self.environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        told, _ = await process.communicate()
        assert process.returncode == code, told.decode()
        return told.decode()

    def certify_system(self):
        """A key and certificate of an information system."""
        options = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "9")
        files = ("-keyout", "shop-system.key", "-out", "shop-system.pem")
        subprocess.run(
            ("openssl", "req", "-x509", *options, "-subj", "/CN=shop", *files),
            cwd=self.directory,
            check=True,
            capture_output=True,
        )


@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
async def world(tmp_path_factory):
    """An instance with one server, which carries the management services."""
    for program in ("bash", "curl", "openssl", "gpg"):
        if shutil.which(program) is None:
            pytest.skip(f"there is no {program}")
    async with await World(tmp_path_factory.mktemp("guide")).start() as world:
        founding = Founding(world)
        await founding.found_centre()
        ask = world.central.ask
        portal = {"member_class": "COM", "member_code": "1234", "subsystem_code": "portal"}
        await ask("POST", "/subsystems", {"subsystem_id": portal, "subsystem_name": "Portal"})
        await founding.found_server(world.ss0, "1234", "SS0")
        await founding.carry_management(world.ss0)
        (stamping,) = await world.ss0.ask("GET", "/timestamping-services")
        services = world.services
        world.others = (
            ("http://is.example.org/stock", services.rest_url),
            ("http://is.example.org/openapi.yaml", services.openapi_url),
            ("http://is.example.org/service?wsdl", services.wsdl_url),
            ("http://is.example.org/orders", services.url),
            ("Test CA", founding.ca),
            ("Test TSA", stamping["name"]),
        )
        path = "/configuration-sources/INTERNAL/anchor/download"
        world.anchor = (await world.central.client.call("GET", path)).content
        async with approving(world):
            yield world


@asynccontextmanager
async def approving(world):
    """Whatever waits at the Central Server is approved."""
    ask = world.central.ask

    async def approve():
        while True:
            waiting = {"status": "WAITING", "limit": 100}
            for request in (await ask("GET", "/management-requests", query=waiting))["items"]:
                with suppress(ApiError):
                    await ask("POST", f"/management-requests/{request['id']}/approval")
            await asyncio.sleep(0.2)

    running = asyncio.get_running_loop().create_task(approve())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.wait([running])


def registered(tokens):
    """Whether every certificate is."""
    statuses = [each["status"] for key in tokens[0]["keys"] for each in key["certificates"]]
    return statuses == ["REGISTERED"] * 2


@pytest.mark.feature("CLI-01")
async def test_a_stranger_brings_a_server_from_nothing_to_serving(world):
    server = Guided(world.folder / "guided", THIRD, world.places)
    make_private_directory(server.home)
    reader = Reader(world, server, world.folder / "stranger")
    (reader.directory / "configuration_anchor.xml").write_bytes(world.anchor)
    reader.certify_system()
    account, *commands = blocks("security-server.md", "sh")
    assert "admin was added" in await reader.run(account)
    imports, activates, offers = (
        next(place for place, block in enumerate(commands) if words in block)
        for words in ("certificates import", "certificates activate", "client-certificates add")
    )
    await server.start()
    try:
        assert "DEV:COM:4321:ss1" in await reader.run(*commands[:imports])
        for use in ("auth", "sign"):
            request = load_der_x509_csr((reader.directory / f"{use}.csr").read_bytes())
            certificate = await world.sign(request.public_bytes(Encoding.PEM), use)
            (reader.directory / f"{use}.pem").write_bytes(certificate)
        told = await reader.run(*commands[imports:activates])
        assert "expires_at" in told or "expires at" in told
        await server.until("/tokens", registered)
        names = next(block for block in commands if "AUTH=" in block).splitlines()[0]
        told = await reader.run(names, *commands[activates:offers])
        assert told.count("OCSP_RESPONSE_GOOD  yes") == 2
        await server.until(f"/clients/{SHOP}", lambda told: told["status"] == "REGISTERED")
        told = await reader.run(*commands[offers:])
        assert "Hello, world from GET service!" in told
        assert "conf_backup_" in told
    finally:
        await server.stop()


@pytest.mark.feature("CLI-01")
async def test_a_stranger_declares_a_server(world):
    server = world.ss1
    reader = Reader(world, server, world.folder / "declarer")
    folder = reader.directory
    (folder / "configuration_anchor.xml").write_bytes(world.anchor)
    reader.certify_system()
    write_private(folder / "software-token.pin", b"Long-PIN-1234\n")
    declared = reader.here(blocks("apply.md", "yaml")[0]).replace("code: ss1", "code: ss2")
    (folder / "server.yaml").write_text(declared)
    (folder / "ask-the-ca").write_text(
        '[ "$1" = AUTHENTICATION ] && use=auth || use=sign\n'
        f"exec curl -s --fail -F type=$use -F certreq=@- {world.authority.sign_at}\n"
    )
    reader.environment |= {
        "SILD_CTL_SERVER": server.url,
        "SILD_CTL_CA_FILE": str(server.layout.api_tls),
        "SILD_CTL_USER": USER,
        "SILD_CTL_PASSWORD": PASSWORD,
    }
    rehearsing, beginning, asking, again = blocks("apply.md", "sh")
    told = await reader.run(rehearsing, code=DIFFERENT)
    assert "26 differences; nothing was changed, as this is a dry run" in told
    told = await reader.run(beginning, code=WAITING)
    assert "still waiting for others" in told
    assert len([*(folder / "certificates").glob("ss2-*-COM-4321-*.csr.pem")]) == 2
    told = await reader.run(asking.replace("./ask-the-ca", "'sh ask-the-ca'"))
    assert "5 changes" in told
    told = await reader.run(again)
    assert told == "DEV:COM:4321:ss2 is what server.yaml declares; nothing was changed\n"


def back_up_old_server(folder):
    """A backup that the old server has signed, and its GnuPG home; gives the new server's home."""
    old, gnupg = OldServer(folder), OldGnupg(folder / "gpghome")
    try:
        signer = gnupg.make_key("DEV/COM/1234/SS0")
        gnupg.seal(old.tar(), signer).rename(folder / "conf_backup.gpg")
    finally:
        gnupg.close()
    return old.home


async def test_a_stranger_switches_over(tmp_path):
    home = await asyncio.to_thread(back_up_old_server, tmp_path)
    server = Guided(home, THIRD, Places(*[0] * 8))
    rehearsing, importing, account = blocks("switch-over.md", "sh")
    reader = Reader(None, server, tmp_path)
    (shown,) = (each for each in blocks("switch-over.md", "text") if "comes over:" in each)
    told = await reader.run(rehearsing)
    assert told == shown
    assert not home.exists()
    await reader.run(importing.replace("Secret1234", PIN))
    assert "admin was added" in await reader.run(account)


@pytest.mark.parametrize("page", ["security-server.md", "diagnostics.md", "switch-over.md"])
def test_settings_that_the_guides_name_are_settings(tmp_path, page):
    for number, block in enumerate(blocks(page, "toml")):
        path = tmp_path / f"{number}.toml"
        write_private(path, block.encode())
        read_settings(SecurityServerSettings, path, {})


def test_every_example_of_a_declaration_is_one():
    for block in blocks("apply.md", "yaml"):
        read_declared(read_yaml(block))


def test_every_key_of_a_declaration_has_an_example():
    shown = "\n".join(blocks("apply.md", "yaml"))
    kinds = [DeclaredServer, Secret, DeclaredToken, DeclaredKey, DeclaredClient, DeclaredGroup]
    kinds += [DeclaredEndpoint, DeclaredOperation, RestService, OpenApiService, WsdlService]
    for kind in kinds:
        for field in msgspec.structs.fields(kind):
            assert re.search(rf"(^|[ {{,-]){field.encode_name}:", shown, re.MULTILINE), field
