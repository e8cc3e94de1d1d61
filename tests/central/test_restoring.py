"""A whole server is backed up, changed and restored: by its API, and by the command line."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from central.nodes import SECONDS, Client, found, node_at, running, until_true
from ecosystem.processes import is_running, until
from sild.apiclient.errors import ApiError
from sild.components.accounts.tables import METADATA as ACCOUNTS
from sild.components.backup.archive import UnpackLimits, unpack_archive
from sild.components.centralserver.schema import TABLES as REGISTRY
from sild.protocol.errors import GlobalConfError
from sild.runtime.fetch import Fetcher
from sild.runtime.files import make_private_directory
from sild.runtime.gnupg import GnupgError
from sild.runtime.gnupg_home import GnupgHome

ADDRESS = "127.0.77.1"
OPERATOR = {"M1"}
TABLES = {*REGISTRY.tables, *ACCOUNTS.tables}


@pytest.fixture(scope="module")
async def node(tmp_path_factory, anyio_backend):
    """A server whose instance is made, and `anchor`; each test leaves it as it was."""
    if shutil.which("gpg") is None:
        pytest.skip("there is no GnuPG")
    directory = tmp_path_factory.mktemp("restoring")
    node = node_at(directory, ADDRESS, {"server": {"stop-grace": 1.0}})
    async with running(node):
        node.anchor = await found(node)
        yield node


def command(node, *arguments, code=0):
    """What a command beside the server says."""
    asked = (sys.executable, "-m", "sild", "central-server", *arguments)
    ended = subprocess.run(
        (*asked, "--home", str(node.layout.home)), check=False, capture_output=True, text=True
    )
    assert ended.returncode == code, ended.stderr
    return ended.stdout if code == 0 else ended.stderr


async def beside(node, *arguments, **how):
    return await asyncio.to_thread(command, node, *arguments, **how)


async def add_member(node, code):
    await node.ask("POST", "/members", {
        "member_name": code, "member_id": {"member_class": "GOV", "member_code": code}
    })  # fmt: skip


async def members(node):
    clients = await node.ask("GET", "/clients")
    return {each["client_id"]["member_code"] for each in clients["clients"]}


async def keys(node):
    """The keys of the software token, and that it is open."""
    (token,) = await node.ask("GET", "/tokens")
    assert token["logged_in"]
    return {key["id"] for key in token["configuration_signing_keys"]}


async def spoil(node):
    """Change the registry, the keys and a file."""
    await add_member(node, "NEW")
    key = {"key_label": "another", "token_id": "0"}
    await node.ask("POST", "/configuration-sources/INTERNAL/signing-keys", key)
    parts = node.layout.configuration_parts
    parts.mkdir(exist_ok=True)
    (parts / "new.ini").write_text("")


async def check_old_state(node, keys_of_before, directory):
    """The old state is back, and what is published from now on is valid."""
    assert await members(node) == OPERATOR
    await until_true(lambda: _has_keys(node, keys_of_before), "the token is open with old keys")
    assert not (node.layout.configuration_parts / "new.ini").exists()
    async with Fetcher() as fetcher:
        client = Client(directory, node.anchor, fetcher)

        async def is_published():
            try:
                await client.refresh()
            except GlobalConfError:
                return False
            return client.members() == OPERATOR

        await until_true(is_published, "a configuration of the old state")


async def _has_keys(node, wanted):
    try:
        return await keys(node) == wanted
    except (ApiError, AssertionError):
        return False


async def anew(node, before):
    """Wait until all processes are others, and open a session anew."""
    await until(lambda: not any(map(is_running, before.values())), SECONDS, "the old ones are gone")
    await node._administrator.close()
    await node.until_up()


def mark(node):
    return node.layout.home / "restoring" / "restoring.json"


@pytest.mark.feature("BK-03")
async def test_a_server_is_restored_by_its_api(node, tmp_path):
    before = await keys(node)
    name = (await node.ask("POST", "/backups"))["filename"]
    await spoil(node)
    assert await members(node) == OPERATOR | {"NEW"}
    processes = node.processes
    restored = await node.ask("PUT", f"/backups/{name}/restore")
    assert restored == {"hsm_tokens_logged_out": False}
    await anew(node, processes)
    assert set(node.processes) == set(processes)
    await check_old_state(node, before, tmp_path / "client")
    assert (node.layout.home / "restoring" / "conf_prerestore_backup.tar").stat().st_size
    assert "Restore configuration" in node.layout.audit_log.read_text()
    assert "Traceback" not in node.log


@pytest.mark.feature("BK-03")
async def test_settings_that_are_restored_hold_at_once(node):
    settings, port = node.layout.settings_file, node.plan.ports.management
    now = settings.read_text()
    settings.write_text(now.replace(f"management-port = {port}", "management-port = 0"))
    name = (await node.ask("POST", "/backups"))["filename"]
    settings.write_text(now)
    processes = node.processes
    await node.ask("PUT", f"/backups/{name}/restore")
    await anew(node, processes)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(ADDRESS, port)
    await node.stop()
    await node.start_again()
    _, writer = await asyncio.open_connection(ADDRESS, port)
    writer.close()


@pytest.mark.feature("BK-01")
async def test_backups_of_the_api_and_of_the_command_line_are_the_same(node):
    by_api = (await node.ask("POST", "/backups"))["filename"]
    made = await beside(node, "backup", "create")
    by_command = made.strip().rpartition("/")[2]
    told = [each["filename"] for each in await node.ask("GET", "/backups")]
    assert told[:2] == [by_command, by_api]
    listed = json.loads(await beside(node, "backup", "list", "--json"))
    assert [each["filename"] for each in listed] == told
    for name in (by_api, by_command):
        parts = _entries(node, name)
        tables = {part for part in parts if part.startswith("databases/")}
        assert tables == {f"databases/central/{table}.jsonl" for table in TABLES}
        assert "files/sild.toml" in parts
        assert any(part.startswith("files/signer/") for part in parts)
    assert "BEGIN PGP PUBLIC KEY" in await beside(node, "backup", "public-key")


@pytest.mark.feature("BK-07")
async def test_a_backup_is_verified_elsewhere_with_the_key_that_the_command_gives(node, tmp_path):
    path = (await beside(node, "backup", "create")).strip()
    key = await beside(node, "backup", "public-key")
    outside = GnupgHome(tmp_path / "outside")
    await outside.import_key(key.encode())
    await outside.open(Path(path), tmp_path / "opened.tar", 10**9, signed=False)
    gpg = ("gpg", "--homedir", str(tmp_path / "outside"), "--batch", "--verify")
    good = await asyncio.to_thread(subprocess.run, (*gpg, path), check=False, capture_output=True)
    assert good.returncode == 0, good.stderr
    cut = tmp_path / "cut.gpg"
    await asyncio.to_thread(lambda: cut.write_bytes(Path(path).read_bytes()[:-10]))
    bad = await asyncio.to_thread(subprocess.run, (*gpg, cut), check=False, capture_output=True)
    assert bad.returncode != 0
    await outside.stop_agent()


@pytest.mark.feature("BK-06")
async def test_a_backup_is_encrypted_for_whom_the_settings_name(node, tmp_path):
    auditor = GnupgHome(tmp_path / "auditor")
    key = await auditor.make_key("Auditor")
    exported = tmp_path / "auditor.asc"
    await asyncio.to_thread(exported.write_bytes, await auditor.export_key(key))
    await beside(node, "backup", "import-key", str(exported))
    settings = node.layout.settings_file
    before = await asyncio.to_thread(settings.read_text)
    wanted = f'[backup]\nbackup-encryption-enabled = true\nbackup-encryption-keyids = ["{key}"]\n'
    await asyncio.to_thread(settings.write_text, f"{before}\n{wanted}")
    try:
        path = (await beside(node, "backup", "create")).strip()
    finally:
        await asyncio.to_thread(settings.write_text, before)
    opened = tmp_path / "opened.tar"
    await auditor.open(Path(path), opened, 10**9, signed=False)
    assert (await asyncio.to_thread(opened.read_bytes))[257:262] == b"ustar"
    stranger = GnupgHome(tmp_path / "stranger")
    with pytest.raises(GnupgError):
        await stranger.open(Path(path), tmp_path / "nothing.tar", 10**9, signed=False)
    await auditor.stop_agent()
    await stranger.stop_agent()


@pytest.mark.feature("BK-04")
async def test_a_server_is_restored_by_the_command_line(node, tmp_path):
    before = await keys(node)
    path = (await beside(node, "backup", "create")).strip()
    await spoil(node)
    await node.stop()
    assert "restart" in await beside(node, "backup", "restore", path)
    await node.start_again()
    await check_old_state(node, before, tmp_path / "client")
    refused = await beside(node, "backup", "restore", "gone.gpg", code=1)
    assert "gone.gpg" in refused


@pytest.mark.feature("BK-03")
async def test_a_restoration_that_was_interrupted_is_finished_before_anything_starts(
    node, tmp_path
):
    before = await keys(node)
    name = (await node.ask("POST", "/backups"))["filename"]
    await spoil(node)
    await node.kill()
    _decide(node, name)
    await node.start_again()
    assert not mark(node).exists()
    assert "a restoration that was interrupted is finished" in node.log
    await check_old_state(node, before, tmp_path / "client")


@pytest.mark.feature("BK-03")
async def test_what_central_alone_was_interrupted_in_is_finished_too(node, tmp_path):
    before = await keys(node)
    name = (await node.ask("POST", "/backups"))["filename"]
    await spoil(node)
    _decide(node, name)
    processes = node.processes
    (central,) = (pid for name, pid in processes.items() if name == "central")
    os.kill(central, signal.SIGKILL)
    await anew(node, processes)
    assert not mark(node).exists()
    await check_old_state(node, before, tmp_path / "client")


async def test_a_server_whose_restoration_cannot_be_finished_does_not_start(node):
    await node.stop()
    mark(node).parent.mkdir(exist_ok=True)
    mark(node).write_text("junk")
    await node.start()
    assert await node.process.wait() == 1
    assert "the restoration cannot be finished" in node.log
    mark(node).unlink()
    await node.start_again()
    await node.ask("GET", "/system/version")


async def test_another_servers_backup_is_not_opened(node, tmp_path):
    path = (await beside(node, "backup", "create")).strip()
    other = node_at(tmp_path, "127.0.77.2")
    make_private_directory(other.layout.home)
    assert "cannot be trusted" in await beside(other, "backup", "restore", path, code=1)


def _decrypted(node, name):
    tar = node.layout.home / "opened.tar"
    gpg = ("gpg", "--homedir", str(node.layout.gnupg), "--batch", "--yes", "--output", str(tar))
    sealed = node.layout.backups / name
    subprocess.run((*gpg, "--decrypt", str(sealed)), check=True, capture_output=True)
    return tar


def _entries(node, name):
    listed = subprocess.run(
        ("tar", "-tf", str(_decrypted(node, name))), check=True, capture_output=True, text=True
    )
    return listed.stdout.splitlines()


def _decide(node, name):
    """What a restoration leaves that was killed as soon as it was decided."""
    stage = mark(node).parent / "stage"
    shutil.rmtree(stage, ignore_errors=True)
    stage.mkdir(parents=True)
    unpack_archive(_decrypted(node, name), stage, UnpackLimits(10**8))
    mark(node).write_text('{"keep_files": false, "skip_databases": false}')
