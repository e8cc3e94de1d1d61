"""Anchors of this instance's own sources: made anew whenever a key or an address changes.

An anchor names every node's address, first over HTTP and then over HTTPS as existing clients
expect, each with all signing keys of that node.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from sild.components.centralserver.source_errors import (
    ConfigurationNotFound,
    InstanceNotSet,
    NoSigningKeys,
)
from sild.components.centralserver.source_rows import (
    SourceAnchor,
    SourceKind,
    SourceRows,
    keys_by_node,
)
from sild.components.centralserver.system import Node, SystemParameters, read_parameters
from sild.protocol.globalconf.anchor import Anchor, Source, write_anchor
from sild.runtime.clock import Clock
from sild.runtime.database import Database

_SCHEMES = ("http", "https")


@dataclass(frozen=True, slots=True)
class AnchorFile:
    """An anchor to hand out, and the name of its file."""

    name: str
    document: bytes


class SourceAnchors:
    """The anchors that this node hands out."""

    def __init__(self, database: Database, node: Node, clock: Clock) -> None:
        self.database = database
        self.node = node
        self._clock = clock

    async def find(self, kind: SourceKind) -> SourceAnchor | None:
        """The anchor of a source, if it has been made."""
        async with self.database.reading() as connection:
            return await SourceRows(connection).find_anchor(kind, self.node.name)

    async def file(self, kind: SourceKind) -> AnchorFile:
        """The anchor of a source as a file; raises ConfigurationNotFound."""
        async with self.database.reading() as connection:
            found = await SourceRows(connection).find_anchor(kind, self.node.name)
            parameters = await read_parameters(connection, self.node)
        if found is None:
            raise ConfigurationNotFound(f"the {kind.value} source has no anchor yet")
        name = f"configuration_anchor_{parameters.instance}_{kind.value}_UTC_{stamp(found)}.xml"
        return AnchorFile(name, found.document)

    async def recreate(self, kind: SourceKind) -> SourceAnchor:
        """Make the anchor of a source anew; raises InstanceNotSet, NoSigningKeys."""
        async with self.database.transaction() as connection:
            return await self.recreate_in(connection, kind)

    async def recreate_in(self, connection: AsyncConnection, kind: SourceKind) -> SourceAnchor:
        """Make the anchor of a source anew, in a transaction under way."""
        rows = SourceRows(connection)
        parameters = await read_parameters(connection, self.node)
        if not parameters.instance:
            raise InstanceNotSet("the Central Server has no instance identifier yet")
        keys = keys_by_node(await rows.keys(), kind)
        if self.node.name not in keys:
            raise NoSigningKeys(f"the {kind.value} source has no signing keys")
        now = self._clock.now()
        sources = tuple(
            Source(
                address_of(parameters, kind, node, scheme), tuple(key.certificate for key in held)
            )
            for scheme in _SCHEMES
            if scheme == "http" or parameters.ports.configuration_https
            for node, held in keys.items()
            if parameters.addresses.get(node)
        )
        document = write_anchor(Anchor(parameters.instance, sources, now))
        anchor = SourceAnchor(document, now)
        await rows.set_anchor(kind, anchor)
        return anchor

    async def recreate_anchors(self, connection: AsyncConnection) -> None:
        """Make the anchors of the sources that have signing keys anew, in this transaction."""
        keys = await SourceRows(connection).keys()
        for kind in SourceKind:
            if self.node.name in keys_by_node(keys, kind):
                await self.recreate_in(connection, kind)

    async def download_url(self, kind: SourceKind) -> str:
        """Where this node publishes the directory of a source."""
        async with self.database.reading() as connection:
            parameters = await read_parameters(connection, self.node)
        scheme = "https" if parameters.ports.configuration_https else "http"
        return address_of(parameters, kind, self.node.name, scheme)


def address_of(parameters: SystemParameters, kind: SourceKind, node: str, scheme: str) -> str:
    """Where a node publishes the directory of a source."""
    place = parameters.ports.place(parameters.addresses.get(node, ""), scheme)
    return f"{scheme}://{place}/{kind.directory}"


def stamp(anchor: SourceAnchor) -> str:
    """The moment of an anchor in the names of files."""
    return stamp_of(anchor.generated_at)


def stamp_of(moment: datetime | None) -> str:
    """A moment in the names of files; nothing where there is none."""
    return "" if moment is None else f"{moment:%Y-%m-%d_%H_%M_%S}"
