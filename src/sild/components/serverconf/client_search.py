"""Clients as people look for them: this server's own, and those of the global configuration."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

from sild.components.serverconf.client_ports import OcspAnswers
from sild.model.services import Client, ClientStatus, ConnectionType
from sild.model.tokens import CertificateEntry, CertificateStatus, Key, KeyUsage, OcspStatus, Token
from sild.protocol.errors import MalformedGlobalConf
from sild.protocol.globalconf.lookup import GlobalConf
from sild.protocol.ids import ClientId


class RenameStatus(Enum):
    """How far a subsystem's new name has come."""

    SET = "NAME_SET"
    SUBMITTED = "NAME_SUBMITTED"


@dataclass(frozen=True, slots=True)
class ClientFilter:
    """Which clients are looked for; blank texts and None leave open."""

    name: str = ""
    """Part of the member's or the subsystem's name."""
    instance: str = ""
    member_class: str = ""
    member_code: str = ""
    subsystem_code: str = ""
    show_members: bool = True
    """Whether members are shown beside subsystems."""
    local_only: bool = True
    exclude_local: bool = False
    """Whether, where not only this server's clients are looked for, they are left out."""
    has_valid_sign_certificate: bool | None = None


@dataclass(frozen=True, slots=True)
class ShownClient:
    """A client with all that is known of it; without status it is none of this server."""

    id: ClientId
    member_name: str | None
    subsystem_name: str | None
    is_owner: bool
    has_valid_sign_certificate: bool
    provides_management: bool
    rename: RenameStatus | None = None
    status: ClientStatus | None = None
    connection_type: ConnectionType | None = None


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is known beside the clients themselves; no global configuration may be valid."""

    owner: ClientId | None
    conf: GlobalConf | None
    certified: frozenset[ClientId] = frozenset()
    """The members that can sign."""
    renames: Mapping[ClientId, RenameStatus] = field(default_factory=dict)

    def show(self, client: ClientId, own: Client | None) -> ShownClient:
        """Give a client as it is shown; `own` is what this server keeps of it."""
        conf = self.conf
        return ShownClient(
            client,
            None if conf is None else conf.find_member_name(client),
            None if conf is None else conf.find_subsystem_name(client),
            client == self.owner,
            client.member in self.certified,
            conf is not None and client == management_provider(conf),
            self.renames.get(client),
            None if own is None else own.status,
            None if own is None else own.connection_type,
        )


def search(
    wanted: ClientFilter, own: Iterable[Client], around: Circumstances
) -> tuple[ShownClient, ...]:
    """The clients that are looked for, by name and identifier; others than own need the conf."""
    mine = {client.id: around.show(client.id, client) for client in own}
    found = dict(mine)
    if not wanted.local_only and around.conf is not None:
        others = {each: around.show(each, None) for each in around.conf.members if each not in mine}
        found = others if wanted.exclude_local else mine | others
    return tuple(sorted((each for each in found.values() if _matches(wanted, each)), key=_order))


def management_provider(conf: GlobalConf) -> ClientId | None:
    """Who provides the management services, if that is known."""
    try:
        return conf.management_service.provider
    except MalformedGlobalConf:
        return None


def sign_certificates_of(
    member: ClientId, tokens: Iterable[Token]
) -> Iterator[tuple[Token, Key, CertificateEntry]]:
    """The certificates by which a member can sign, or could, with what they are on."""
    for token, key, entry in _sign_certificates(tokens):
        if entry.member == member:
            yield token, key, entry


def certified_members(tokens: Iterable[Token], answers: OcspAnswers) -> frozenset[ClientId]:
    """The members with a signing certificate that is registered, and good by OCSP."""
    return frozenset(
        entry.member
        for _, _, entry in _sign_certificates(tokens)
        if entry.member is not None
        and entry.status is CertificateStatus.REGISTERED
        and answers.ocsp_status(entry.certificate) is OcspStatus.GOOD
    )


def _sign_certificates(tokens: Iterable[Token]) -> Iterator[tuple[Token, Key, CertificateEntry]]:
    for token in tokens:
        for key in token.keys:
            if key.usage is KeyUsage.SIGNING:
                for entry in key.certificates:
                    yield token, key, entry


def _matches(wanted: ClientFilter, client: ShownClient) -> bool:
    names, certified = client.id, wanted.has_valid_sign_certificate
    return (
        (wanted.show_members or names.is_subsystem)
        and (not wanted.instance or names.instance.lower() == wanted.instance.lower())
        and _is_part(wanted.member_class, names.member_class)
        and _is_part(wanted.member_code, names.member_code)
        and _is_part(wanted.subsystem_code, names.subsystem_code)
        and any(_is_part(wanted.name, name) for name in (client.member_name, client.subsystem_name))
        and certified in (None, client.has_valid_sign_certificate)
    )


def _is_part(part: str, text: str | None) -> bool:
    return not part or (text is not None and part.lower() in text.lower())


def _order(client: ShownClient) -> tuple[bool, str, str]:
    name = client.member_name
    return name is None, (name or "").lower(), client.id.encoded.lower()
