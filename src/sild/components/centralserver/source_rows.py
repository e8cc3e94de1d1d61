"""Configuration sources in SQL, as one transaction sees them: their signing keys and anchors."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from sqlalchemy import Select, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from sild.components.centralserver.source_errors import KeyActionNotPossible
from sild.components.centralserver.source_tables import SIGNING_KEY, SOURCE
from sild.protocol.globalconf.anchor import Anchor, read_anchor

INTERNAL_DIRECTORY = "internalconf"
EXTERNAL_DIRECTORY = "externalconf"


class SourceKind(Enum):
    """Whom a source serves: the servers of this instance, or other instances."""

    INTERNAL = "internal"
    EXTERNAL = "external"

    @property
    def directory(self) -> str:
        """The name of its directory, in addresses and in file systems."""
        return INTERNAL_DIRECTORY if self is SourceKind.INTERNAL else EXTERNAL_DIRECTORY


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A configuration signing key, as it is known here; the token knows the rest."""

    kind: SourceKind
    node: str
    key_id: str
    token_id: str
    certificate: bytes
    generated_at: datetime
    active: bool


@dataclass(frozen=True, slots=True)
class SourceAnchor:
    """The anchor of a source, as it may be handed out."""

    document: bytes
    generated_at: datetime

    @property
    def anchor(self) -> Anchor:
        """What it says."""
        return read_anchor(self.document)

    @property
    def hash(self) -> str:
        """What people compare."""
        return self.anchor.display_hash


class SourceRows:
    """The sources of all nodes."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def keys(self) -> tuple[SigningKey, ...]:
        """Every signing key of every node and source, oldest first."""
        return await self._keys(_KEYS)

    async def find_key(self, key_id: str) -> SigningKey | None:
        """One signing key."""
        found = await self._keys(_KEYS.where(SIGNING_KEY.c.key_id == key_id))
        return found[0] if found else None

    async def find_active(self, kind: SourceKind, node: str) -> SigningKey | None:
        """The key that signs for a source of a node."""
        found = await self._keys(
            _KEYS.where(
                SOURCE.c.kind == kind.value,
                SOURCE.c.ha_node_name == node,
                SIGNING_KEY.c.active,
            )
        )
        return found[0] if found else None

    async def add_key(self, key: SigningKey) -> None:
        """Add a key to its node's source, which is made if there is none."""
        if not await self.has_source(key.kind, key.node):
            place = {"kind": key.kind.value, "ha_node_name": key.node}
            await self._connection.execute(insert(SOURCE).values(place))
        source = await self._source_id(key.kind, key.node)
        values = {
            "source_id": source,
            "key_id": key.key_id,
            "token_id": key.token_id,
            "certificate": key.certificate,
            "generated_at": key.generated_at,
            "active": key.active,
        }
        await self._connection.execute(insert(SIGNING_KEY).values(values))

    async def activate(self, key: SigningKey) -> None:
        """Let a key sign, and no other of its source."""
        source = await self._source_id(key.kind, key.node)
        await self._connection.execute(
            update(SIGNING_KEY)
            .where(SIGNING_KEY.c.source_id == source)
            .values(active=SIGNING_KEY.c.key_id == key.key_id)
        )

    async def remove_key(self, key: SigningKey) -> None:
        """Forget a key; raises KeyActionNotPossible for one that signs."""
        removed = await self._connection.execute(
            delete(SIGNING_KEY).where(
                SIGNING_KEY.c.key_id == key.key_id, SIGNING_KEY.c.active.is_(False)
            )
        )
        if not removed.rowcount:
            raise KeyActionNotPossible(f"the key {key.key_id} is in use")

    async def has_source(self, kind: SourceKind, node: str) -> bool:
        """Whether a node has such a source."""
        query = select(SOURCE.c.id).where(
            SOURCE.c.kind == kind.value, SOURCE.c.ha_node_name == node
        )
        return (await self._connection.execute(query)).first() is not None

    async def find_anchor(self, kind: SourceKind, node: str) -> SourceAnchor | None:
        """The anchor of a node's source."""
        query = select(SOURCE.c.anchor, SOURCE.c.anchor_generated_at).where(
            SOURCE.c.kind == kind.value, SOURCE.c.ha_node_name == node
        )
        row = (await self._connection.execute(query)).first()
        if row is None or row.anchor is None:
            return None
        return SourceAnchor(row.anchor, row.anchor_generated_at)

    async def set_anchor(self, kind: SourceKind, anchor: SourceAnchor) -> None:
        """Give all nodes' sources of a kind the same anchor."""
        await self._connection.execute(
            update(SOURCE)
            .where(SOURCE.c.kind == kind.value)
            .values(anchor=anchor.document, anchor_generated_at=anchor.generated_at)
        )

    async def _source_id(self, kind: SourceKind, node: str) -> int:
        # Locked, where there are several writers: two keys cannot both become the first.
        query = (
            select(SOURCE.c.id)
            .where(SOURCE.c.kind == kind.value, SOURCE.c.ha_node_name == node)
            .with_for_update()
        )
        return int((await self._connection.execute(query)).scalar_one())

    async def _keys(self, query: Select[Any]) -> tuple[SigningKey, ...]:
        return tuple(
            SigningKey(
                kind=SourceKind(row.kind),
                node=row.ha_node_name,
                key_id=row.key_id,
                token_id=row.token_id,
                certificate=row.certificate,
                generated_at=row.generated_at,
                active=row.active,
            )
            for row in await self._connection.execute(query)
        )


_KEYS = (
    select(SIGNING_KEY, SOURCE.c.kind, SOURCE.c.ha_node_name)
    .join(SOURCE, SOURCE.c.id == SIGNING_KEY.c.source_id)
    .order_by(SIGNING_KEY.c.id)
)


def keys_by_node(
    keys: tuple[SigningKey, ...], kind: SourceKind
) -> dict[str, tuple[SigningKey, ...]]:
    """The keys of one kind of source, by the node that holds them."""
    found: dict[str, list[SigningKey]] = defaultdict(list)
    for key in keys:
        if key.kind is kind:
            found[key.node].append(key)
    return {node: tuple(held) for node, held in found.items()}
