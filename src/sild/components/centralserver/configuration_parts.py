"""The parts of a configuration: those that are generated, and those that people upload (CC-05).

Optional parts are described by files `*.ini` in a folder, one a part, as on the reference:

    content-identifier = FETCHINTERVAL
    file-name = fetchinterval-params.xml

Without such a folder there are the three that security servers know. What is uploaded is published
by every node, in every version.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from sild.components.centralserver.publishing_files import PublicationDirectory, is_file_name
from sild.components.centralserver.source_errors import PartNotFound, PartRefused, UnknownPart
from sild.components.centralserver.source_rows import SourceKind, SourceRows
from sild.components.centralserver.source_tables import PART
from sild.components.centralserver.system import Node, put_row
from sild.components.centralserver.xml_uploads import XmlFile, check_xml_file
from sild.protocol.errors import MalformedGlobalConf
from sild.protocol.globalconf.directory import PartKind
from sild.protocol.globalconf.extensions import (
    read_fetch_interval,
    read_monitoring,
    read_next_update,
)
from sild.runtime.clock import Clock
from sild.runtime.database import Database
from sild.runtime.files import read_bounded

UPLOADED_VERSION = 0
_LARGEST_DESCRIPTION = 64 * 1024
_IDENTIFIER_LIMIT = 255
_NEITHER = frozenset(";'\"")
_GENERATED: Mapping[SourceKind, tuple[PartKind, ...]] = {
    SourceKind.INTERNAL: (PartKind.PRIVATE_PARAMETERS, PartKind.SHARED_PARAMETERS),
    SourceKind.EXTERNAL: (PartKind.SHARED_PARAMETERS,),
}
_READERS = {
    PartKind.MONITORING.value: read_monitoring,
    PartKind.FETCHINTERVAL.value: read_fetch_interval,
    PartKind.NEXTUPDATE.value: read_next_update,
}


class PartDescriptionError(Exception):
    """Optional parts are described in a way that cannot be published."""


@dataclass(frozen=True, slots=True)
class DescribedPart:
    """An optional part: its content identifier, and the file that holds it."""

    identifier: str
    file_name: str


KNOWN_PARTS = tuple(
    DescribedPart(kind.value, kind.file_name)
    for kind in (PartKind.MONITORING, PartKind.FETCHINTERVAL, PartKind.NEXTUPDATE)
)


@dataclass(frozen=True, slots=True)
class ListedPart:
    """A part as it is listed; one that is not there yet has neither version nor moment."""

    identifier: str
    file_name: str
    optional: bool
    version: int | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PartFile:
    """A part to hand out."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class ConfigurationParts:
    """The parts that this node publishes."""

    database: Database
    node: Node
    described: tuple[DescribedPart, ...]
    publication: PublicationDirectory
    clock: Clock

    async def list(self, kind: SourceKind) -> tuple[ListedPart, ...]:
        """The parts of a source; none before it has had a key."""
        async with self.database.reading() as connection:
            if not await SourceRows(connection).has_source(kind, self.node.name):
                return ()
            updated = await _moments(connection)
        generated = tuple(part for each in _GENERATED[kind] for part in self._generated(each))
        if kind is SourceKind.EXTERNAL:
            return generated
        return generated + tuple(_listed(part, updated) for part in self.described)

    def describe(self, identifier: str) -> DescribedPart:
        """An optional part of this name; raises UnknownPart."""
        for part in self.described:
            if part.identifier == identifier:
                return part
        raise UnknownPart(f"there is no optional part {identifier}", identifier)

    async def upload(self, kind: SourceKind, identifier: str, file: XmlFile) -> None:
        """Publish an optional part from the next round on.

        Raises UnknownPart, PartRefused and what a file is refused for.
        """
        check_xml_file(file)
        part = self.describe(identifier)
        if kind is SourceKind.EXTERNAL:
            raise UnknownPart("external configuration has no optional parts", identifier)
        _check(part, file.content)
        values = {
            "identifier": part.identifier,
            "content": file.content,
            "updated_at": self.clock.now(),
        }
        async with self.database.transaction() as connection:
            await put_row(connection, PART, values, ("identifier",))

    async def get_file(self, identifier: str, version: int) -> PartFile:
        """A part as it was uploaded, or last published in a version; raises PartNotFound."""
        found: PartFile | None
        if version == UPLOADED_VERSION:
            async with self.database.reading() as connection:
                found = (await self.uploaded(connection)).get(identifier)
        else:
            found = self._find_generated(identifier, version)
        if found is None:
            raise PartNotFound(f"there is no part {identifier} in version {version}")
        return found

    async def uploaded(self, connection: AsyncConnection) -> Mapping[str, PartFile]:
        """The optional parts that are there, by content identifier."""
        rows = await connection.execute(select(PART).order_by(PART.c.id))
        contents = {row.identifier: row.content for row in rows}
        return {
            part.identifier: PartFile(part.file_name, contents[part.identifier])
            for part in self.described
            if part.identifier in contents
        }

    def _generated(self, kind: PartKind) -> tuple[ListedPart, ...]:
        published = self.publication.published(kind.file_name)
        listed = tuple(
            ListedPart(kind.value, kind.file_name, False, each.version, each.updated_at)
            for each in published
        )
        return listed or (ListedPart(kind.value, kind.file_name, False),)

    def _find_generated(self, identifier: str, version: int) -> PartFile | None:
        for kind in _GENERATED[SourceKind.INTERNAL]:
            if kind.value == identifier:
                content = self.publication.find_part(version, kind.file_name)
                return None if content is None else PartFile(kind.file_name, content)
        return None


def _listed(part: DescribedPart, updated: Mapping[str, datetime]) -> ListedPart:
    if part.identifier not in updated:
        return ListedPart(part.identifier, part.file_name, True)
    return ListedPart(
        part.identifier, part.file_name, True, UPLOADED_VERSION, updated[part.identifier]
    )


async def _moments(connection: AsyncConnection) -> Mapping[str, datetime]:
    rows = await connection.execute(select(PART.c.identifier, PART.c.updated_at))
    return {row.identifier: row.updated_at for row in rows}


def _check(part: DescribedPart, content: bytes) -> None:
    reader = _READERS.get(part.identifier)
    if reader is None:
        reason = f"nothing is known that could check a part {part.identifier}"
        raise PartRefused(reason, reason)
    try:
        reader(content)
    except MalformedGlobalConf as error:
        raise PartRefused(error.message, error.message) from None


def read_described_parts(folder: Path) -> tuple[DescribedPart, ...]:
    """The optional parts that a folder describes; the known ones where there is no folder.

    Raises PartDescriptionError.
    """
    if not folder.is_dir():
        return KNOWN_PARTS
    parts = tuple(map(_read_description, sorted(folder.glob("*.ini"))))
    reserved = _GENERATED[SourceKind.INTERNAL]
    taken = [(kind.value, kind.file_name) for kind in reserved]
    for part in parts:
        if any(part.identifier == one or part.file_name == two for one, two in taken):
            raise PartDescriptionError(f"{part.identifier} ({part.file_name}) is there already")
        taken.append((part.identifier, part.file_name))
    return parts


def _read_description(path: Path) -> DescribedPart:
    values = {}
    for line in read_bounded(path, _LARGEST_DESCRIPTION).decode("utf-8", "replace").splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and not name.startswith(("#", ";", "!")):
            values[name.strip()] = value.strip()
    identifier, file_name = values.get("content-identifier", ""), values.get("file-name", "")
    if (
        not 0 < len(identifier) <= _IDENTIFIER_LIMIT
        or not (identifier.isascii() and identifier.isprintable())
        or _NEITHER & set(identifier)
        or not is_file_name(file_name)
    ):
        raise PartDescriptionError(f"{path} describes no part: it says {values}")
    return DescribedPart(identifier, file_name)
