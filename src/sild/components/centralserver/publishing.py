"""What a round of generation says, read as one state and written in every version.

Nothing here signs or keeps anything: `publish` does.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from sild.components.centralserver.registry_reading import RegistryContents, read_registry
from sild.components.centralserver.source_errors import NotPublished
from sild.components.centralserver.source_rows import (
    SigningKey,
    SourceKind,
    SourceRows,
    keys_by_node,
)
from sild.components.centralserver.system import SystemParameters
from sild.components.centralserver.trust_reading import read_trust
from sild.protocol.algorithms import DigestAlgorithm
from sild.protocol.globalconf.anchor import Anchor
from sild.protocol.globalconf.directory import DirectoryContents, Part, PartKind
from sild.protocol.globalconf.private_parameters import (
    ManagementService,
    PrivateParameters,
    write_private_parameters,
)
from sild.protocol.globalconf.shared_parameters import (
    ConfigurationSource,
    SecurityServer,
    SharedParameters,
)
from sild.protocol.globalconf.shared_parameters_writer import (
    LATEST_VERSION,
    write_shared_parameters,
)
from sild.protocol.pki.certificate import Certificate, read_certificate


@dataclass(frozen=True, slots=True)
class OptionalPart:
    """An uploaded part, which is published as it is."""

    identifier: str
    file_name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Contents:
    """Everything that is published, in no version yet."""

    shared: SharedParameters
    private: PrivateParameters
    optional: tuple[OptionalPart, ...]
    sha1_of: Mapping[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Document:
    """One part as it is published, with its digest."""

    identifier: str
    file_name: str
    content: bytes
    digest: bytes


async def read_shared(
    connection: AsyncConnection, parameters: SystemParameters
) -> tuple[SharedParameters, Mapping[bytes, bytes]]:
    """The shared parameters, and the SHA-1 of authentication certificates by their SHA-256."""
    registry = await read_registry(connection, parameters.instance)
    services, authorities = await read_trust(connection)
    keys = await SourceRows(connection).keys()
    shared = SharedParameters(
        instance=parameters.instance,
        sources=_sources(keys, parameters),
        certification_services=services,
        timestamping_services=authorities,
        members=registry.members,
        servers=_servers(registry),
        groups=registry.groups,
        member_classes=registry.member_classes,
        ocsp_freshness_seconds=parameters.ocsp_freshness_seconds,
    )
    return shared, _sha1_of(registry)


def make_private(
    parameters: SystemParameters, certificate: Certificate | None, anchors: tuple[Anchor, ...]
) -> PrivateParameters:
    """The private parameters; raises NotPublished where nobody provides management services."""
    management: ManagementService | None = parameters.management(certificate)
    if management is None:
        raise NotPublished("nobody has been named to provide the management services")
    return PrivateParameters(
        instance=parameters.instance,
        management=management,
        timestamping_interval_seconds=parameters.timestamping_interval_seconds,
        anchors=anchors,
    )


def write_documents(
    contents: Contents, version: int, algorithm: DigestAlgorithm
) -> tuple[Document, ...]:
    """All parts in a version; raises MalformedGlobalConf for what cannot be said."""
    shared = write_shared_parameters(contents.shared, version, contents.sha1_of)
    private = write_private_parameters(contents.private, version)
    parts = (
        OptionalPart(kind.value, kind.file_name, content)
        for kind, content in (
            (PartKind.PRIVATE_PARAMETERS, private),
            (PartKind.SHARED_PARAMETERS, shared),
        )
    )
    return tuple(
        Document(part.identifier, part.file_name, part.content, algorithm.digest(part.content))
        for part in (*parts, *contents.optional)
    )


@dataclass(frozen=True, slots=True)
class Round:
    """What all versions of a round have in common."""

    instance: str
    stamp: str
    expires: datetime
    algorithm: DigestAlgorithm

    def directory(
        self, kind: SourceKind, version: int, documents: tuple[Document, ...]
    ) -> DirectoryContents:
        """The directory of a source, which for other instances names shared parameters alone."""
        told = (
            document
            for document in documents
            if kind is SourceKind.INTERNAL
            or document.identifier == PartKind.SHARED_PARAMETERS.value
        )
        parts = tuple(
            Part(
                identifier=document.identifier,
                instance=self.instance,
                location=f"/V{version}/{self.stamp}/{document.file_name}",
                algorithm=self.algorithm,
                digest=document.digest,
            )
            for document in told
        )
        return DirectoryContents(version, self.expires, parts)


def versions_from(lowest: int) -> range:
    """The versions that are published."""
    return range(lowest, LATEST_VERSION + 1)


def _sources(
    keys: tuple[SigningKey, ...], parameters: SystemParameters
) -> tuple[ConfigurationSource, ...]:
    held = {kind: keys_by_node(keys, kind) for kind in SourceKind}
    nodes = dict.fromkeys(key.node for key in keys)
    return tuple(
        ConfigurationSource(
            parameters.ports.place(parameters.addresses[node]),
            _certificates(held[SourceKind.INTERNAL].get(node, ())),
            _certificates(held[SourceKind.EXTERNAL].get(node, ())),
        )
        for node in nodes
        if parameters.addresses.get(node)
    )


def _certificates(keys: tuple[SigningKey, ...]) -> tuple[Certificate, ...]:
    return tuple(read_certificate(key.certificate) for key in keys)


def _servers(registry: RegistryContents) -> tuple[SecurityServer, ...]:
    return tuple(
        replace(
            each.server,
            auth_cert_hashes=tuple(hashlib.sha256(der).digest() for der in each.auth_certificates),
        )
        for each in registry.servers
    )


def _sha1_of(registry: RegistryContents) -> Mapping[bytes, bytes]:
    sha1 = DigestAlgorithm.SHA1
    return {
        hashlib.sha256(der).digest(): sha1.digest(der)
        for each in registry.servers
        for der in each.auth_certificates
    }
