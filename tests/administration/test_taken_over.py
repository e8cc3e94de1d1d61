"""A server of the reference is taken over, runs, and is backed up and restored by all ways."""

import asyncio
import hashlib
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_der_public_key

from administration.taken_over import TakenOver, command, run
from administration.world import Places
from components.takeover.builders import PIN
from ports import base_port
from servers.old_server import OldServer
from sild.apiclient.values import Form, NamedFile
from sild.components.backup.archive import MANIFEST, Manifest, UnpackLimits, unpack_archive
from sild.devnet.ports import free_ports
from sild.model.tokens import KeyUsage
from sild.protocol.algorithms import SignatureAlgorithm
from sild.runtime.files import make_private_directory, read_bounded, write_private
from sild.runtime.gnupg_home import GnupgHome

pytestmark = pytest.mark.anyio

ADDRESS = "127.0.83.9"
ECDSA = SignatureAlgorithm.ECDSA_SHA512
DIGEST = hashlib.sha512(b"message").digest()
OWN = "DEV:COM:1234:Own"


@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
async def server(tmp_path_factory):
    """The server, from its backup, by the command."""
    folder = tmp_path_factory.mktemp("taken")
    old = OldServer(folder)
    places = Places(*await asyncio.to_thread(_ports))
    made = TakenOver(old.home, ADDRESS, places)
    old.further["etc/xroad/conf.d/local.ini"] = made.parameters()
    await command("import", old.tar(), "--plain", "--home", old.home, given=f"{PIN}\n")
    await made.start()
    made.old = old
    try:
        yield made
    finally:
        await made.stop()


def _ports():
    return free_ports(base_port(), (ADDRESS,), 8)


async def beside(server, *arguments, **how):
    return await command("security-server", *arguments, "--home", server.home, **how)


async def groups(server):
    return {group["code"] for group in await server.ask("GET", f"/clients/{OWN}/local-groups")}


async def spoil(server):
    """Change what a backup holds."""
    for group in await server.ask("GET", f"/clients/{OWN}/local-groups"):
        await server.ask("DELETE", f"/local-groups/{group['id']}")
    assert await groups(server) == set()


async def test_a_server_that_was_taken_over_serves_and_signs_with_its_old_keys(server):
    clients = await server.ask("GET", "/clients?internal_search=true&show_members=true")
    assert {client["id"] for client in clients} == {"DEV:COM:1234", OWN}
    described = await server.ask("GET", f"/clients/{OWN}/service-descriptions")
    assert {each["type"] for each in described} == {"REST", "OPENAPI3", "WSDL"}
    await server.ask("PUT", "/tokens/0/login", {"password": PIN})
    (token,) = await server.tokens()
    (key,) = (key for key in token.keys if key.usage is KeyUsage.SIGNING)
    signature = await server.sign(key.id, DIGEST, ECDSA.uri)
    ECDSA.verify(load_der_public_key(key.public_key), signature, b"message")
    assert key.certificates[0].certificate == server.old.sign_certificate
    assert PIN not in (server.home / "server.log").read_text()


@pytest.mark.feature("BK-01")
async def test_backups_of_the_api_and_of_the_command_line_are_the_same(server, tmp_path):
    by_api = await server.ask("POST", "/backups")
    extended = await server.ask("POST", "/backups/ext")
    assert extended["local_conf_present"] is False
    by_command = (await beside(server, "backup", "create")).strip().rpartition("/")[2]
    told = await server.ask("GET", "/backups")
    names = [each["filename"] for each in told]
    assert names[:3] == [by_command, extended["filename"], by_api["filename"]]
    assert by_api in told
    listed = json.loads(await beside(server, "backup", "list", "--json"))
    assert [each["filename"] for each in listed] == names
    for name in names[:3]:
        parts = set((await opened(server, name, tmp_path / name)).entries)
        assert "databases/serverconf/serverconf_client.jsonl" in parts
        assert "databases/serverconf/accounts_user.jsonl" in parts
        assert "databases/timestamping/messagelog_chosen_tsa.jsonl" in parts
        assert not any("record" in part for part in parts)
        assert f"files/signer/softtoken/{server.old.signing}.p12" in parts
        for file in ("sild.toml", "configuration-anchor.xml", "internal-tls.pem", "api-tls.pem"):
            assert f"files/{file}" in parts


async def opened(server, name, folder):
    """The manifest of a backup."""
    make_private_directory(folder)
    tar = folder / "opened.tar"
    gnupg = GnupgHome(server.layout.gnupg)
    await gnupg.open(server.layout.backups / name, tar, 10**9)
    make_private_directory(folder / "stage")
    return await asyncio.to_thread(unpack_archive, tar, folder / "stage", UnpackLimits(10**9))


@pytest.mark.feature("BK-02")
async def test_backups_are_listed_taken_and_deleted(server):
    made = (await server.ask("POST", "/backups"))["filename"]
    answer = await server.client.call("GET", f"/backups/{made}/download")
    assert answer.content == (server.layout.backups / made).read_bytes()
    upload = Form(files={"file": NamedFile("sent.gpg", answer.content)})
    sent = await server.ask("POST", "/backups/upload", upload=upload)
    assert sent["filename"] == "sent.gpg"
    await server.ask("DELETE", "/backups/sent.gpg")
    assert "sent.gpg" not in {each["filename"] for each in await server.ask("GET", "/backups")}


@pytest.mark.feature("BK-03")
async def test_a_server_is_restored_by_its_api(server):
    name = (await server.ask("POST", "/backups"))["filename"]
    before = await groups(server)
    await spoil(server)
    processes = server.processes
    restored = await server.ask("PUT", f"/backups/{name}/restore")
    assert restored == {"hsm_tokens_logged_out": False}
    await server.until_anew(processes)
    assert await groups(server) == before == {"friends"}
    assert (server.home / "restoring" / "conf_prerestore_backup.tar").stat().st_size


@pytest.mark.feature("BK-04")
async def test_a_server_is_restored_by_the_command_line(server):
    path = (await beside(server, "backup", "create")).strip()
    await spoil(server)
    await server.stop()
    assert "restart" in await beside(server, "backup", "restore", path)
    await server.start_again()
    assert await groups(server) == {"friends"}
    assert "gone.gpg" in await beside(server, "backup", "restore", "gone.gpg", code=1)


@pytest.mark.feature("CLI-04")
async def test_what_scripts_did_is_done_by_commands(server, tmp_path):
    path = Path((await beside(server, "backup", "create")).strip())
    tar = tmp_path / "plain.tar"
    await GnupgHome(server.layout.gnupg).open(path, tar, 10**9)
    await spoil(server)
    await server.stop()
    assert "gpg" in await beside(server, "backup", "restore", tar, code=1)
    await beside(server, "backup", "restore", "--plain", tar)
    await server.start_again()
    assert await groups(server) == {"friends"}
    await spoil(server)
    await server.stop()
    await beside(server, "backup", "restore", "--skip-database", path)
    await server.start_again()
    assert await groups(server) == set()
    await server.stop()
    await beside(server, "backup", "restore", path)
    await server.start_again()


@pytest.mark.feature("BK-03")
async def test_a_restoration_that_was_interrupted_is_finished_before_anything_starts(server):
    name = (await server.ask("POST", "/backups"))["filename"]
    await spoil(server)
    await server.kill()
    await decide(server, name)
    await server.start_again()
    assert not (server.home / "restoring" / "restoring.json").exists()
    assert await groups(server) == {"friends"}
    assert (
        "a restoration that was interrupted is finished" in (server.home / "server.log").read_text()
    )


async def decide(server, name):
    """Leave things as a restoration that was killed right after it was decided."""
    work = server.home / "restoring"
    stage = work / "stage"
    make_private_directory(stage)
    tar = work / "opened.tar"
    await GnupgHome(server.layout.gnupg).open(server.layout.backups / name, tar, 10**9)
    manifest = await asyncio.to_thread(unpack_archive, tar, stage, UnpackLimits(10**9))
    assert isinstance(manifest, Manifest)
    assert (stage / MANIFEST).exists()
    mark = {"keep_files": False, "skip_databases": False}
    write_private(work / "restoring.json", json.dumps(mark).encode())


@pytest.mark.feature("BK-06")
async def test_a_backup_is_encrypted_for_whom_the_settings_name(server, tmp_path):
    auditor = GnupgHome(tmp_path / "auditor")
    key = await auditor.make_key("Auditor")
    exported = tmp_path / "auditor.asc"
    exported.write_bytes(await auditor.export_key(key))
    await beside(server, "backup", "import-key", exported)
    settings = server.layout.settings_file
    before = settings.read_bytes()
    wanted = f'\n[backup]\nbackup-encryption-enabled = true\nbackup-encryption-keyids = ["{key}"]\n'
    write_private(settings, before + wanted.encode())
    try:
        path = Path((await beside(server, "backup", "create")).strip())
    finally:
        write_private(settings, before)
    await auditor.open(path, tmp_path / "opened.tar", 10**9, signed=False)
    assert (tmp_path / "opened.tar").read_bytes()[257:262] == b"ustar"
    await auditor.stop_agent()


@pytest.mark.feature("BK-07")
async def test_a_backup_is_verified_elsewhere(server, tmp_path):
    path = (await beside(server, "backup", "create")).strip()
    key = await beside(server, "backup", "public-key")
    outside = GnupgHome(tmp_path / "outside")
    await outside.import_key(key.encode())
    gpg = ("gpg", "--homedir", str(outside.directory), "--batch", "--verify")
    assert (await asyncio.to_thread(run, *gpg, path)).returncode == 0
    cut = tmp_path / "cut.gpg"
    write_private(cut, read_bounded(Path(path), 10**9)[:-10])
    assert (await asyncio.to_thread(run, *gpg, str(cut))).returncode != 0
    await outside.stop_agent()


@pytest.mark.feature("CLI-05")
async def test_the_key_of_backups_and_tls_certificates_are_made_by_commands(server, tmp_path):
    assert "signed" in await beside(server, "backup", "key")
    before = await beside(server, "backup", "public-key")
    assert "signed" in await beside(server, "backup", "key")
    assert await beside(server, "backup", "public-key") == before
    file = tmp_path / "tls.pem"
    made = await command("certificate", file, "--host", "ss1.test", "--host", "192.0.2.7")
    assert "ss1.test, 192.0.2.7" in made
    assert file.stat().st_mode & 0o777 == 0o600
    openssl = ("openssl", "x509", "-noout", "-subject", "-ext", "subjectAltName")
    shown = await asyncio.to_thread(run, *openssl, given=file.read_bytes())
    assert "CN = ss1.test" in shown.stdout.decode()
    assert "IP Address:192.0.2.7" in shown.stdout.decode()
    await command("certificate", file, "--host", "ss2.test", code=1)
    await command("certificate", file, "--replace", "--algorithm", "RSA-2048")
    assert b"PRIVATE KEY" in file.read_bytes()
