"""What a topology means to each part of an ecosystem: authorities, and servers as declared."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sild.apiclient.declared import DeclaredServer
from sild.apiclient.declared_reading import read_declared
from sild.devnet.authorities import AuthoritiesSettings
from sild.devnet.certification import CaSettings
from sild.devnet.soap_descriptions import description_url
from sild.devnet.topology import (
    CertificateProfile,
    Grant,
    PlannedServer,
    PlannedService,
    PlannedSubsystem,
    Topology,
)
from sild.model.services import ANY_METHOD, ANY_PATH, ConnectionType, ServiceType
from sild.model.tokens import KeyUsage
from sild.protocol.ids import ClientId, GlobalGroupId, LocalGroupId, SubjectId

_OWNERS = "security-server-owners"

# What the profiles leave open in subjects, beside names of servers.
_COUNTRIES = {CertificateProfile.BASIC: "EE"}
_NAMES_SERVER = frozenset({CertificateProfile.BASIC, CertificateProfile.FI, CertificateProfile.IS})
_CONNECTION_TYPES = {
    ConnectionType.NOSSL: "HTTP",
    ConnectionType.SSLAUTH: "HTTPS",
    ConnectionType.SSLNOAUTH: "HTTPS_NO_AUTH",
}
ANCHOR, PIN_FILE = "anchor.xml", "token-pin"
"""Files that declarations speak of, in the folder that they are relative to."""


@dataclass(frozen=True, slots=True)
class Around:
    """Where the applications of providers answer, and the Central Server's management services."""

    provider_urls: Mapping[str, str]
    management_url: str
    management_wsdl: str


def authorities_settings(topology: Topology) -> AuthoritiesSettings:
    """The authorities that a topology wants."""
    return AuthoritiesSettings(
        ca=CaSettings(topology.instance, has_intermediate=topology.has_intermediate_ca),
        profile=topology.profile.value,
        tsas=topology.tsas,
    )


def request_fields(topology: Topology, server: PlannedServer, usage: KeyUsage) -> dict[str, str]:
    """What fills the fields of a request's subject that the profile leaves open, by keyword."""
    profile = topology.profile
    fields = {}
    if profile in _COUNTRIES:
        fields["C"] = _COUNTRIES[profile]
    if profile is CertificateProfile.FI:
        fields["O"] = topology.get_member(server.id.owner).name
    if usage is KeyUsage.AUTHENTICATION and profile in _NAMES_SERVER:
        fields["CN"] = f"{server.id.server_code}.devnet.example"
    return fields


def declared_server(topology: Topology, server: PlannedServer, around: Around) -> DeclaredServer:
    """The server as a file would declare it."""
    owner = server.id.owner
    return read_declared(
        {
            "owner": owner.encoded,
            "code": server.id.server_code,
            "address": server.address,
            "anchor": ANCHOR,
            "pin": {"file": PIN_FILE},
            "timestamping": "all" if topology.tsas else None,
            "tokens": [{"keys": list(_keys(topology, server))}],
            "clients": [
                _client(topology, client, around) for client in server.clients if client != owner
            ],
        }
    )


def _keys(topology: Topology, server: PlannedServer) -> Iterable[dict[str, Any]]:
    for member in server.signers:
        fields = request_fields(topology, server, KeyUsage.SIGNING)
        label = f"sign {member.member_class} {member.member_code}"
        key = {"usage": "SIGNING", "label": label, "fields": fields}
        yield key | {"member": member.encoded}
    fields = request_fields(topology, server, KeyUsage.AUTHENTICATION)
    yield {"usage": "AUTHENTICATION", "label": "auth", "fields": fields}


def _client(topology: Topology, client: ClientId, around: Around) -> dict[str, Any]:
    if not client.is_subsystem:
        return {"id": client.encoded}
    planned: PlannedSubsystem = topology.get_subsystem(client)
    services = [_service(each, around.provider_urls) for each in planned.services]
    declared: dict[str, Any] = {
        "id": client.encoded,
        "connection-type": _CONNECTION_TYPES[planned.connection_type],
        "groups": [
            {
                "code": group.code,
                "description": group.description or group.code,
                "members": [member.encoded for member in group.members],
            }
            for group in planned.groups
        ],
        "services": services,
    }
    if client == topology.management:
        # Whom the Central Server registers by itself is waited for, not asked for.
        declared |= {"register": False, "services": [*services, _management(client, around)]}
    return declared


def _management(client: ClientId, around: Around) -> dict[str, Any]:
    return {
        "type": ServiceType.WSDL.value,
        "url": around.management_wsdl,
        "service-url": around.management_url,
        # The Central Server's certificate is its own; each request proves itself.
        "verify-tls": False,
        "access": [_subject(GlobalGroupId(client.instance, _OWNERS))],
    }


def _service(planned: PlannedService, provider_urls: Mapping[str, str]) -> dict[str, Any]:
    url = provider_urls[planned.provider] + planned.path
    whole, parts = _split(planned.grants)
    if planned.type is ServiceType.WSDL:
        code = planned.code if planned.version is None else f"{planned.code}.{planned.version}"
        return {
            "type": ServiceType.WSDL.value,
            "url": description_url(url, planned.code, planned.version),
            "services": [{"code": code, "access": whole}],
        }
    return {
        "type": ServiceType.REST.value,
        "code": planned.code,
        "url": url,
        "access": whole,
        "endpoints": [
            {"method": method, "path": path, "access": [_subject(each.subject) for each in grants]}
            for (method, path), grants in groupby(
                sorted(parts, key=_place), key=lambda grant: (grant.method, grant.path)
            )
        ],
    }


def _place(grant: Grant) -> tuple[str, str]:
    return (grant.method, grant.path)


def _split(grants: Iterable[Grant]) -> tuple[list[str], list[Grant]]:
    """Who may call the whole service, and the rights to parts of it."""
    whole, parts = [], []
    for grant in grants:
        if grant.method == ANY_METHOD and grant.path == ANY_PATH:
            whole.append(_subject(grant.subject))
        else:
            parts.append(grant)
    return whole, parts


def _subject(subject: SubjectId) -> str:
    match subject:
        case ClientId():
            return subject.encoded
        case GlobalGroupId():
            return f"{subject.instance}:{subject.group_code}"
        case LocalGroupId():
            return subject.group_code
