"""A provider with two security servers: the fastest is taken and remembered, the other steps in."""

import time
from dataclasses import replace

import pytest

from ecosystem.duo import HEALTH, PROVIDER, REGISTER, Duo, plan_at
from ecosystem.faults import FaultyNetwork, full, silent
from ecosystem.ledger import recorded_by
from sild.components.messagelog.errors import RecordNotFound
from sild.devnet.ecosystem import Intervals
from sild.devnet.topology import PlannedServer
from sild.protocol.ids import SecurityServerId

NETWORK = "127.0.18"
SECOND = SecurityServerId(HEALTH, "health-2")
PLACES = {PROVIDER: f"{NETWORK}.2", SECOND: f"{NETWORK}.4"}
NOBODY, SILENT, FULL = f"{NETWORK}.9", f"{NETWORK}.5", f"{NETWORK}.6"
CONNECT_SECONDS = 10.0
MEMORY_SECONDS = 10.0
PROXY = (
    ("connect-seconds", str(CONNECT_SECONDS)),
    ("answer-seconds", "20.0"),
    ("route-memory-seconds", str(MEMORY_SECONDS)),
)

pytestmark = pytest.mark.feature("PX-11")


class Trio(Duo):
    """The consumer, and the two servers of the provider."""

    async def lead(self, **changes):
        """Let the configuration say this of the servers (first, second), else what is true."""
        registry = self.true_registry
        for server, name in ((PROVIDER, "first"), (SECOND, "second")):
            known = replace(registry.get_server(server), **changes.get(name, {}))
            registry = registry.with_server(known)
        self.publish(registry)
        await self.consumer.control.refresh()
        await self.consumer.worker.reload()

    async def ask(self):
        """Call; gives the error, or the server that served; and the seconds it took."""
        begun = time.monotonic()
        answer = await self.call("/echo", content=b"a body")
        seconds = time.monotonic() - begun
        if answer.status_code != 200:
            return answer.headers["x-road-error"], seconds
        query = answer.headers["x-road-id"]
        (served,) = [
            server
            for server in PLACES
            if (query, True) in await recorded_by(self.servers[server].layout)
        ]
        return served, seconds


@pytest.fixture(scope="module")
async def trio(tmp_path_factory, anyio_backend):
    plan = plan_at(
        NETWORK, tmp_path_factory.mktemp("failover"), proxy=PROXY, intervals=Intervals(refresh=0.1)
    )
    second = PlannedServer(SECOND, PLACES[SECOND], (REGISTER,))
    topology = replace(plan.topology, servers=(*plan.topology.servers, second))
    async with Trio(replace(plan, topology=topology)) as trio:
        trio.true_registry = trio.registry
        async with FaultyNetwork({}) as network:
            port = trio.provider.ports.server
            await network.listen(SILENT, port, silent)
            with full(FULL, port):
                await trio.until_served(120)
                yield trio


@pytest.fixture(autouse=True)
async def sound(trio):
    """The configuration tells the truth before a test."""
    await trio.lead()
    await trio.until_served(120)


async def test_the_server_that_was_chosen_is_remembered_and_chosen_again_after_a_while(trio):
    chosen, _ = await trio.ask()
    assert {(await trio.ask())[0] for _ in range(3)} == {chosen}
    deadline = time.monotonic() + 20 * MEMORY_SECONDS
    (other,) = PLACES.keys() - {chosen}
    elsewhere = {("first" if chosen is PROVIDER else "second"): {"address": FULL}}
    await trio.lead(**elsewhere)
    assert (await trio.ask())[0] == other
    await trio.lead()
    # Both are as fast as each other: soon the choice falls on the first one again.
    while (await trio.ask())[0] == other:
        assert time.monotonic() < deadline


@pytest.mark.parametrize(
    "where", [NOBODY, FULL, SILENT], ids=["refused", "no-answer", "tls-silent"]
)
@pytest.mark.parametrize("which", ["first", "second"])
async def test_a_server_that_cannot_be_reached_costs_little_and_that_once(trio, which, where):
    await trio.lead(**{which: {"address": where}})
    expected = SECOND if which == "first" else PROVIDER
    told = [await trio.ask() for _ in range(4)]
    assert {served for served, _ in told} == {expected}
    first, *others = [seconds for _, seconds in told]
    assert first < CONNECT_SECONDS
    # A machine that is busy may slow one down, but not each.
    assert min(others) < 1


@pytest.mark.feature("MM-03")
@pytest.mark.parametrize("which", ["first", "second"])
async def test_a_server_in_maintenance_is_passed_over(trio, which):
    await trio.lead(**{which: {"maintenance": "until noon"}})
    expected = SECOND if which == "first" else PROVIDER
    assert {(await trio.ask())[0] for _ in range(3)} == {expected}


async def test_with_all_servers_down_it_is_a_fault_of_the_network(trio):
    await trio.lead(first={"address": NOBODY}, second={"address": FULL})
    code, seconds = await trio.ask()
    assert code == "server.clientproxy.network_error"
    assert seconds < 2 * CONNECT_SECONDS


@pytest.mark.feature("ML-16")
async def test_each_server_of_a_provider_keeps_a_log_of_its_own(trio, tmp_path):
    answer = await trio.call("/echo", content=b"a body")
    query = answer.headers["x-road-id"]
    (served,) = [
        place for place in PLACES if (query, True) in await recorded_by(trio.servers[place].layout)
    ]
    (other,) = PLACES.keys() - {served}
    path = await trio.servers[served].control.export_container(
        query, REGISTER, True, str(tmp_path / "answer.asice")
    )
    assert path.endswith(".asice")
    with pytest.raises(RecordNotFound):
        await trio.servers[other].control.export_container(
            query, REGISTER, True, str(tmp_path / "nothing.asice")
        )


@pytest.mark.feature("PX-05")
async def test_a_server_that_does_not_prove_itself_is_passed_over_or_told_of(trio):
    """Its certificate is registered no more; with the other one down, that is the error."""
    unregistered = {"auth_cert_hashes": ()}
    await trio.lead(second=unregistered)
    assert {(await trio.ask())[0] for _ in range(3)} == {PROVIDER}
    await trio.lead(first={"address": NOBODY}, second=unregistered)
    code, _ = await trio.ask()
    assert code == "server.clientproxy.ssl_authentication_failed"
    await trio.lead(second=unregistered)
    assert (await trio.ask())[0] == PROVIDER


async def test_when_a_server_stops_the_other_one_serves_and_then_the_first_again(trio):
    await trio.stop(trio.servers[PROVIDER])
    assert (await trio.ask())[0] == SECOND
    await trio.servers[PROVIDER].start()
    await trio.servers[PROVIDER].ready()
    await trio.stop(trio.servers[SECOND])
    assert (await trio.ask())[0] == PROVIDER
