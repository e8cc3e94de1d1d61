from datetime import timedelta

import pytest

from components.centralserver.nodes import WANTED, Instance
from sild.components.centralserver.cluster import NodeState
from sild.components.centralserver.system import Node

pytestmark = pytest.mark.anyio


async def states(instance):
    return [(node.name, node.address, node.state) for node in await instance.cluster.nodes()]


async def test_a_node_that_never_generated_is_unknown(database):
    instance = Instance(database)
    assert await states(instance) == []
    await instance.initialization.initialize(WANTED)
    assert await states(instance) == [("node_0", "cs.example.org", NodeState.UNKNOWN)]


@pytest.mark.parametrize(
    ("seconds", "state"),
    [
        (0, NodeState.OK),
        (69, NodeState.OK),
        (72, NodeState.WARN),
        (599, NodeState.WARN),
        (602, NodeState.ERROR),
    ],
)
async def test_a_node_grows_worse_the_longer_it_did_not_generate(database, seconds, state):
    instance = Instance(database)
    await instance.initialization.initialize(WANTED)
    await instance.cluster.succeeded()
    instance.clock.turn(timedelta(seconds=seconds))
    assert [each[2] for each in await states(instance)] == [state]


async def test_every_node_sees_every_node(database):
    first, second = Instance(database), Instance(database, Node("node_1", is_ha=True))
    await first.initialization.initialize(WANTED)
    await second.system.change_address("cs2.example.org")
    await second.cluster.succeeded()
    expected = [
        ("node_0", "cs.example.org", NodeState.UNKNOWN),
        ("node_1", "cs2.example.org", NodeState.OK),
    ]
    assert await states(first) == await states(second) == expected


async def test_a_failing_node_remembers_since_when(database):
    cluster = Instance(database).cluster
    await cluster.failed()
    since = (await cluster.generation()).failing_since
    cluster.clock.turn(timedelta(minutes=1))
    await cluster.failed()
    assert (await cluster.generation()).failing_since == since
    await cluster.succeeded()
    assert (await cluster.generation()).failing_since is None
    cluster.clock.turn(timedelta(minutes=1))
    await cluster.failed()
    generation = await cluster.generation()
    assert generation.failing_since > generation.generated
