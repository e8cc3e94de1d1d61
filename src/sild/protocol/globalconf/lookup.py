"""The questions asked of the global configuration: who, where, by which certificate.

All answers are looked up in dictionaries that are made once for each change of the shared
parameters, so that the message path never searches a list of members.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sild.protocol.algorithms import DigestAlgorithm
from sild.protocol.errors import (
    GlobalConfOutdated,
    MalformedGlobalConf,
    UnknownCertificationAuthority,
)
from sild.protocol.globalconf.private_parameters import ManagementService, PrivateParameters
from sild.protocol.globalconf.shared_parameters import (
    CaEntry,
    CertificationService,
    SecurityServer,
    SharedParameters,
    TimestampingService,
)
from sild.protocol.globalconf.trusted import InstanceConf
from sild.protocol.ids import ClientId, GlobalGroupId, SecurityServerId
from sild.protocol.pki.certificate import Certificate
from sild.protocol.pki.trust import (
    ApprovedCa,
    ApprovedCaCert,
    ApprovedTsa,
    OcspPolicy,
    OcspResponder,
    Trust,
)

_LAST_VERSION_WITH_SHA1 = 2


@dataclass(frozen=True, slots=True)
class ServerEntry:
    """A security server: `in_maintenance` is its message, empty without one, `None` if it is not.

    A server without an address cannot be called.
    """

    id: SecurityServerId
    address: str | None
    auth_cert_hashes: frozenset[bytes]
    in_maintenance: str | None


@dataclass(frozen=True, slots=True)
class _Names:
    """What a member and its subsystem are called."""

    member: str
    subsystem: str | None = None


@dataclass(frozen=True, slots=True)
class InstanceTables:
    """The dictionaries of one instance, made from its shared parameters."""

    shared: SharedParameters
    version: int
    names: Mapping[ClientId, _Names]
    servers: Mapping[SecurityServerId, ServerEntry]
    servers_by_client: Mapping[ClientId, tuple[ServerEntry, ...]]
    clients_by_server: Mapping[SecurityServerId, frozenset[ClientId]]
    servers_by_auth_hash: Mapping[bytes, ServerEntry]
    groups_by_client: Mapping[ClientId, frozenset[GlobalGroupId]]


def make_tables(conf: InstanceConf) -> InstanceTables:
    """The tables of an instance."""
    shared, algorithm = conf.shared, auth_hash_algorithm(conf.version)
    entries = [(server, _entry(server, algorithm)) for server in shared.servers]
    by_client: dict[ClientId, list[ServerEntry]] = {}
    clients_by_server: dict[SecurityServerId, frozenset[ClientId]] = {}
    for server, entry in entries:
        clients = frozenset((server.id.owner, *server.clients))
        clients_by_server[server.id] = clients
        for client in clients:
            by_client.setdefault(client, []).append(entry)
    return InstanceTables(
        shared=shared,
        version=conf.version,
        names=_names(shared),
        servers={entry.id: entry for _, entry in entries},
        servers_by_client={client: tuple(servers) for client, servers in by_client.items()},
        clients_by_server=clients_by_server,
        servers_by_auth_hash={
            digest: entry for _, entry in entries for digest in entry.auth_cert_hashes
        },
        groups_by_client=_groups_by_client(shared),
    )


def auth_hash_algorithm(version: int) -> DigestAlgorithm:
    """The digest by which a version of the shared parameters knows authentication certificates."""
    return DigestAlgorithm.SHA1 if version <= _LAST_VERSION_WITH_SHA1 else DigestAlgorithm.SHA256


def _entry(server: SecurityServer, algorithm: DigestAlgorithm) -> ServerEntry:
    # A digest of another length is of another algorithm and must never match.
    digests = (digest for digest in server.auth_cert_hashes if len(digest) == algorithm.size)
    return ServerEntry(server.id, server.address, frozenset(digests), server.maintenance)


def _names(shared: SharedParameters) -> dict[ClientId, _Names]:
    names: dict[ClientId, _Names] = {}
    for member in shared.members:
        names[member.id] = _Names(member.name)
        for subsystem in member.subsystems:
            names[subsystem.id] = _Names(member.name, subsystem.name)
    return names


def _groups_by_client(shared: SharedParameters) -> dict[ClientId, frozenset[GlobalGroupId]]:
    groups: dict[ClientId, set[GlobalGroupId]] = {}
    for group in shared.groups:
        for client in group.members:
            groups.setdefault(client, set()).add(group.id)
    return {client: frozenset(ids) for client, ids in groups.items()}


class GlobalConf:
    """One moment's global configuration of the local instance and those it federates with.

    It knows no clock: `check_valid` says whether it may still be used, `without_expired` drops
    federated instances whose time is over, as the reference implementation ignores them.
    """

    __slots__ = ("_conf", "_tables", "_trusts", "instance", "instances", "valid_until")

    instance: str
    instances: Mapping[str, InstanceConf]
    valid_until: datetime

    def __init__(
        self,
        instances: Mapping[str, InstanceConf],
        local: str,
        previous: "GlobalConf | None" = None,
    ) -> None:
        """Make the tables; those of instances that did not change since `previous` are taken over.

        Raises MalformedGlobalConf where the local instance is not among the instances.
        """
        if local not in instances:
            raise MalformedGlobalConf(f"there is no configuration of the instance {local}")
        self.instance = local
        self.instances = dict(instances)
        self._conf = self.instances[local]
        self.valid_until = self._conf.expires
        self._tables = {
            name: (previous and previous.find_unchanged_tables(conf)) or make_tables(conf)
            for name, conf in self.instances.items()
        }
        policy = OcspPolicy(
            self._conf.shared.ocsp_freshness_seconds, self._conf.extensions.verify_next_update
        )
        self._trusts = {
            name: make_trust(conf.shared, policy) for name, conf in self.instances.items()
        }

    def find_unchanged_tables(self, conf: InstanceConf) -> InstanceTables | None:
        """The tables of an instance, if they were made from the same shared parameters."""
        tables = self._tables.get(conf.instance)
        same = tables and tables.shared is conf.shared and tables.version == conf.version
        return tables if same else None

    def check_valid(self, now: datetime) -> None:
        """Raise GlobalConfOutdated if the local instance's configuration has expired (PX-28)."""
        if now > self.valid_until:
            raise GlobalConfOutdated(
                f"the global configuration of {self.instance} expired at {self.valid_until:%FT%TZ}"
            )

    def without_expired(self, now: datetime) -> "GlobalConf":
        """This configuration without federated instances that have expired; itself if none has."""
        valid = {
            name: conf
            for name, conf in self.instances.items()
            if name == self.instance or conf.expires > now
        }
        return self if len(valid) == len(self.instances) else GlobalConf(valid, self.instance, self)

    @property
    def version(self) -> int:
        """The version of the local instance's shared parameters."""
        return self._conf.version

    @property
    def shared(self) -> SharedParameters:
        """The shared parameters of the local instance."""
        return self._conf.shared

    @property
    def private(self) -> PrivateParameters:
        """The private parameters of the local instance; raises MalformedGlobalConf without any."""
        if self._conf.private is None:
            raise MalformedGlobalConf(f"there are no private parameters of {self.instance}")
        return self._conf.private

    @property
    def management_service(self) -> ManagementService:
        """Where management requests go."""
        return self.private.management

    @property
    def timestamping_interval_seconds(self) -> int:
        """How often message records must be time-stamped."""
        return self.private.timestamping_interval_seconds

    @property
    def ocsp_fetch_interval_seconds(self) -> int:
        """How often OCSP responses should be fetched."""
        return self._conf.extensions.ocsp_fetch_interval_seconds

    @property
    def monitoring_client(self) -> ClientId | None:
        """Who may ask all security servers for their metrics."""
        return self._conf.extensions.monitoring_client

    @property
    def certification_services(self) -> tuple[CertificationService, ...]:
        """The approved CAs of the local instance, with costs and ACME servers."""
        return self.shared.certification_services

    @property
    def timestamping_services(self) -> tuple[TimestampingService, ...]:
        """The approved TSAs of the local instance, with costs."""
        return self.shared.timestamping_services

    def find_trust(self, instance: str) -> Trust | None:
        """Whom an instance trusts, by the local instance's OCSP policy."""
        return self._trusts.get(instance)

    def trust(self, instance: str) -> Trust:
        """Whom an instance trusts; raises UnknownCertificationAuthority if it is not known."""
        if (trust := self._trusts.get(instance)) is None:
            raise UnknownCertificationAuthority(
                f"there is no global configuration of the instance {instance}"
            )
        return trust

    @property
    def trusts(self) -> Mapping[str, Trust]:
        """Whom each instance trusts."""
        return self._trusts

    @property
    def members(self) -> Iterable[ClientId]:
        """All members and subsystems of all instances."""
        return (client for tables in self._tables.values() for client in tables.names)

    def members_of(self, instance: str) -> tuple[ClientId, ...]:
        """The members and subsystems of an instance, none if it is not known."""
        tables = self._tables.get(instance)
        return () if tables is None else tuple(tables.names)

    def is_known(self, client: ClientId) -> bool:
        """Whether this is a member or subsystem."""
        return self._find_names(client) is not None

    def _find_names(self, client: ClientId) -> _Names | None:
        tables = self._tables.get(client.instance)
        return None if tables is None else tables.names.get(client)

    def find_member_name(self, client: ClientId) -> str | None:
        """What the member of a client is called."""
        names = self._find_names(client.member)
        return None if names is None else names.member

    def find_subsystem_name(self, client: ClientId) -> str | None:
        """What a subsystem is called."""
        names = self._find_names(client)
        return None if names is None else names.subsystem

    @property
    def servers(self) -> Iterable[ServerEntry]:
        """All security servers of all instances."""
        return (entry for tables in self._tables.values() for entry in tables.servers.values())

    def servers_of(self, client: ClientId) -> tuple[ServerEntry, ...]:
        """The security servers where a member or subsystem is owner or client."""
        tables = self._tables.get(client.instance)
        return () if tables is None else tables.servers_by_client.get(client, ())

    def server(self, server: SecurityServerId) -> ServerEntry | None:
        """A security server, if it is registered."""
        tables = self._tables.get(server.owner.instance)
        return None if tables is None else tables.servers.get(server)

    def is_registered(self, client: ClientId, server: SecurityServerId) -> bool:
        """Whether a member or subsystem is owner or client of a security server."""
        return client in self.clients_of(server)

    def clients_of(self, server: SecurityServerId) -> frozenset[ClientId]:
        """The owner and the clients of a security server."""
        tables = self._tables.get(server.owner.instance)
        return frozenset() if tables is None else tables.clients_by_server.get(server, frozenset())

    def find_server_by_auth_hash(self, digest: bytes) -> ServerEntry | None:
        """The security server whose authentication certificate (DER) has this digest.

        SHA-256 for instances of version 3 and later, SHA-1 for those of version 2.
        """
        for tables in self._tables.values():
            if (entry := tables.servers_by_auth_hash.get(digest)) is not None:
                return entry
        return None

    def find_server_by_auth_certificate(self, certificate: Certificate) -> ServerEntry | None:
        """The security server that proves itself with this certificate."""
        return self.find_server_by_auth_hash(certificate.sha256) or self.find_server_by_auth_hash(
            certificate.sha1
        )

    def is_auth_certificate_of(self, certificate: Certificate, client: ClientId) -> bool:
        """Whether a security server of this member or subsystem proves itself with it."""
        digests = {certificate.sha256, certificate.sha1}
        return any(
            not digests.isdisjoint(server.auth_cert_hashes) for server in self.servers_of(client)
        )

    def global_groups_of(self, client: ClientId) -> frozenset[GlobalGroupId]:
        """The global groups, of any instance, that a member or subsystem belongs to."""
        found = [
            groups
            for tables in self._tables.values()
            if (groups := tables.groups_by_client.get(client)) is not None
        ]
        return found[0] if len(found) == 1 else frozenset().union(*found)


def make_trust(shared: SharedParameters, policy: OcspPolicy) -> Trust:
    """Whom an instance trusts, as the PKI asks it."""
    return Trust(
        instance=shared.instance,
        cas=tuple(_approved_ca(service) for service in shared.certification_services),
        tsas=tuple(
            ApprovedTsa(service.name, service.url, service.certificate)
            for service in shared.timestamping_services
        ),
        ocsp=policy,
    )


def _approved_ca(service: CertificationService) -> ApprovedCa:
    return ApprovedCa(
        name=service.name,
        authentication_only=service.authentication_only,
        profile=service.profile,
        top=_approved_cert(service.top),
        intermediates=tuple(map(_approved_cert, service.intermediates)),
    )


def _approved_cert(entry: CaEntry) -> ApprovedCaCert:
    responders = (OcspResponder(found.url, found.certificate) for found in entry.responders)
    return ApprovedCaCert(entry.certificate, tuple(responders))
