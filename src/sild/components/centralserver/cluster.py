"""The nodes that share a database, and how each of them fares with the global configuration."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from sild.components.centralserver.system import Node, put_row, read_parameters
from sild.components.centralserver.system_tables import NODE
from sild.runtime.clock import Clock
from sild.runtime.database import Database

_GRACE = timedelta(seconds=10)


class NodeState(Enum):
    """How long ago a node generated configuration."""

    OK = "OK"
    WARN = "WARN"
    ERROR = "ERROR"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Generation:
    """When a node last generated configuration, and since when it has been failing."""

    generated: datetime | None = None
    failing_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class ClusterNode:
    """A node of the cluster as all of them see it."""

    name: str
    address: str
    generated: datetime | None
    state: NodeState


@dataclass(frozen=True, slots=True)
class Cluster:
    """The nodes; `interval` is how often each generates configuration."""

    database: Database
    node: Node
    interval: timedelta
    clock: Clock

    async def succeeded(self) -> None:
        """Say that this node has generated configuration just now."""
        await self._put({"generated": self.clock.now(), "failing_since": None})

    async def failed(self) -> None:
        """Say that this node could not generate configuration just now."""
        async with self.database.transaction() as connection:
            if (await _read(connection)).get(self.node.name, Generation()).failing_since is None:
                row = {"name": self.node.name, "failing_since": self.clock.now()}
                await put_row(connection, NODE, row, ("name",))

    async def generation(self) -> Generation:
        """How this node fares."""
        async with self.database.reading() as connection:
            return (await _read(connection)).get(self.node.name, Generation())

    async def nodes(self) -> tuple[ClusterNode, ...]:
        """Every node that has an address, by name; raises ParameterUnusable."""
        async with self.database.reading() as connection:
            parameters = await read_parameters(connection, self.node)
            known = await _read(connection)
        expires = timedelta(seconds=parameters.conf_expire_seconds)
        return tuple(
            self._node(name, address, known.get(name, Generation()), expires)
            for name, address in sorted(parameters.addresses.items())
        )

    def _node(
        self, name: str, address: str, generation: Generation, expires: timedelta
    ) -> ClusterNode:
        generated = generation.generated
        if generated is None:
            return ClusterNode(name, address, None, NodeState.UNKNOWN)
        age = self.clock.now() - generated
        if age > expires:
            state = NodeState.ERROR
        elif age > self.interval + _GRACE:
            state = NodeState.WARN
        else:
            state = NodeState.OK
        return ClusterNode(name, address, generated, state)

    async def _put(self, values: Mapping[str, object]) -> None:
        async with self.database.transaction() as connection:
            await put_row(connection, NODE, {"name": self.node.name, **values}, ("name",))


async def _read(connection: AsyncConnection) -> Mapping[str, Generation]:
    rows = await connection.execute(select(NODE))
    return {row.name: Generation(row.generated, row.failing_since) for row in rows}
