"""Anchors of other instances, which this one's servers may then talk to (FE-01)."""

from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from sild.components.centralserver.ports import Partners
from sild.components.centralserver.source_anchors import AnchorFile, stamp_of
from sild.components.centralserver.source_errors import (
    AnchorMalformed,
    AnchorNotVerified,
    FederationForbidden,
    TrustedAnchorNotFound,
)
from sild.components.centralserver.source_tables import TRUSTED_ANCHOR
from sild.components.centralserver.system import Node, put_row, read_parameters
from sild.components.centralserver.xml_uploads import XmlFile, check_xml_file
from sild.protocol.errors import MalformedAnchor, ProtocolError
from sild.protocol.globalconf.anchor import Anchor, read_anchor
from sild.runtime.database import Database

_LONGEST_INSTANCE = 255


@dataclass(frozen=True, slots=True)
class TrustedAnchors:
    """The anchors that private parameters tell this instance's servers of."""

    database: Database
    node: Node
    partners: Partners
    allowed: bool = True

    async def list(self) -> tuple[Anchor, ...]:
        """Every trusted anchor, by instance."""
        async with self.database.reading() as connection:
            return await self.read(connection)

    async def read(self, connection: AsyncConnection) -> tuple[Anchor, ...]:
        """The same, within a transaction."""
        query = select(TRUSTED_ANCHOR.c.document).order_by(TRUSTED_ANCHOR.c.instance)
        rows = await connection.execute(query)
        return tuple(read_anchor(row.document) for row in rows)

    def preview(self, file: XmlFile) -> Anchor:
        """What a file says, for people to compare; raises AnchorMalformed."""
        check_xml_file(file)
        try:
            anchor = read_anchor(file.content)
        except MalformedAnchor as error:
            raise AnchorMalformed(error.message, error.message) from None
        if len(anchor.instance) > _LONGEST_INSTANCE:
            reason = "the instance identifier of the anchor is too long"
            raise AnchorMalformed(reason, reason)
        return anchor

    async def upload(self, file: XmlFile) -> Anchor:
        """Trust an anchor from now on, in the place of the one that its instance had.

        Raises AnchorMalformed, AnchorNotVerified and FederationForbidden.
        """
        if not self.allowed:
            raise FederationForbidden("this instance federates with no other")
        anchor = self.preview(file)
        async with self.database.reading() as connection:
            own = (await read_parameters(connection, self.node)).instance
        if anchor.instance.casefold() == own.casefold():
            reason = f"{anchor.instance} is this instance itself"
            raise AnchorNotVerified(reason, reason)
        try:
            await self.partners.verify(anchor)
        except ProtocolError as error:
            raise AnchorNotVerified(error.message, error.message) from error
        row = {
            "instance": anchor.instance,
            "hash": anchor.display_hash,
            "document": file.content,
        }
        async with self.database.transaction() as connection:
            await put_row(connection, TRUSTED_ANCHOR, row, ("instance",))
        return anchor

    async def get(self, display_hash: str) -> Anchor:
        """One trusted anchor, by what people compare; raises TrustedAnchorNotFound."""
        for anchor in await self.list():
            if anchor.display_hash == display_hash:
                return anchor
        raise TrustedAnchorNotFound(f"no trusted anchor has the hash {display_hash}", display_hash)

    async def file(self, display_hash: str) -> AnchorFile:
        """One trusted anchor as it was uploaded; raises TrustedAnchorNotFound."""
        anchor = await self.get(display_hash)
        moment = stamp_of(anchor.generated_at)
        name = f"configuration_anchor_{anchor.instance}_EXTERNAL_{moment}.xml"
        return AnchorFile(name, anchor.document or b"")

    async def delete(self, display_hash: str) -> Anchor:
        """Trust an anchor no more; raises TrustedAnchorNotFound."""
        anchor = await self.get(display_hash)
        async with self.database.transaction() as connection:
            removed = await connection.execute(
                delete(TRUSTED_ANCHOR).where(TRUSTED_ANCHOR.c.hash == display_hash)
            )
        if not removed.rowcount:
            raise TrustedAnchorNotFound(
                f"no trusted anchor has the hash {display_hash}", display_hash
            )
        return anchor
