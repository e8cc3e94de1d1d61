"""What is published, against OpenSSL and the published schemas, and against who follows it.

Keys rotate, directories expire, and old ones come back; a security server's own configuration
client and one in the test's hands see it all over sockets.
"""

import base64
import hashlib
import json
import re
import sqlite3
import subprocess
from contextlib import closing
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from lxml import etree

from central.nodes import Client, found, node_at, running, until_true
from ports import base_port
from sild.adminapi.centralserver.distribution import Distribution
from sild.devnet.ports import free_ports
from sild.devnet.running import Ports, RunningServer
from sild.devnet.serving import serve_app
from sild.devnet.topology import PlannedServer
from sild.protocol.errors import GlobalConfDownloadFailed, GlobalConfOutdated, GlobalConfRolledBack
from sild.protocol.globalconf.anchor import read_anchor, write_anchor
from sild.protocol.ids import ClientId, SecurityServerId
from sild.runtime.fetch import Fetcher
from sild.runtime.files import make_private_directory, write_private
from sild.runtime.rpc import RpcError

ADDRESS, SERVER_ADDRESS = "127.0.72.1", "127.0.72.2"
VALID = timedelta(seconds=600)
"""How long after it is made a directory expires: what expires later was made since."""
KEYS = "/configuration-sources/INTERNAL/signing-keys"
ANCHOR = "/configuration-sources/{}/anchor/download"
ALGORITHMS = {
    b"http://www.w3.org/2001/04/xmldsig-more#rsa-sha512": "RSA",
    b"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512": "EC",
}


@pytest.fixture(scope="module")
async def node(tmp_path_factory, anyio_backend):
    """A node whose internal source signs with RSA and whose external one with EC."""
    center = {"internal-key-algorithm": "RSA"}
    node = node_at(tmp_path_factory.mktemp("published"), ADDRESS, {"center": center})
    async with running(node):
        await found(node)
        yield node


@pytest.fixture
async def fetcher():
    async with Fetcher() as fetcher:
        yield fetcher


class Directory:
    """A signed directory, taken apart here and not by the code that is tested."""

    def __init__(self, content):
        envelope, _, rest = content.partition(b"\r\n\r\n")
        boundary = b"--" + re.search(rb"boundary=(\S+)", envelope)[1]
        _, first, second, _ = rest.split(boundary)
        header, _, inside = first.partition(b"\r\n\r\n")
        self.signed = inside.removesuffix(b"\r\n")
        self.headers, _, signature = second.partition(b"\r\n\r\n")
        self.signature = base64.b64decode(signature)
        inner = b"--" + re.search(rb"boundary=(\S+)", header)[1]
        assert self.signed.endswith(inner + b"--\r\n")
        _, self.head, *files, _ = self.signed.split(inner)
        self.parts = dict(map(self._part, files))

    def header(self, name):
        return re.search(rb"(?im)^%b: *(\S+)" % name, self.headers)[1]

    def _part(self, part):
        headers, _, digest = part.partition(b"\r\n\r\n")
        named = dict(re.findall(rb"(?m)^([\w-]+): *([^\r]*)\r?$", headers))
        identifier = named[b"Content-identifier"].partition(b";")[0].decode()
        return identifier, (named[b"Content-location"].decode(), base64.b64decode(digest))

    @property
    def expires(self):
        text = re.search(rb"Expire-date: *(\S+)", self.head)[1].decode()
        return datetime.fromisoformat(text)

    @property
    def version(self):
        return int(re.search(rb"Version: *(\d+)", self.head)[1])

    def signer(self, certificates):
        """The certificate among some that is named."""
        wanted = base64.b64decode(self.header(b"Verification-certificate-hash").rstrip(b";"))
        return next((c for c in certificates if hashlib.sha512(c.der).digest() == wanted), None)


def openssl_verifies(directory, certificate, place):
    """Whether OpenSSL finds the signature good."""
    pem = certificate.public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for name, content in (
        ("key", pem),
        ("signature", directory.signature),
        ("signed", directory.signed),
    ):
        (place / name).write_bytes(content)
    command = ("openssl", "dgst", "-sha512", "-verify", place / "key")
    files = ("-signature", place / "signature", place / "signed")
    done = subprocess.run([*command, *files], capture_output=True, check=False)
    return done.returncode == 0 and done.stdout == b"Verified OK\n"


async def get(node, path):
    """What the distribution answers."""
    async with node.http() as http:
        host = node.configuration_url.rpartition("/")[0]
        return await http.get(f"{host}/{path.lstrip('/')}")


async def directory_of(node, path):
    """A directory as it is served."""
    return Directory((await get(node, path)).content)


async def anchor_bytes(node, kind="INTERNAL"):
    """The anchor as it is now."""
    return (await node.client.call("GET", ANCHOR.format(kind))).content


async def anchor_of(node, kind="INTERNAL"):
    """What it says."""
    return read_anchor(await anchor_bytes(node, kind))


@pytest.mark.feature("CC-01")
@pytest.mark.parametrize("name", ["internalconf", "externalconf"])
@pytest.mark.parametrize("version", [2, 3, 4, 5, 6])
async def test_openssl_verifies_what_is_served(node, version, name, tmp_path):
    answer = await get(node, f"{name}?version={version}")
    assert answer.status_code == 200
    directory = Directory(answer.content)
    kind, expected = ("INTERNAL", "RSA") if name == "internalconf" else ("EXTERNAL", "EC")
    certificate = directory.signer((await anchor_of(node, kind)).certificates)
    assert ALGORITHMS[directory.header(b"Signature-Algorithm-Id")] == expected
    assert openssl_verifies(directory, certificate, tmp_path)
    valid = directory.expires - datetime.now(UTC)
    assert timedelta(seconds=500) < valid <= timedelta(seconds=600)
    assert directory.version == version
    directory.signed = directory.signed.replace(b"Version: ", b"Version:  ", 1)
    assert not openssl_verifies(directory, certificate, tmp_path)


@pytest.mark.feature("CC-07")
@pytest.mark.parametrize("version", [2, 3, 4, 5, 6])
async def test_every_part_of_every_version_fits_its_schema(node, version, schemas):
    directory = await directory_of(node, f"internalconf?version={version}")
    assert set(directory.parts) == {"PRIVATE-PARAMETERS", "SHARED-PARAMETERS"}
    for identifier, (location, digest) in directory.parts.items():
        assert location.startswith(f"/V{version}/")
        part = (await get(node, location)).content
        assert hashlib.sha512(part).digest() == digest
        shared = identifier == "SHARED-PARAMETERS"
        folder = f"v{version}" if shared else f"v{min(version, 3)}"
        file = schemas / "globalconf" / folder / f"{identifier.lower()}.xsd"
        etree.XMLSchema(file=file).assertValid(etree.fromstring(part))
        if shared:
            # Older servers would not understand what later versions say.
            assert (b"<source>" in part) is (version >= 3)
            assert (b"Management services" in part) is (version >= 5)
            assert (b"costType" in part) is (version >= 6)
    external = await directory_of(node, f"externalconf?version={version}")
    assert set(external.parts) == {"SHARED-PARAMETERS"}


@pytest.mark.feature("CC-07")
async def test_who_names_no_version_gets_the_oldest_and_unknown_ones_are_not_there(node):
    assert (await directory_of(node, "internalconf")).version == 2
    for path in ("internalconf?version=7", "internalconf?version=1", "V7/internalconf", "other"):
        assert (await get(node, path)).status_code == 404


class FollowingServer:
    """A security server that knows the anchor and nothing else."""

    def __init__(self, directory, anchor):
        identifier = SecurityServerId(ClientId("DEV", "GOV", "M1"), "follower")
        home = directory / "follower"
        make_private_directory(home)
        ports = Ports(*free_ports(base_port(), [SERVER_ADDRESS], len(fields(Ports))))
        self.server = RunningServer(PlannedServer(identifier, SERVER_ADDRESS), home, ports)
        sections = {
            "server": {"refresh-interval": 0.2},
            "listeners": {"api-port": 0},
            "proxy": {
                "connector-host": SERVER_ADDRESS,
                "listen-address": SERVER_ADDRESS,
                "client-http-port": ports.http,
                "client-https-port": ports.https,
                "server-port": ports.server,
                "ocsp-responder-port": ports.ocsp,
            },
            "configuration-client": {"update-interval": 1.0, "retry-interval": 1.0},
        }
        text = "\n".join(
            f"[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
            for name, keys in sections.items()
        )
        write_private(self.server.layout.settings_file, text.encode())
        write_private(self.server.layout.anchor_file, anchor)

    async def __aenter__(self):
        await self.server.start()
        try:
            await until_true(self._answers, "the server answers")
        except BaseException:
            await self.server.stop()
            raise
        return self

    async def __aexit__(self, *_):
        await self.server.stop()

    async def _answers(self):
        try:
            return bool(await self.status())
        except RpcError:
            return False

    async def status(self):
        return await self.server.control.status()

    async def until_expiry(self, after):
        """Come back when what is held expires after a moment; give when it does."""
        held = None

        async def newer():
            nonlocal held
            held = (await self.status()).configuration_expires
            return held is not None and held > after

        await until_true(newer, "a newer configuration")
        return held


@pytest.mark.feature("CC-06")
async def test_keys_rotate_without_another_anchor(node, tmp_path, fetcher):
    anchor = await anchor_bytes(node)
    asleep = Client(tmp_path / "asleep", anchor, fetcher)
    await asleep.refresh()
    (first,) = read_anchor(anchor).certificates
    async with FollowingServer(tmp_path, anchor) as follower:
        await follower.until_expiry(datetime.now(UTC))
        (token,) = await node.ask("GET", "/tokens")
        keys = token["configuration_signing_keys"]
        old = next(key for key in keys if key["source_type"] == "INTERNAL")
        new = await node.ask("POST", KEYS, {"token_id": "0", "key_label": "next"})
        assert not new["active"]
        # It is announced, and signs only later: when all who follow have seen it.
        await follower.until_expiry(datetime.now(UTC) + VALID)
        second = next(each for each in (await anchor_of(node)).certificates if each != first)
        assert (await directory_of(node, "internalconf?version=6")).signer([first, second]) == first
        await node.ask("PUT", f"/signing-keys/{new['id']}/activate")
        await follower.until_expiry(datetime.now(UTC) + VALID)
        assert (await directory_of(node, "internalconf?version=6")).signer(
            [first, second]
        ) == second
        await node.ask("DELETE", f"/signing-keys/{old['id']}")
        await follower.until_expiry(datetime.now(UTC) + VALID)
        assert (await follower.status()).configuration_error is None
        assert follower.server.layout.anchor_file.read_bytes() == anchor
    assert set((await anchor_of(node)).certificates) == {second}
    # Who has slept through the announcement needs another anchor, as has who begins by the old.
    for late in (asleep, Client(tmp_path / "new", anchor, fetcher)):
        with pytest.raises(GlobalConfDownloadFailed):
            await late.refresh()
    await Client(tmp_path / "late", await anchor_bytes(node), fetcher).refresh()


@pytest.mark.feature("CC-02")
async def test_an_old_directory_that_comes_back_is_refused(node, tmp_path, fetcher):
    anchor = await anchor_bytes(node)
    old = {path: path.read_bytes() for path in node.layout.published.glob("V*/*conf")}
    assert len(old) == 10
    before = Directory(old[node.layout.published / "V6" / "internalconf"])
    client = Client(tmp_path / "client", anchor, fetcher)
    await node.ask("POST", "/member-classes", {"code": "NEW", "description": "A new class"})

    async def has_newer():
        await client.refresh()
        return has_class(client, "NEW") and client.expires > before.expires

    await until_true(has_newer, "the newest configuration")
    await node.stop()
    # What has been published is files, which any web server serves: here, one with old ones.
    elsewhere = await serve_app(Distribution(node.layout.published).app, ADDRESS, 0)
    try:
        source = read_anchor(anchor)
        moved = replace(source.sources[0], url=f"{elsewhere.url}/internalconf")
        copied = write_anchor(replace(source, sources=(moved,)))
        client.follow(copied)
        await client.refresh()
        for path, content in old.items():
            path.write_bytes(content)
        with pytest.raises(GlobalConfDownloadFailed):
            await client.refresh()
        assert any(isinstance(error, GlobalConfRolledBack) for error in client.errors)
        assert has_class(client, "NEW")
        # Who knows of nothing newer cannot tell, and takes it: it has not expired.
        another = Client(tmp_path / "new", copied, fetcher)
        await another.refresh()
        assert not has_class(another, "NEW")
    finally:
        await elsewhere.close()
        await node.start_again()


def has_class(client, code):
    return code in {each.code for each in client.shared().member_classes}


@pytest.mark.feature("CI-07")
async def test_what_has_expired_is_used_no_more_until_there_is_newer(node, tmp_path):
    set_parameter(node, "confExpireIntervalSeconds", "12")

    async def expires_soon():
        directory = await directory_of(node, "internalconf?version=6")
        return directory.expires < datetime.now(UTC) + timedelta(seconds=13)

    await until_true(expires_soon, "directories that expire soon")
    async with FollowingServer(tmp_path, await anchor_bytes(node)) as follower:
        control = follower.server.control
        await follower.until_expiry(datetime.now(UTC))
        await control.choose_timestamping_services(())
        await node.kill()
        held = (await follower.status()).configuration_expires

        async def is_outdated():
            try:
                await control.choose_timestamping_services(())
            except GlobalConfOutdated:
                return True
            return False

        await until_true(is_outdated, "what was held has expired")
        assert datetime.now(UTC) >= held
        await node.start_again()
        await follower.until_expiry(datetime.now(UTC))
        await control.choose_timestamping_services(())


def set_parameter(node, key, value):
    """Do what operators do in the database of a running server."""
    with closing(sqlite3.connect(node.layout.database, timeout=60)) as database, database:
        database.execute(
            "INSERT INTO central_system_parameter (key, ha_node_name, value) VALUES (?, '', ?)"
            " ON CONFLICT (key, ha_node_name) DO UPDATE SET value = excluded.value",
            (key, value),
        )
