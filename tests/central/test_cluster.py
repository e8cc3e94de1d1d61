"""Two nodes on one PostgreSQL: each with keys and an address of its own, either of them enough."""

import os
import signal
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from central.nodes import PIN, SECONDS, Client, found, node_at, ports_at, running, until_true
from ecosystem.processes import until
from sild.apiclient.errors import ApiError
from sild.protocol.errors import GlobalConfError
from sild.protocol.globalconf.anchor import read_anchor, write_anchor
from sild.runtime.fetch import Fetcher

FIRST, SECOND = "127.0.73.1", "127.0.73.2"
STATUS = "/system/high-availability-cluster/status"
ANCHOR = "/configuration-sources/INTERNAL/anchor/download"


@pytest.fixture(scope="module")
async def cluster(tmp_path_factory, postgres, anyio_backend):
    """Both nodes, started at once on an empty database, and the instance made on them."""
    url = postgres.new_database()
    directory = tmp_path_factory.mktemp("cluster")
    # An anchor names every node with the ports that its own maker has.
    ports = ports_at(FIRST, SECOND)
    nodes = [
        node_at(directory, address, {"center": {
            "database": url, "high-availability": True, "ha-node-name": f"node_{number}"
        }}, ports=ports)
        for number, address in enumerate((FIRST, SECOND))
    ]  # fmt: skip
    async with running(*nodes):
        first, second = nodes
        await found(first)
        await join(second)
        yield first, second, lambda statement: postgres.sql(url, statement)
    # Whatever has been done to them, no process has failed in a way that it did not expect.
    assert all("Traceback" not in node.log for node in nodes)


async def join(node):
    """Make a node of an instance that is there."""
    await node.ask("POST", "/initialization", {
        "software_token_pin": PIN,
        "instance_identifier": "OTHER",
        "central_server_address": node.plan.address,
    })  # fmt: skip
    await node.open_token()
    for kind in ("INTERNAL", "EXTERNAL"):
        key = {"key_label": "key", "token_id": "0"}
        await node.ask("POST", f"/configuration-sources/{kind}/signing-keys", key)
    await until((node.layout.published / "V6" / "internalconf").exists, SECONDS, "publication")


@pytest.fixture
async def fetcher():
    async with Fetcher() as fetcher:
        yield fetcher


async def anchor_of(node):
    return (await node.client.call("GET", ANCHOR)).content


async def states(node):
    """How the nodes fare, as one of them sees it."""
    status = await node.ask("GET", STATUS)
    return {each["node_name"]: each["status"] for each in status["nodes"]}


@pytest.mark.feature("CH-01")
async def test_a_node_joins_the_instance_that_is_there(cluster):
    for number, node in enumerate(cluster[:2]):
        status = await node.ask("GET", "/system/status")
        assert status["initialization_status"] == {
            "instance_identifier": "DEV",
            "central_server_address": node.plan.address,
            "software_token_init_status": "INITIALIZED",
        }
        configured = {"is_ha_configured": True, "node_name": f"node_{number}"}
        assert status["high_availability_status"] == configured
        classes = await node.ask("GET", "/member-classes")
        assert [each["code"] for each in classes] == ["GOV"]
        assert "ended with" not in node.log


@pytest.mark.feature("CH-02")
async def test_each_node_has_keys_of_its_own_and_the_anchor_has_both(cluster):
    first, second, _ = cluster
    keys = {}
    for node in (first, second):
        (token,) = await node.ask("GET", "/tokens")
        keys[node] = {key["id"] for key in token["configuration_signing_keys"]}
        assert len(keys[node]) == 2
    assert keys[first].isdisjoint(keys[second])
    anchor = read_anchor(await anchor_of(first))
    assert await anchor_of(second) == await anchor_of(first)
    assert [each.url for each in anchor.sources] == [
        first.configuration_url,
        second.configuration_url,
    ]
    of_first, of_second = (set(source.certificates) for source in anchor.sources)
    assert len(of_first) == len(of_second) == 1
    assert of_first.isdisjoint(of_second)
    # What is another node's is for that node to change.
    for key in keys[second]:
        with pytest.raises(ApiError) as refused:
            await first.ask("DELETE", f"/signing-keys/{key}")
        assert refused.value.code == "signing_key_not_found"


@pytest.mark.feature("CH-02")
async def test_an_address_is_a_node_s_own(cluster):
    first, second, _ = cluster
    await second.ask("PUT", "/system/server-address", {"central_server_address": "localhost"})
    try:
        for node, address in ((first, FIRST), (second, "localhost")):
            status = await node.ask("GET", "/system/status")
            assert status["initialization_status"]["central_server_address"] == address
        urls = [source.url for source in read_anchor(await anchor_of(first)).sources]
        assert urls[0] == first.configuration_url
        assert "//localhost:" in urls[1]
    finally:
        await second.ask("PUT", "/system/server-address", {"central_server_address": SECOND})


@pytest.mark.feature("CH-01")
async def test_an_account_and_a_key_hold_on_every_node(cluster):
    first, second, _ = cluster
    async with second.http(**await first.key("REGISTRATION_OFFICER")) as http:
        assert (await http.get("/api/v1/global-groups")).status_code == 200
        assert (await http.get("/api/v1/tokens")).status_code == 403


@pytest.mark.feature("CH-01")
async def test_a_change_through_one_node_is_published_by_both(cluster, fetcher, tmp_path):
    first, second, _ = cluster
    anchor = await anchor_of(first)
    for number, node in enumerate((first, second)):
        await add_member(node, f"C{number}")
    for node in (first, second):
        client = Client(tmp_path / node.plan.address, anchor, fetcher)
        client.follow(only(anchor, node))
        await until_has(client, {"C0", "C1"})
        assert {source.address for source in client.shared().sources} == {
            f"{each.plan.address}:{each.plan.ports.configuration}" for each in (first, second)
        }


def only(anchor, node):
    """The anchor with one node's source and everybody's keys."""
    told = read_anchor(anchor)
    source = next(each for each in told.sources if each.url == node.configuration_url)
    return write_anchor(replace(told, sources=(source,)))


async def add_member(node, code):
    member = {"member_class": "GOV", "member_code": code}
    await node.ask("POST", "/members", {"member_id": member, "member_name": f"Member {code}"})


async def until_has(client, codes):
    """Come back when a client has been told of these members; what fails meanwhile is tried again."""

    async def has():
        try:
            await client.refresh()
        except GlobalConfError:
            return False
        return codes <= client.members()

    await until_true(has, f"a configuration with {codes}")


def freeze_outside_of_transactions(pid, sql):
    """Stop a process where it holds no row that others want."""
    while True:
        os.kill(pid, signal.SIGSTOP)
        try:
            sql("SET lock_timeout = '2s'; SELECT 1 FROM central_node FOR UPDATE")
        except AssertionError:
            os.kill(pid, signal.SIGCONT)
        else:
            return


@pytest.mark.feature("CH-03")
async def test_every_node_tells_how_all_fare(cluster):
    first, second, sql = cluster
    for node in (first, second):
        status = await node.ask("GET", STATUS)
        assert status["is_ha_configured"] is True
        assert [each["node_address"] for each in status["nodes"]] == [FIRST, SECOND]
        assert status["all_nodes_ok"] is True
    frozen = second.processes["central"]
    freeze_outside_of_transactions(frozen, sql)
    try:
        assert (await states(first))["node_1"] == "OK"
        # Time passes for it by putting back when it did something.
        for age, state in ((30, "WARN"), (590, "WARN"), (610, "ERROR"), (None, "UNKNOWN")):
            moment = "NULL"
            if age is not None:
                moment = f"'{datetime.now(UTC) - timedelta(seconds=age):%Y-%m-%d %H:%M:%S+00}'"
            sql(f"UPDATE central_node SET generated = {moment} WHERE name = 'node_1'")
            assert await states(first) == {"node_0": "OK", "node_1": state}
            assert (await first.ask("GET", STATUS))["all_nodes_ok"] is False
    finally:
        os.kill(frozen, signal.SIGCONT)

    async def all_well():
        return (await first.ask("GET", STATUS))["all_nodes_ok"]

    await until_true(all_well, "the node is well again")


@pytest.mark.feature("CH-01")
async def test_what_is_published_outlives_the_database_and_changes_wait_for_it(
    cluster, postgres, fetcher, tmp_path
):
    first, second, _ = cluster
    client = Client(tmp_path / "client", await anchor_of(first), fetcher)
    postgres.stop("immediate")
    try:
        await client.refresh()
        for node in (first, second):
            with pytest.raises(ApiError) as refused:
                await add_member(node, "D")
            assert refused.value.status == 503
    finally:
        postgres.start()
    for node, code in ((first, "D0"), (second, "D1")):
        await until_true(lambda node=node, code=code: is_added(node, code), "a change is taken")
    await until_has(client, {"D0", "D1"})
    assert "D" not in client.members()


async def is_added(node, code):
    try:
        await add_member(node, code)
    except ApiError as refused:
        if refused.status != 503:
            raise
        return False
    return True


@pytest.mark.feature("CH-01")
async def test_clients_go_on_with_the_other_node_when_either_is_killed(cluster, fetcher, tmp_path):
    first, second, _ = cluster
    client = Client(tmp_path / "client", await anchor_of(first), fetcher)
    await until_has(client, {"M1"})
    for number, (killed, other) in enumerate(((first, second), (second, first))):
        await killed.kill()
        await add_member(other, f"K{number}")
        await until_has(client, {f"K{number}"})
        assert client.locations == [other.configuration_url]
        await killed.start_again()
        await add_member(killed, f"B{number}")
        await until_has(client, {f"B{number}"})
    codes = {"K0", "B0", "K1", "B1"}
    for node in (first, second):
        page = await node.ask("GET", "/clients", query={"client_type": "MEMBER", "limit": 100})
        assert codes <= {each["client_id"]["member_code"] for each in page["clients"]}
