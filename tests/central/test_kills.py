"""The processes of a Central Server are killed at random moments while it is changed.

Whatever it acknowledged is there afterwards, nothing is half there, and whoever reads the
published configuration meets a valid one at every moment. A few kills run with all tests; `make
soak` kills SILD_KILLS times, or 300.
"""

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field, replace
from statistics import median

import pytest

from central.nodes import (
    OPERATOR,
    SECONDS,
    Client,
    found,
    make_authorities,
    node_at,
    registration_of,
    running,
    topology_at,
    until_true,
)
from central.world import GROUP, IDLE, LOST, NOTHING, SIGNING, Stopped, World
from ecosystem.processes import until
from sild.adminapi.centralserver.distribution import Distribution
from sild.apiclient.errors import ApiError, ApiUnreachable
from sild.apiclient.values import ApiKey
from sild.devnet.serving import serve_app
from sild.protocol.errors import GlobalConfError
from sild.protocol.globalconf.anchor import read_anchor, write_anchor
from sild.runtime.fetch import Fetcher

ADDRESS = "127.0.74.1"
KILLS = int(os.environ.get("SILD_KILLS", "300"))
KILLED_BEFORE_RENEWAL = 2
"""After so many kills a supervisor waits for long before it starts a process again."""
ANCHOR = "/configuration-sources/INTERNAL/anchor/download"
VICTIMS = (("central",), ("signer",), ("central", "signer"))


class Changers:
    """Who changes the server, all at once."""

    def __init__(self, world, authorities, services, followers):
        self.world = world
        self.backups = set()
        self._authorities = authorities
        self._services = services
        self._followers = followers
        self._number = 0

    @asynccontextmanager
    async def changing(self):
        """Change the server while the block runs; every change has ended when it ends."""
        self.world.stopping = False
        async with asyncio.TaskGroup() as tasks:
            for life in (self.member, self.member, self.server, self.key, self.backup):
                tasks.create_task(self._again(life))
            try:
                yield
            finally:
                self.world.stopping = True

    async def _again(self, life):
        while not self.world.stopping:
            try:
                await life()
            except (Stopped, ApiUnreachable):
                await asyncio.sleep(0.2)
            except ApiError as error:
                # What it cannot do without its signer, the server does not do, and says so; what a
                # killed backup had just begun may still be ending.
                if error.status < 500 and error.code != "backup_or_restore_running":
                    raise
                await asyncio.sleep(0.2)

    def _next(self):
        self._number += 1
        return self._number

    async def member(self, leaves=0.7):
        """From being added, perhaps to being deleted with all that belongs to it."""
        code = f"K{self._next()}"
        name, encoded, change = f"member {code}", f"DEV:GOV:{code}", self.world.change
        body = {"member_class": "GOV", "member_code": code}
        new = {"member_id": body, "member_name": "New"}
        await change({name: ("New", False, 0)}, "POST", "/members", new)
        subsystem = {"subsystem_id": body | {"subsystem_code": "s"}}
        await change({name: ("New", True, 0)}, "POST", "/subsystems", subsystem)
        both = {"items": [encoded, f"{encoded}:s"]}
        path = f"/global-groups/{GROUP}/members/add"
        await change({name: ("New", True, 2)}, "POST", path, both)
        renamed = {"member_name": "Old"}
        await change({name: ("Old", True, 2)}, "PATCH", f"/members/{encoded}", renamed)
        if random.random() < leaves:
            await change({name: NOTHING}, "DELETE", f"/members/{encoded}")

    async def server(self):
        """From its request, which an officer approves, perhaps to its deletion."""
        server = f"{OPERATOR.encoded}:S{self._next()}"
        name, change, requests = f"server {server}", self.world.change, "/management-requests"
        body = registration_of(server, self._authorities, "old.example.org")
        waiting = {name: ("WAITING", None, 0, False)}
        made = await change(waiting, "POST", requests, body, via=self._services)
        approved = {name: ("APPROVED", "old.example.org", 1, False)}
        await change(approved, "POST", f"{requests}/{made['id']}/approval")
        moved, body = {name: ("APPROVED", "new.example.org", 1, False)}, {}
        body["server_address"] = "new.example.org"
        await change(moved, "PATCH", f"/security-servers/{server}", body)
        if random.random() < 0.7:
            left = {name: ("APPROVED", None, 0, True)}
            await change(left, "DELETE", f"/security-servers/{server}")

    async def key(self):
        """Another key of a source: made, told of, put to use, and the old one deleted."""
        kind = random.choice(("INTERNAL", "EXTERNAL"))
        keys = await self.world.keys_of(kind)
        for key in keys:
            if not key["active"]:
                await self._delete(key)
        (old,) = (key for key in keys if key["active"])
        body = {"token_id": "0", "key_label": "next"}
        new = await self.world.add_key("POST", f"/configuration-sources/{kind}/signing-keys", body)
        if kind == "INTERNAL":
            await self._until_followers_know()
        then = {f"key {old['id']}": IDLE, f"key {new['id']}": SIGNING}
        await self.world.change(then, "PUT", f"/signing-keys/{new['id']}/activate")
        await self._delete(old)

    async def _delete(self, key):
        # Killed after the token and before the database, it leaves what can be deleted again.
        call = ("DELETE", f"/signing-keys/{key['id']}")
        await self.world.change({f"key {key['id']}": NOTHING}, *call, also=(LOST,))

    async def _until_followers_know(self):
        """Nobody activates a key that those who follow have not been told of."""
        anchor = read_anchor((await self.world.node.client.call("GET", ANCHOR)).content)
        while not all(each.knows(anchor.certificates) for each in self._followers):
            if self.world.stopping:
                raise Stopped
            await asyncio.sleep(0.05)

    async def backup(self):
        """A backup now and then."""
        await asyncio.sleep(random.uniform(0, 0.5))
        if not self.world.stopping:
            self.backups.add((await self.world.node.ask("POST", "/backups"))["filename"])


@dataclass
class Follower:
    """A configuration client that polls all the time; `always` if its source is never away."""

    client: Client
    always: bool
    rounds: Counter = field(default_factory=Counter)
    wrong: list = field(default_factory=list)

    async def follow(self):
        """Do rounds until cancelled, and note what was not valid."""
        while True:
            try:
                done = await self.client.refresh()
            except GlobalConfError as error:
                reasons = [str(each) for each in self.client.errors] or [str(error)]
                if self.always or not all("could not be fetched" in each for each in reasons):
                    self.wrong.append(reasons)
                self.rounds["away"] += 1
            else:
                self.rounds["changed" if done.changed else "same"] += 1
            await asyncio.sleep(0.1)

    def knows(self, certificates):
        """Whether all these keys have been announced to it."""
        announced = {
            certificate
            for source in self.client.shared().sources
            for certificate in source.internal_certificates
        }
        return set(certificates) <= announced


class Killing:
    """Kills, waits until all is well again, compares."""

    def __init__(self, node, world, changers, followers):
        self.node = node
        self.world = world
        self.changers = changers
        self.followers = followers
        self.kills = Counter()
        self.restored = Counter()
        self.recoveries = []
        self._waits = 0

    async def kill(self, *victims):
        """One round with these victims at once, while everything is changed."""
        await self._renew_if_need_be()
        async with self.changers.changing():
            await asyncio.sleep(random.uniform(0.1, 0.7))
            await self._strike(victims)
            await asyncio.sleep(0.1)
        await self.compare()

    async def kill_restoring(self, *victims):
        """One round in which a backup is being restored: all of it is, or nothing."""
        await self._renew_if_need_be()
        saved = await self.world.observe()
        backup = (await self.node.ask("POST", "/backups"))["filename"]
        self.world.stopping = False
        await self.changers.member(leaves=0)
        body = {"token_id": "0", "key_label": "new"}
        if len(await self.world.keys_of("EXTERNAL")) == 1:
            await self.node.ask("POST", "/configuration-sources/EXTERNAL/signing-keys", body)
        changed = await self.world.observe()
        assert changed != saved
        restoring = asyncio.create_task(self._restore(backup))
        await asyncio.sleep(random.uniform(0, 0.4))
        await self._strike(victims)
        answered = await restoring
        # After it, all processes are started anew.
        self._waits += 1
        there = await self._undisturbed(self.world.observe)
        assert there == saved or (there == changed and not answered)
        self.restored["as saved" if there == saved else "not at all"] += 1
        self.world.go_on_from(there)
        await self._undisturbed(self.compare)

    async def _undisturbed(self, look):
        """What a look gives while the server is not just being started anew."""
        async with asyncio.timeout(SECONDS):
            while True:
                await self._until_well()
                try:
                    return await look()
                except ApiUnreachable:
                    continue
                except ApiError as error:
                    if error.status < 500:
                        raise

    async def _restore(self, backup):
        try:
            await self.node.ask("PUT", f"/backups/{backup}/restore")
        except ApiUnreachable:
            return False
        except ApiError as error:
            # Without its signer it does not begin.
            if error.status < 500:
                raise
            return False
        return True

    async def _strike(self, victims):
        begun = time.monotonic()
        there = self.node.processes
        killed = {name: there[name] for name in victims if name in there}
        for pid in killed.values():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.kills.update(victims)
        self._waits += 1
        await until(
            lambda: all(self.node.processes.get(name, pid) != pid for name, pid in killed.items()),
            SECONDS,
            f"{victims} are started again",
        )
        await self._until_well()
        self.recoveries.append(time.monotonic() - begun)

    async def _renew_if_need_be(self):
        if self._waits >= KILLED_BEFORE_RENEWAL:
            async with self.changers.changing():
                await asyncio.sleep(random.uniform(0, 0.3))
                await self.node.kill()
                await self.node.start()
                await self._until_well()
            self._waits = 0
            self.kills["everything"] += 1
            await self.compare()

    async def _until_well(self):
        async def well():
            try:
                (token,) = await self.node.ask("GET", "/tokens")
            except (ApiUnreachable, ApiError):
                return False
            return token["logged_in"] and {"central", "signer"} <= set(self.node.processes)

        await until_true(well, "the server answers, and its token is open")

    async def compare(self):
        """The database is whole, and what is in it is what was acknowledged, and is published."""
        with closing(sqlite3.connect(self.node.layout.database, timeout=120)) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert database.execute("PRAGMA foreign_key_check").fetchall() == []
            keys = {key for (key,) in database.execute("SELECT key_id FROM central_signing_key")}
        await self.world.check()
        # What is announced is shown, so that it can be deleted.
        assert {f"key {key}" for key in keys} == {n for n in self.world.allowed if n[:4] == "key "}
        codes = {name.removeprefix("member ") for name in self.world.allowed if "member" in name}
        for follower in self.followers:
            await self._until_told(follower, codes | {OPERATOR.member_code})

    async def _until_told(self, follower, codes):
        deadline = time.monotonic() + SECONDS
        assert not follower.wrong
        while (members := follower.client.members()) != codes:
            assert time.monotonic() < deadline, (members ^ codes, follower.client.errors)
            await asyncio.sleep(0.05)

    async def check_backups(self):
        """Every backup that was acknowledged is there, and every one that is there is whole."""
        listed = {each["filename"] for each in await self.node.ask("GET", "/backups")}
        assert self.changers.backups <= listed
        layout = self.node.layout
        for name in random.sample(sorted(listed), min(5, len(listed))):
            command = ("gpg", "--homedir", layout.gnupg, "--batch", "--decrypt")
            arguments = [*command, layout.backups / name]
            done = await asyncio.to_thread(subprocess.run, arguments, capture_output=True)
            assert done.returncode == 0, done.stderr

    def tell(self, seconds):
        """What happened, for people."""
        kills = ", ".join(f"{name} {count}" for name, count in self.kills.items())
        rounds = "; ".join(str(dict(each.rounds)) for each in self.followers)
        world = self.world
        return (
            f"\nkills: {self.kills.total()} in {seconds:.0f} s ({kills})\n"
            f"changes: {world.done} acknowledged, {world.doubtful} unanswered, {world.refused}"
            f" refused; backups {len(self.changers.backups)}; restored {dict(self.restored)}\n"
            f"rounds of clients: {rounds}\n"
            f"recovery: median {median(self.recoveries):.2f} s, most {max(self.recoveries):.2f} s\n"
        )


@asynccontextmanager
async def following(*followers):
    """Let clients follow while the block runs."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(each.follow()) for each in followers]
        yield
        for task in tasks:
            task.cancel()


@pytest.fixture
async def killing(tmp_path, anyio_backend):
    node = node_at(tmp_path, ADDRESS)
    authorities = make_authorities(topology_at(ADDRESS))
    async with running(node), Fetcher() as fetcher:
        anchor = await found(node, authorities)
        await node.ask("POST", "/global-groups", {"code": GROUP, "description": "Everybody"})
        made = await node.ask("POST", "/api-keys", ["XROAD_MANAGEMENT_SERVICE"])
        services = node.client_with(ApiKey(made["key"]))
        # What is published stays readable, whoever is killed.
        files = await serve_app(Distribution(node.layout.published).app, ADDRESS, 0)
        source = replace(read_anchor(anchor).sources[0], url=f"{files.url}/internalconf")
        copied = write_anchor(replace(read_anchor(anchor), sources=(source,)))
        followers = [
            Follower(Client(tmp_path / "over-http", anchor, fetcher), always=False),
            Follower(Client(tmp_path / "of-files", copied, fetcher), always=True),
        ]
        world = World(node)
        world.go_on_from(await world.observe())
        changers = Changers(world, authorities, services, followers)
        try:
            for follower in followers:
                await follower.client.refresh()
            async with following(*followers):
                yield Killing(node, world, changers, followers)
        finally:
            await services.close()
            await files.close()


@pytest.mark.feature("CC-01")
@pytest.mark.feature("BK-03")
async def test_a_few_kills_leave_everything_whole(killing, capsys):
    await kill_all(killing, 10, capsys)


@pytest.mark.soak
async def test_hundreds_of_kills_leave_everything_whole(killing, capsys):
    await kill_all(killing, KILLS, capsys)


async def kill_all(killing, count, capsys):
    """Kill so many times, each of the processes and all, and some of them in a restoration."""
    begun = time.monotonic()
    rounds = 0
    while killing.kills.total() < count:
        if rounds % 4 == 2:
            await killing.kill_restoring(*random.choice(VICTIMS))
        else:
            await killing.kill(*VICTIMS[rounds % len(VICTIMS)])
        rounds += 1
    await killing.check_backups()
    with capsys.disabled():
        sys.stdout.write(killing.tell(time.monotonic() - begun))
