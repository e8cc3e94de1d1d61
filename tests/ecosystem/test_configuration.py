"""The global configuration as running security servers get it, believe it, and stop without it."""

import asyncio
from dataclasses import replace

import httpx
import pytest

from ecosystem.held import tls_of
from ecosystem.letters import path_to, said_in
from ecosystem.papers import Papers
from ecosystem.plan import NOBODY, OPERATOR, POLICE, POLICE_SERVER, PORTAL
from ports import base_port
from scripted.ecosystem import ScriptedEcosystem
from sild.components.confclient.cache import read_cached
from sild.devnet.ecosystem import Intervals, Plan
from sild.devnet.topology import PlannedMember, PlannedServer, PlannedSubsystem, Topology
from sild.protocol.globalconf.directory import PartKind
from sild.protocol.globalconf.shared_parameters import GlobalGroup
from sild.protocol.ids import GlobalGroupId
from sild.runtime.clock import SystemClock
from sild.runtime.http_client import ClientLimits, HttpClientPool, RequestHead, Target
from sild.runtime.tls import TlsPolicy, unverified_client_context

NEW = GlobalGroup(GlobalGroupId("TEST", "new"), "A group", (PORTAL,))


@pytest.fixture
def status(devnet):
    """What the police server says of its configuration, after it has asked for a newer one."""

    def ask():
        async def refresh():
            await devnet.police.control.refresh()
            await devnet.police.worker.reload()
            return await devnet.police.control.status()

        return devnet.run(refresh())

    return ask


@pytest.fixture
def publisher(devnet):
    """The publisher, whose state is put back in the end; it does nothing of itself meanwhile."""
    publisher, registry = devnet.ecosystem.publisher, devnet.ecosystem.registry
    settings = publisher._settings
    publisher.frozen = True
    yield publisher
    publisher._settings, publisher.frozen = settings, False
    devnet.run(devnet.publish(registry))


def held_groups(devnet):
    conf = read_cached(devnet.police.layout.globalconf).conf
    return conf.global_groups_of(PORTAL)


@pytest.fixture
def works(devnet, http):
    """Check that messages go through."""

    def check():
        url = devnet.police.http_url + path_to("open")
        answer = http.get(url, headers={"X-Road-Client": PORTAL.short})
        assert answer.status_code == 200, answer.text

    return check


@pytest.mark.feature("SP-06")
def test_what_is_published_is_known_to_the_servers(devnet, publisher, status, works):
    registry = devnet.ecosystem.registry
    publisher.publish(replace(registry, groups=(*registry.groups, NEW)))
    assert status().configuration_error is None
    assert NEW.id in held_groups(devnet)
    works()


def _flip(data, at):
    return data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :]


class Spoilt:
    """Ways to spoil what is published; the signature was true once."""

    def part(self, issue):
        name = PartKind.SHARED_PARAMETERS.file_name
        files = {**issue.files, name: issue.files[name].replace(b"127.0.0.32", b"127.0.0.99")}
        return replace(issue, files=files)

    def missing_part(self, issue):
        return replace(issue, files={})

    def directory(self, issue):
        name = "internalconf"
        data = issue.directories[name]
        changed = _flip(data, data.index(b"Expire-date") + 20)
        return replace(issue, directories={**issue.directories, name: changed})

    def signature(self, issue):
        name = "internalconf"
        data = issue.directories[name]
        at = data.index(b"Verification-certificate-hash")
        changed = _flip(data, data.index(b"\n\r\n" if b"\n\r\n" in data[at:] else b"\n\n", at) + 20)
        return replace(issue, directories={**issue.directories, name: changed})

    def other_directory(self, issue):
        """That of other instances: another key signs it."""
        directories = {**issue.directories, "internalconf": issue.directories["externalconf"]}
        return replace(issue, directories=directories)

    def nothing(self, issue):
        return replace(issue, directories={})


@pytest.mark.feature("SP-06")
@pytest.mark.parametrize(
    "spoil",
    [
        Spoilt.part,
        Spoilt.missing_part,
        Spoilt.directory,
        Spoilt.signature,
        Spoilt.other_directory,
        Spoilt.nothing,
    ],
    ids=lambda spoil: spoil.__name__,
)
def test_configuration_that_was_changed_is_refused(devnet, publisher, status, works, spoil):
    """The one held stays, and messages go on."""
    registry = devnet.ecosystem.registry
    publisher.publish(replace(registry, groups=(*registry.groups, NEW)))
    name, issue = list(publisher._issues.items())[-1]
    publisher._issues[name] = spoil(Spoilt(), issue)
    assert status().configuration_error
    assert NEW.id not in held_groups(devnet)
    works()


@pytest.mark.feature("SP-06")
def test_configuration_of_before_is_refused(devnet, publisher, status, works):
    """A signed directory of before, given again, would take rights and revocations back."""
    registry = devnet.ecosystem.registry
    publisher.publish(replace(registry, groups=(*registry.groups, NEW)))
    name, before = list(publisher._issues.items())[-1]
    assert status().configuration_error is None
    seconds = publisher._settings.expire_seconds
    publisher._settings = replace(publisher._settings, expire_seconds=seconds + 60)
    publisher.publish(registry)
    held = status()
    assert held.configuration_error is None
    # The last that was published is what is served.
    del publisher._issues[name]
    publisher._issues[name] = before
    now = status()
    assert "expires" in now.configuration_error
    assert now.configuration_expires == held.configuration_expires
    assert NEW.id not in held_groups(devnet)
    works()


@pytest.mark.feature("SP-06")
def test_configuration_that_is_valid_for_shorter_than_before_counts_at_once(
    devnet, publisher, status, works
):
    held = status().configuration_expires
    seconds = publisher._settings.expire_seconds
    publisher._settings = replace(publisher._settings, expire_seconds=seconds // 2)
    registry = devnet.ecosystem.registry
    publisher.publish(replace(registry, groups=(*registry.groups, NEW)))
    now = status()
    assert now.configuration_error is None
    assert now.configuration_expires < held
    assert NEW.id in held_groups(devnet)
    works()


@pytest.mark.feature("SP-07")
def test_a_new_signing_key_is_believed_when_the_old_one_has_announced_it(
    devnet, publisher, status, works
):
    anchor = devnet.police.layout.anchor_file.read_bytes()
    publisher.rotate()
    devnet.run(devnet.refresh())
    assert status().configuration_error is None
    registry = devnet.ecosystem.registry
    publisher.publish(replace(registry, groups=(*registry.groups, NEW)))
    assert publisher.anchor() != anchor
    assert status().configuration_error is None
    assert NEW.id in held_groups(devnet)
    assert devnet.police.layout.anchor_file.read_bytes() == anchor
    works()
    devnet.run(devnet.publish(registry))


@pytest.mark.feature("SP-07")
def test_a_signing_key_that_was_not_announced_is_refused(devnet, publisher, status, works):
    registry = devnet.ecosystem.registry
    before = status().configuration_expires
    keys, active = list(publisher._keys), publisher._active
    try:

        async def rotate_and_publish():
            # At once, so that nobody asks in between and is told of the key.
            publisher.rotate()
            publisher.publish(replace(registry, groups=(*registry.groups, NEW)))

        devnet.run(rotate_and_publish())
        assert status().configuration_error
        assert NEW.id not in held_groups(devnet)
        assert status().configuration_expires == before
        works()
    finally:
        publisher._keys, publisher._active = keys, active


LIFETIME = 10
BRIEF = Topology(
    instance="TEST",
    member_classes=(("GOV", "Authorities"),),
    members=(
        PlannedMember(OPERATOR, "Operator", (PlannedSubsystem(OPERATOR.subsystem("m"), "M"),)),
        PlannedMember(POLICE, "Police", (PlannedSubsystem(PORTAL, "Portal"),)),
    ),
    servers=(PlannedServer(POLICE_SERVER, "127.0.0.36", (PORTAL,)),),
    management=OPERATOR.subsystem("m"),
    central_address="127.0.0.35",
)


@pytest.mark.feature("PX-28")
async def test_servers_stop_when_their_configuration_has_expired(tmp_path):
    """Nobody signs it anew: both sides refuse, whatever they are asked, and begin again after."""
    intervals = Intervals(configuration=1, retry=1, configuration_expires=LIFETIME)
    async with ScriptedEcosystem(Plan(BRIEF, tmp_path, base_port(), intervals)) as ecosystem:
        server = ecosystem.servers[POLICE_SERVER]
        assert await consumer_says(server) == "server.clientproxy.unknown_member"
        assert await provider_says(server) != "server.serverproxy.global_conf_outdated"
        ecosystem.publisher.frozen = True
        await asyncio.sleep(LIFETIME + 1)
        assert await consumer_says(server) == "server.clientproxy.global_conf_outdated"
        assert await provider_says(server) == "server.serverproxy.global_conf_outdated"
        ecosystem.publisher.frozen = False
        for _ in range(1200):
            await asyncio.sleep(0.1)
            if await consumer_says(server) == "server.clientproxy.unknown_member":
                break
        else:
            pytest.fail("the server did not begin again")


async def consumer_says(server):
    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
        url = server.http_url + path_to("open", provider=NOBODY)
        answer = await http.get(url, headers={"X-Road-Client": PORTAL.short})
        return answer.headers["X-Road-Error"]


async def provider_says(server):
    identity = tls_of(Papers.of_a_stranger(SystemClock()).authentication(POLICE_SERVER))
    context = unverified_client_context(TlsPolicy(), identity)
    target = Target(server.plan.address, server.ports.server, context)
    head = RequestHead(b"POST", b"/", [(b"x-road-message-type", b"REST")])
    async with (
        HttpClientPool(ClientLimits()) as pool,
        pool.exchange(target, head, b"") as answer,
    ):
        body = await answer.body.read_all(1 << 20)
        return said_in(answer.status, answer.header(b"content-type"), body).code
