"""What a devnet's global configuration says, as one value that can be replaced."""

from dataclasses import dataclass, replace

from sild.devnet.errors import DevnetError
from sild.protocol.globalconf.anchor import Anchor
from sild.protocol.globalconf.directory import PartKind
from sild.protocol.globalconf.document import new_document, write_document
from sild.protocol.globalconf.private_parameters import (
    ManagementService,
    PrivateParameters,
    write_private_parameters,
)
from sild.protocol.globalconf.shared_parameters import (
    CertificationService,
    ConfigurationSource,
    GlobalGroup,
    Member,
    MemberClass,
    SecurityServer,
    SharedParameters,
    TimestampingService,
)
from sild.protocol.globalconf.shared_parameters_writer import write_shared_parameters
from sild.protocol.ids import ClientId, SecurityServerId
from sild.protocol.idsxml import write_identifier
from sild.protocol.pki.certificate import Certificate
from sild.protocol.safexml import sub_element


@dataclass(frozen=True, slots=True)
class OptionalParts:
    """What the optional parts say; a part without anything to say is not published."""

    ocsp_fetch_interval_seconds: int | None = None
    verify_next_update: bool | None = None
    monitoring_client: ClientId | None = None


@dataclass(frozen=True, slots=True)
class Registry:
    """Members, servers, groups and approved services of one instance; anchors lead to others."""

    instance: str
    management: ManagementService
    member_classes: tuple[MemberClass, ...] = ()
    members: tuple[Member, ...] = ()
    servers: tuple[SecurityServer, ...] = ()
    groups: tuple[GlobalGroup, ...] = ()
    certification_services: tuple[CertificationService, ...] = ()
    timestamping_services: tuple[TimestampingService, ...] = ()
    ocsp_freshness_seconds: int = 3600
    timestamping_interval_seconds: int = 60
    optional: OptionalParts = OptionalParts()
    federated: tuple[Anchor, ...] = ()

    def get_server(self, server: SecurityServerId) -> SecurityServer:
        """A registered server; raises DevnetError if it is not."""
        for known in self.servers:
            if known.id == server:
                return known
        raise DevnetError(f"{server} is not registered")

    def with_server(self, server: SecurityServer) -> "Registry":
        """The registry with a server, in the place of the one with its identifier."""
        servers = {known.id: known for known in self.servers} | {server.id: server}
        return replace(self, servers=tuple(servers.values()))

    def with_auth_certificate(
        self, server: SecurityServerId, certificate: Certificate
    ) -> "Registry":
        """The registry with one more authentication certificate of a server."""
        known = self.get_server(server)
        hashes = dict.fromkeys((*known.auth_cert_hashes, certificate.sha256))
        return self.with_server(replace(known, auth_cert_hashes=tuple(hashes)))

    def without_auth_certificate(
        self, server: SecurityServerId, certificate: Certificate
    ) -> "Registry":
        """The registry without an authentication certificate of a server."""
        known = self.get_server(server)
        hashes = tuple(each for each in known.auth_cert_hashes if each != certificate.sha256)
        return self.with_server(replace(known, auth_cert_hashes=hashes))

    def with_client(self, server: SecurityServerId, client: ClientId) -> "Registry":
        """The registry with one more client of a server."""
        known = self.get_server(server)
        clients = dict.fromkeys((*known.clients, client))
        return self.with_server(replace(known, clients=tuple(clients)))

    def without_client(self, server: SecurityServerId, client: ClientId) -> "Registry":
        """The registry without a client of a server."""
        known = self.get_server(server)
        clients = tuple(each for each in known.clients if each != client)
        return self.with_server(replace(known, clients=clients))

    def write_shared(self, source: ConfigurationSource) -> bytes:
        """The SHARED-PARAMETERS part; raises MalformedGlobalConf for what cannot be said."""
        return write_shared_parameters(
            SharedParameters(
                instance=self.instance,
                sources=(source,),
                certification_services=self.certification_services,
                timestamping_services=self.timestamping_services,
                members=self.members,
                servers=self.servers,
                groups=self.groups,
                member_classes=self.member_classes,
                ocsp_freshness_seconds=self.ocsp_freshness_seconds,
            )
        )

    def write_internal(self) -> dict[PartKind, bytes]:
        """The parts for the instance's own servers, beside the shared parameters."""
        private = PrivateParameters(
            instance=self.instance,
            management=self.management,
            timestamping_interval_seconds=self.timestamping_interval_seconds,
            anchors=self.federated,
        )
        parts = {PartKind.PRIVATE_PARAMETERS: write_private_parameters(private)}
        if (seconds := self.optional.ocsp_fetch_interval_seconds) is not None:
            text = str(seconds)
            parts[PartKind.FETCHINTERVAL] = _one_value(
                "ocspFetchInterval", text, "ocsp-fetchinterval-conf.xsd"
            )
        if (verify := self.optional.verify_next_update) is not None:
            text = "true" if verify else "false"
            parts[PartKind.NEXTUPDATE] = _one_value(
                "verifyNextUpdate", text, "ocsp-nextupdate-conf.xsd"
            )
        if (client := self.optional.monitoring_client) is not None:
            parts[PartKind.MONITORING] = _monitoring(client)
        return parts


def _one_value(name: str, text: str, schema: str) -> bytes:
    root = new_document("conf")
    sub_element(root, name, text)
    return write_document(root, schema)


def _monitoring(client: ClientId) -> bytes:
    root = new_document("conf")
    write_identifier(sub_element(root, "monitoringClient"), "monitoringClientId", client)
    return write_document(root, "monitoring-conf.xsd")
