"""Archives of two real servers: made, linked, grouped, encrypted, taken away, and killed."""

import asyncio
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from ecosystem.archived import (
    archive_now,
    archives_of,
    archiving,
    containers_in,
    proven,
    sild,
    sild_process,
)
from ecosystem.callers import Callers, soap_service_of
from ecosystem.duo import INSTANCE, PORTAL, Duo, plan_at, topology_at
from ecosystem.oracle import Oracle
from ecosystem.test_kills import KILLS, killing_at
from receivers import ACCESS_KEY, REGION, SECRET, Receiver
from sild.devnet.topology import Grant, PlannedMember, PlannedSubsystem
from sild.protocol.asic.archive import LINKING_INFO
from sild.protocol.ids import ClientId
from sild.runtime.files import GenerationDirectory

NETWORK, NETWORK_OF_KILLS = "127.0.41", "127.0.42"
SECOND = PORTAL.member.subsystem("second")
OTHER = ClientId(INSTANCE, "GOV", "70000003")
DESK = OTHER.subsystem("desk")
CLIENTS = (PORTAL, SECOND, DESK)
TRUE = "true"


def topology():
    """The two, and at the consumer's server one more subsystem and one of another member."""
    two = topology_at(NETWORK)
    operator, police, health = two.members
    (register,) = health.subsystems
    exercises, *rest = register.services
    exercises = replace(exercises, grants=tuple(Grant(client) for client in CLIENTS))
    consumer, provider = two.servers
    return replace(
        two,
        members=(
            operator,
            replace(police, subsystems=(*police.subsystems, PlannedSubsystem(SECOND, "Second"))),
            replace(health, subsystems=(replace(register, services=(exercises, *rest)),)),
            PlannedMember(OTHER, "Other", (PlannedSubsystem(DESK, "Desk"),)),
        ),
        servers=(replace(consumer, clients=CLIENTS), provider),
    )


@pytest.fixture(scope="module")
async def duo(tmp_path_factory, anyio_backend):
    plan = plan_at(NETWORK, tmp_path_factory.mktemp("archives"))
    async with Duo(replace(plan, topology=topology())) as duo, soap_service_of(duo):
        yield duo


async def send(duo, count=2, client=PORTAL):
    """Send messages; the ids of those that were answered."""
    answers = [
        await duo.call("/mirror", content=b"%d" % n, headers={"X-Road-Client": client.short})
        for n in range(count)
    ]
    return {each.headers["x-road-id"] for each in answers}


def both(ids):
    """Requests and responses of messages."""
    return {(each, is_response) for each in ids for is_response in (False, True)}


async def verify_all(server, containers, folder):
    """Verify each container by the command and the server's configuration."""
    conf = GenerationDirectory(server.layout.globalconf).current()
    for (query_id, is_response), content in containers.items():
        path = folder / "one.asice"
        path.write_bytes(content)
        code, out, _ = await sild("verify", path, "--conf", conf, "--json")
        assert code == 0, (query_id, is_response, out)


async def restart(duo, server, **settings):
    """Start a server again with these settings of its message log."""
    named = tuple((name.replace("_", "-"), value) for name, value in settings.items())
    await duo.restart(server, message_log=named)


@pytest.fixture
async def consumer(duo):
    """The consumer's server; each test leaves its log archived, and no archives."""
    yield duo.consumer
    shutil.rmtree(duo.consumer.layout.archives, ignore_errors=True)


@pytest.mark.feature("ML-06")
async def test_messages_are_archived_to_linked_files_that_prove_themselves(duo, consumer, tmp_path):
    oracle = Oracle()
    callers = Callers(duo, oracle)
    for kind in callers.kinds:
        await kind()
    ids = {each.query_id for each in oracle.acknowledged}
    assert set(oracle.kinds) == {"rest", "large rest", "soap", "soap with attachments"}
    for server in (duo.consumer, duo.provider):
        done = await archive_now(server, sild_process)
        assert done["archived"] == 2 * len(ids)
        (first,) = archives_of(server)
        assert done["archives"] == [first.name]
        containers = containers_in([first])
        assert set(containers) == both(ids)
        await proven(first)
        await verify_all(server, containers, tmp_path)
        assert (await archive_now(server))["archived"] == 0
    await restart(duo, duo.consumer, archive_transaction_batch="3")
    await restart(duo, duo.provider)
    more = await send(duo, 3)
    for server, count in ((duo.consumer, 2), (duo.provider, 1)):
        assert (await archive_now(server))["archived"] == 6
        paths = archives_of(server)
        assert len(paths) == 1 + count
        containers = containers_in(paths)
        assert set(containers) == both(ids | more)
        await verify_all(server, containers, tmp_path)
        last = await proven(*paths, run=sild_process)
        code, out, _ = await sild("archive", "list", "--home", server.layout.home, "--json")
        listed = json.loads(out)["archives"]
        assert code == 0
        assert [each["previous_file"] for each in listed] == [
            None,
            *[each["file"] for each in listed[:-1]],
        ]
        assert listed[-1]["last_digest"] == last
        assert sum(each["containers"] for each in listed) == len(containers)
        code, out, _ = await sild("verify-archive", "--first", *paths[1:])
        assert code == 1


async def test_a_server_archives_by_itself_when_it_is_time(duo, consumer):
    await restart(duo, consumer, archive_interval='"* * * * * ?"')
    ids = await send(duo)
    await consumer.control.stamp_waiting()
    async with asyncio.timeout(120):
        while not archives_of(consumer):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.05)
    assert both(ids) == set(containers_in(archives_of(consumer)))


async def test_what_cannot_be_done_is_told(duo, consumer, tmp_path):
    soon = {f"timestamper_client_{what}_timeout": "2000" for what in ("connect", "read")}
    await restart(duo, consumer, **soon)
    duo.authorities.tsas["tsa"].silent = True
    try:
        ids = await send(duo, 1)
        code, out, err = await sild("archive", "now", "--home", consumer.layout.home)
    finally:
        duo.authorities.tsas["tsa"].silent = False
    assert code == 1
    assert "Not all is time-stamped" in err
    assert "0 archived" in out
    await archive_now(consumer)
    assert set(containers_in(archives_of(consumer))) == both(ids)
    code, _, err = await sild("archive", "now", "--home", tmp_path)
    assert code == 1
    assert "Not all is archived" in err


@pytest.mark.feature("ML-07")
@pytest.mark.parametrize("grouping", ["member", "subsystem"])
async def test_each_group_has_archives_and_a_chain_of_its_own(duo, consumer, grouping):
    await restart(duo, consumer, archive_grouping=f'"{grouping}"')
    sent = {}
    for _ in range(2):
        for client in CLIENTS:
            group = (client.member if grouping == "member" else client).short.replace("/", "_")
            sent.setdefault(group, set()).update(await send(duo, 1, client))
        assert (await archive_now(consumer))["archived"] == 6
    assert len(sent) == {"member": 2, "subsystem": 3}[grouping]
    for group, ids in sent.items():
        paths = [p for p in archives_of(consumer) if p.name.startswith(f"mlog-{group}-2")]
        assert len(paths) == 2
        assert set(containers_in(paths)) == both(ids)
        await proven(*paths)


# Encryption


class GnupgHome:
    """A GnuPG home with a key, and public keys of others."""

    def __init__(self, name):
        # A path that is short: the agent's socket is in it.
        self.path = Path(tempfile.mkdtemp(prefix="gpg", dir="/tmp"))
        self.name = name
        order = (name, "future-default", "default", "never")
        self.gpg("--passphrase", "", "--quick-generate-key", *order)

    def gpg(self, *arguments, given=None, check=True):
        command = ("gpg", "--homedir", self.path, "--batch", "--no-tty", *arguments)
        return subprocess.run(command, input=given, check=check, capture_output=True, timeout=180)

    def learn(self, other):
        """Take another's public key."""
        self.gpg("--import", given=other.gpg("--export", other.name).stdout)

    def decrypted(self, path):
        """What is in a file, and whose signature is good; None where it is not for this home."""
        done = self.gpg("--status-fd", "2", "--decrypt", str(path), check=False)
        if done.returncode != 0:
            return None
        signers = [line for line in done.stderr.decode().splitlines() if "GOODSIG" in line]
        return done.stdout, signers[0].split()[-1]

    def close(self):
        subprocess.run(("gpgconf", "--homedir", self.path, "--kill", "all"), check=False)
        shutil.rmtree(self.path, ignore_errors=True)


@pytest.fixture
def homes():
    """GnuPG homes of a server and of two who may read."""
    if shutil.which("gpg") is None:
        pytest.skip("there is no GnuPG")
    made = [GnupgHome(f"{name}@test") for name in ("server", "police", "archive")]
    server, *readers = made
    for reader in readers:
        server.learn(reader)
        reader.learn(server)
    yield made
    for home in made:
        home.close()


async def encrypting(duo, consumer, homes, tmp_path, grouping):
    """Have what is the police's encrypted for them, all else for the archive; gives the file."""
    server, police, archive = homes
    keys = tmp_path / "keys"
    keys.write_text(f"{PORTAL.member.short} = {police.name}\n")
    await restart(
        duo,
        consumer,
        archive_grouping=f'"{grouping}"',
        archive_encryption_enabled=TRUE,
        archive_gpg_home_directory=f'"{server.path}"',
        archive_encryption_keys_config=f'"{keys}"',
        archive_default_encryption_key=f'"{archive.name}"',
    )
    return keys


@pytest.mark.feature("ML-08")
async def test_archives_are_signed_and_encrypted_for_whom_they_are(duo, consumer, homes, tmp_path):
    server, police, archive = homes
    await encrypting(duo, consumer, homes, tmp_path, grouping="member")
    readers = {PORTAL: (police, archive), DESK: (archive, police)}
    sent = {client: set() for client in readers}
    for _ in range(2):
        for client, ids in sent.items():
            ids.update(await send(duo, 1, client))
        assert (await archive_now(consumer))["archived"] == 4
    code, out, _ = await sild("archive", "list", "--home", consumer.layout.home, "--json")
    assert code == 0
    assert [each["encrypted"] for each in json.loads(out)["archives"]] == [True] * 4
    for client, (reader, stranger) in readers.items():
        group = client.member.short.replace("/", "_")
        # Names of one second are in no order.
        found = sorted(
            consumer.layout.archives.glob(f"mlog-{group}-*.zip.gpg"),
            key=lambda path: path.stat().st_mtime_ns,
        )
        opened = []
        for path in found:
            code, out, _ = await sild("verify-archive", path)
            assert (code, "Decrypt it first" in out) == (1, True)
            assert stranger.decrypted(path) is None
            content, signer = reader.decrypted(path)
            assert server.name in signer
            opened.append(tmp_path / path.name.removesuffix(".gpg"))
            opened[-1].write_bytes(content)
        assert len(opened) == 2
        containers = containers_in(opened)
        assert set(containers) == both(sent[client])
        await verify_all(consumer, containers, tmp_path)
        # The chain of the group may be older than these archives.
        with zipfile.ZipFile(opened[0]) as first:
            previous = first.read(LINKING_INFO).split()[0].decode()
        start = ("--first",) if previous == "-" else ("--previous-digest", previous)
        await proven(*opened, start=start)


def asking(client, query_id, *flags):
    """What an information system asks GET /asic for."""
    return {
        "queryId": query_id,
        "xRoadInstance": client.instance,
        "memberClass": client.member_class,
        "memberCode": client.member_code,
        "subsystemCode": client.subsystem_code,
        **dict.fromkeys(flags, ""),
    }


@pytest.mark.feature("ML-11")
async def test_signed_documents_are_encrypted_for_whom_archives_are(duo, consumer, homes, tmp_path):
    server, police, archive = homes
    keys = await encrypting(duo, consumer, homes, tmp_path, grouping="subsystem")
    url, got = f"{consumer.http_url}/asic", tmp_path / "got.gpg"
    for client, reader, stranger in ((PORTAL, police, archive), (DESK, archive, police)):
        (query_id,) = await send(duo, 1, client)
        for flags in (("force",), ("responseOnly", "unique")):
            answer = await duo.client.get(url, params=asking(client, query_id, *flags))
            assert answer.status_code == 200
            assert answer.headers["content-type"] == "application/octet-stream"
            got.write_bytes(answer.content)
            assert stranger.decrypted(got) is None
            content, signer = reader.decrypted(got)
            assert server.name in signer
            name = answer.headers["content-disposition"].partition('"')[2]
            opened = tmp_path / "opened.zip"
            opened.write_bytes(content)
            if "unique" in flags:
                assert name.endswith('.asice.gpg"')
                found = {(query_id, True): content}
            else:
                assert name == f'{query_id}.zip.gpg"'
                found = containers_in([opened])
                assert set(found) == both([query_id])
            await verify_all(consumer, found, tmp_path)
    await archive_now(consumer)
    keys.write_text("no key\n")
    refused = await duo.client.get(url, params=asking(client, query_id))
    assert (refused.status_code, "cannot be encrypted" in refused.text) == (500, True)
    assert str(keys) not in refused.text
    assert list(consumer.layout.documents.iterdir()) == []


# Transfer


def transferring(*arguments, environment=""):
    """The setting that takes archives away by the command."""
    words = " ".join(f"'{each}'" for each in (sys.executable, "-m", "sild", "archive", "transfer"))
    options = " ".join(f"'{each}'" for each in arguments)
    return json.dumps(f"{environment} {words} {options}")


@pytest.mark.feature("ML-09")
async def test_archives_are_taken_away_after_each_archiving(duo, consumer, tmp_path):
    folder = tmp_path / "evidence"
    folder.mkdir()
    credentials = {"ACCESS_KEY_ID": ACCESS_KEY, "SECRET_ACCESS_KEY": SECRET, "REGION": REGION}
    environment = " ".join(f"AWS_{name}='{value}'" for name, value in credentials.items())
    kept = {}
    with Receiver().running() as endpoint, Receiver().running() as store:
        commands = (
            transferring(folder),
            transferring(f"{endpoint.url}/upload", "--attempts", "1"),
            transferring("s3://evidence/ss1", "--endpoint", store.url, environment=environment),
        )
        ids = set()
        await archive_now(consumer)
        for path in archives_of(consumer):
            path.unlink()
        for command in commands:
            await restart(duo, consumer, archive_transfer_command=command)
            ids |= await send(duo)
            if command is commands[1]:
                endpoint.faults = [403]
                code, _, err = await sild("archive", "now", "--home", consumer.layout.home)
                assert code == 1
                assert "answered 403" in err
                assert len(archives_of(consumer)) == 1
                ids |= await send(duo)
            done = await archive_now(consumer)
            assert (done["archived"], done["archives"]) == (4, [])
            assert archives_of(consumer) == []
        assert len(endpoint.received) == 2
        assert store.problems == []
        kept = {path.name: path.read_bytes() for path in folder.iterdir()}
        kept |= endpoint.received
        kept |= {name.rpartition("/")[2]: content for name, content in store.received.items()}
        assert all(name.startswith("/evidence/ss1/mlog-") for name in store.received)
    collected = tmp_path / "collected"
    collected.mkdir()
    for name, content in kept.items():
        (collected / name).write_bytes(content)
    paths = sorted(collected.iterdir())
    assert len(paths) == 4
    assert set(containers_in(paths)) == both(ids)
    # They follow one another, wherever each of them went.
    with zipfile.ZipFile(paths[0]) as first:
        previous = first.read(LINKING_INFO).split()[0].decode()
    start = ("--first",) if previous == "-" else ("--previous-digest", previous)
    await proven(*paths, start=start)


# Kills


@pytest.fixture
async def killing(tmp_path, anyio_backend):
    batch = ("archive-transaction-batch", str(random.randint(1, 3)))
    async with killing_at(NETWORK_OF_KILLS, tmp_path, batch) as killing:
        yield killing


async def test_an_archiver_that_is_killed_loses_and_doubles_nothing(killing, capsys):
    await kill_archivers(killing, 4, capsys)


@pytest.mark.soak
@pytest.mark.timeout(4 * 3600)
async def test_an_archiver_that_is_killed_often_loses_and_doubles_nothing(killing, capsys):
    await kill_archivers(killing, KILLS, capsys)


async def kill_archivers(killing, count, capsys):
    """Kill control so often while it archives without a pause, and look at what is left."""
    begun = time.monotonic()
    servers = killing.servers
    async with archiving(*servers), killing.callers.calling(of_each=1, pause=0.1):
        await killing.until_served()
        for number in range(count):
            await killing.kill((servers[number % 2], "control"))
    await killing.check_evidence(5)
    await killing.check_archives()
    with capsys.disabled():
        sys.stdout.write(killing.tell(time.monotonic() - begun))
