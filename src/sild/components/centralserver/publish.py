"""Rounds of generating, signing and publishing global configuration (CC-01).

A round either publishes every version or, failing, leaves the one before it in place; either way
its outcome is remembered.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sild.components.centralserver.configuration_parts import ConfigurationParts
from sild.components.centralserver.ports import Keys, Outcomes, RegistrationService
from sild.components.centralserver.publishing import (
    Contents,
    Document,
    OptionalPart,
    Round,
    make_private,
    read_shared,
    versions_from,
    write_documents,
)
from sild.components.centralserver.publishing_files import Publication
from sild.components.centralserver.source_errors import NotPublished
from sild.components.centralserver.source_rows import SigningKey, SourceKind, SourceRows
from sild.components.centralserver.system import SystemParameters, read_parameters
from sild.components.centralserver.trusted_anchors import TrustedAnchors
from sild.protocol.algorithms import SignatureAlgorithm
from sild.protocol.errors import ProtocolError
from sild.protocol.globalconf.directory import (
    Boundaries,
    DirectoryContents,
    prepare_directory,
    read_directory,
    verify_directory,
)
from sild.protocol.pki.certificate import read_certificate
from sild.runtime.database import DatabaseError
from sild.runtime.files import FileError
from sild.runtime.rpc import RpcError

_LOG = logging.getLogger(__name__)
_BOUNDARY_BYTES = 10
# A client may have read a directory just before it expired, and still wants its parts.
_GRACE = timedelta(minutes=1)
_REASONS = (ProtocolError, RpcError, DatabaseError, FileError, OSError)


@dataclass(frozen=True, slots=True)
class Published:
    """A round that succeeded."""

    stamp: str
    expires: datetime
    versions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PublisherSettings:
    """Which versions are published, from the lowest on."""

    lowest_version: int = 2


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a publisher asks besides the database."""

    keys: Keys
    registration: RegistrationService
    anchors: TrustedAnchors
    outcomes: Outcomes


@dataclass(frozen=True, slots=True)
class _State:
    """What the database said at one moment."""

    parameters: SystemParameters
    contents: Contents
    keys: Mapping[SourceKind, SigningKey]


class Publisher:
    """Publishes what this node's database says, signed by this node's keys."""

    def __init__(
        self,
        parts: ConfigurationParts,
        surroundings: Surroundings,
        settings: PublisherSettings | None = None,
    ) -> None:
        self._parts = parts
        self._database = parts.database
        self._node = parts.node
        self._files = parts.publication
        self._clock = parts.clock
        self._surroundings = surroundings
        self._settings = settings or PublisherSettings()
        self._round = asyncio.Lock()

    async def publish(self) -> Published | None:
        """Do a round; nothing is published, nor remembered, before initialisation.

        Raises NotPublished, which has been remembered.
        """
        async with self._round:
            try:
                published = await self._publish()
            except _REASONS as error:
                await self._remember_failure()
                message = f"the global configuration was not generated: {error}"
                raise NotPublished(message) from error
            except Exception:
                await self._remember_failure()
                raise
            if published is not None:
                await self._surroundings.outcomes.succeeded()
            return published

    async def _remember_failure(self) -> None:
        try:
            await self._surroundings.outcomes.failed()
        except DatabaseError as error:
            _LOG.warning("that generating configuration failed is not remembered: %s", error)

    async def _publish(self) -> Published | None:
        state = await self._read()
        if state is None:
            return None
        now = self._clock.now()
        parameters = state.parameters
        validity = timedelta(seconds=parameters.conf_expire_seconds)
        this = Round(
            instance=parameters.instance,
            stamp=self._files.next_stamp(now),
            expires=(now + validity).replace(microsecond=0),
            algorithm=parameters.hash_digest,
        )
        documents = await asyncio.to_thread(self._write, state.contents, this)
        directories = {
            version: {
                kind.directory: await self._sign(state, kind, this.directory(kind, version, parts))
                for kind in SourceKind
            }
            for version, parts in documents.items()
        }
        files = {
            version: {part.file_name: part.content for part in parts}
            for version, parts in documents.items()
        }
        await asyncio.to_thread(self._files.publish, Publication(this.stamp, files, directories))
        await self._clean(now - validity - _GRACE)
        return Published(this.stamp, this.expires, tuple(documents))

    async def _read(self) -> _State | None:
        certificate = await self._surroundings.registration.find_certificate()
        async with self._database.reading() as connection:
            parameters = await read_parameters(connection, self._node)
            if not parameters.is_set:
                return None
            keys = {
                kind: await SourceRows(connection).find_active(kind, self._node.name)
                for kind in SourceKind
            }
            shared, sha1_of = await read_shared(connection, parameters)
            anchors = await self._surroundings.anchors.read(connection)
            uploaded = await self._parts.uploaded(connection)
        return _State(
            parameters,
            Contents(
                shared=shared,
                private=make_private(parameters, certificate, anchors),
                optional=tuple(
                    OptionalPart(identifier, part.name, part.content)
                    for identifier, part in uploaded.items()
                ),
                sha1_of=sha1_of,
            ),
            {kind: _required(kind, key) for kind, key in keys.items()},
        )

    def _write(self, contents: Contents, this: Round) -> Mapping[int, tuple[Document, ...]]:
        return {
            version: write_documents(contents, version, this.algorithm)
            for version in versions_from(self._settings.lowest_version)
        }

    async def _sign(self, state: _State, kind: SourceKind, contents: DirectoryContents) -> bytes:
        key, parameters = state.keys[kind], state.parameters
        certificate = read_certificate(key.certificate)
        algorithm = SignatureAlgorithm.for_key(certificate.public_key, parameters.sign_digest)
        boundaries = Boundaries(self._boundary(), self._boundary())
        unsigned = prepare_directory(
            contents, certificate, algorithm, boundaries, parameters.certificate_digest
        )
        value = await self._surroundings.keys.sign(
            key.key_id, unsigned.digest_to_sign, algorithm.uri
        )
        signed = unsigned.finish(value)
        # Nobody is given what a client would refuse.
        verify_directory(read_directory(signed), (certificate,), self._clock.now())
        return signed

    def _boundary(self) -> str:
        return self._clock.random_bytes(_BOUNDARY_BYTES).hex()

    async def _clean(self, before: datetime) -> None:
        try:
            await asyncio.to_thread(self._files.remove_parts_before, before)
        except OSError as error:
            _LOG.warning("parts that have expired were not removed: %s", error)


def _required(kind: SourceKind, key: SigningKey | None) -> SigningKey:
    if key is None:
        raise NotPublished(f"the {kind.value} source has no key that signs")
    return key
