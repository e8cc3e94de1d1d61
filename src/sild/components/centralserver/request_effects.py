"""Registrations: what stands against one when it comes, and what it does when it is approved."""

from dataclasses import dataclass

from sild.components.centralserver.registry_errors import (
    AuthCertificateExists,
    ClientRegistered,
    MemberClassNotFound,
    ServerExists,
)
from sild.components.centralserver.registry_rows import RegistryRows
from sild.components.centralserver.request_errors import (
    ApprovedServerNotFound,
    CannotRegisterOwner,
    ClientAlreadyOwner,
    InvalidServerAddress,
    InvalidSubsystemName,
    OwnerMustBeClient,
    OwnerMustBeMember,
    RequestMemberNotFound,
    RequestServerNotFound,
    ServerOwnerNotFound,
)
from sild.components.centralserver.request_rows import RequestRows
from sild.model.registration import Origin
from sild.protocol.ids import ClientId, SecurityServerId
from sild.protocol.management.address import is_address
from sild.protocol.management.requests import (
    AuthCertRegistration,
    ClientRegistration,
    OwnerChange,
)

LONGEST_NAME = 255

Registration = AuthCertRegistration | ClientRegistration | OwnerChange
"""What somebody must approve."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """All that a request may read and change, within one transaction."""

    rows: RegistryRows
    requests: RequestRows
    instance: str
    provider: ClientId | None
    """Who provides the management services."""


# What stands against a registration when it is submitted.


async def check_registration(
    request: Registration, origin: Origin, transaction: Transaction
) -> None:
    """Refuse a registration that the registry could not carry out, or that it makes needless.

    Of an authentication certificate only whose it is, not whether it is valid.
    """
    _check_instance(request, transaction.instance)
    match request:
        case AuthCertRegistration():
            await _check_auth_cert_registration(request, origin, transaction)
        case ClientRegistration():
            await _check_client_registration(request, origin, transaction)
        case OwnerChange():
            await _check_owner_change(request, transaction)


def _check_instance(request: Registration, instance: str) -> None:
    """What belongs to another instance is registered there."""
    if request.server.owner.instance != instance:
        raise RequestServerNotFound(f"{request.server} is of another instance", str(request.server))
    if not isinstance(request, AuthCertRegistration) and request.client.instance != instance:
        raise RequestMemberNotFound(f"{request.client} is of another instance", str(request.client))


async def _check_auth_cert_registration(
    request: AuthCertRegistration, origin: Origin, transaction: Transaction
) -> None:
    owner = request.server.owner
    if origin is Origin.CENTER and await transaction.rows.find_member(owner) is None:
        raise ServerOwnerNotFound(f"there is no {owner}", str(owner))
    check_server_address(request.address)
    if await transaction.rows.find_server_of_certificate(request.certificate) is not None:
        raise AuthCertificateExists("a server has this authentication certificate already")


async def _check_client_registration(
    request: ClientRegistration, origin: Origin, transaction: Transaction
) -> None:
    server, client = request.server, request.client
    if client == server.owner:
        raise CannotRegisterOwner(f"{client} owns {server}")
    if request.subsystem_name is not None and len(request.subsystem_name) > LONGEST_NAME:
        raise InvalidSubsystemName(f"a name has at most {LONGEST_NAME} characters")
    found = await transaction.rows.find_server(server)
    if origin is Origin.CENTER:
        if found is None:
            raise RequestServerNotFound(f"there is no {server}", str(server))
        if await transaction.rows.find_member(client) is None:
            raise RequestMemberNotFound(f"there is no {client.member}", str(client))
    if found and await transaction.rows.find_client_link(server, client) is not None:
        raise ClientRegistered(f"{client} is a client of {server} already")


async def _check_owner_change(request: OwnerChange, transaction: Transaction) -> None:
    server, client = request.server, request.client
    if client.is_subsystem:
        raise OwnerMustBeMember(f"{client} is a subsystem")
    if await transaction.rows.find_server(server) is None:
        raise RequestServerNotFound(f"there is no {server}", str(server))
    if client == server.owner:
        raise ClientAlreadyOwner(f"{client} owns {server}")
    if await transaction.rows.find_client_link(server, client) is None:
        raise OwnerMustBeClient(f"{client} is no client of {server}")
    changed = SecurityServerId(client, server.server_code)
    if await transaction.rows.find_server(changed) is not None:
        raise ServerExists(f"{changed} is there already", str(changed))


async def is_known(request: Registration, transaction: Transaction) -> bool:
    """Whether all whom a registration names are registered, so that nobody needs to look at it."""
    match request:
        case AuthCertRegistration(server=server):
            return await transaction.rows.find_member(server.owner) is not None
        case ClientRegistration(server=server, client=client):
            server_row = await transaction.rows.find_server(server)
            return server_row is not None and await transaction.rows.find_member(client) is not None
        case OwnerChange(client=client):
            return await transaction.rows.find_member(client) is not None


# What a registration does when it is approved.


async def carry_out_registration(
    request: Registration, transaction: Transaction
) -> ClientId | None:
    """Change the registry; gives the member that was made for it."""
    match request:
        case AuthCertRegistration():
            return await _register_certificate(request, transaction.rows)
        case ClientRegistration():
            return await _register_client(request, transaction.rows)
        case OwnerChange(server=server, client=client):
            if await transaction.rows.find_server(server) is None:
                raise RequestServerNotFound(f"there is no {server}", str(server))
            if await transaction.rows.find_member(client) is None:
                raise RequestMemberNotFound(f"there is no {client}", str(client))
            await transaction.rows.change_owner(server, client)
            return None


async def _register_certificate(
    request: AuthCertRegistration, rows: RegistryRows
) -> ClientId | None:
    server, address = request.server, request.address
    if address is None:
        raise InvalidServerAddress("the request gives no address")
    new_member = await _see_to_member(server.owner, rows)
    if await rows.find_server(server) is None:
        await rows.add_server(server, address)
    else:
        await rows.set_address(server, address)
    await rows.add_auth_certificate(server, request.certificate)
    await rows.add_to_owners(server.owner)
    return new_member


async def _register_client(request: ClientRegistration, rows: RegistryRows) -> ClientId | None:
    server, client, name = request.server, request.client, request.subsystem_name
    if await rows.find_server(server) is None:
        raise ApprovedServerNotFound(f"there is no {server}", str(server))
    new_member = await _see_to_member(client, rows)
    if client.is_subsystem:
        subsystem = await rows.find_subsystem(client)
        if subsystem is None:
            await rows.add_subsystem(client, name)
        elif name and name != subsystem.name:
            await rows.rename_subsystem(client, name)
    await rows.add_client(server, client)
    return new_member


async def _see_to_member(client: ClientId, rows: RegistryRows) -> ClientId | None:
    """See that the member is there, named by its code if it is new."""
    if await rows.find_member(client) is not None:
        return None
    member = client.member
    if not await rows.has_member_class(member.member_class):
        code = member.member_class
        raise MemberClassNotFound(f"there is no member class {code!r}", "code", code)
    await rows.add_member(member, member.member_code)
    return member


# What registrations and other changes have in common.


async def describe_rename(
    client: ClientId, name: str | None, rows: RegistryRows, comments: str | None
) -> str | None:
    """The comments, behind what changes if a subsystem gets another name."""
    subsystem = await rows.find_subsystem(client)
    old = subsystem.name if subsystem else None
    if not name or not old or name == old:
        return comments
    return joined(f"Changing subsystem name from '{old}' to '{name}'.", comments)


def check_server_address(address: str | None) -> None:
    """Raise InvalidServerAddress for what is neither a host name nor an IP address."""
    if address is None or not is_address(address):
        raise InvalidServerAddress("the address is no host name or IP address")


def joined(sentence: str, comments: str | None) -> str:
    """The comments, behind a sentence of our own."""
    return f"{sentence} {comments}" if comments and comments.strip() else sentence
