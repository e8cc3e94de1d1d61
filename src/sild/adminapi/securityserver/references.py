"""Lists to choose from: instances, member classes and names, security servers."""

from typing import Annotated, Self

from fastapi import Path, Query

from sild.adminapi.bodies import Body, EncodedIdText, Plain, ShortText
from sild.adminapi.operations import Operations
from sild.adminapi.securityserver.server import Served
from sild.adminapi.securityserver.service_client_ids import server_from_encoded
from sild.model.permissions import Permission
from sild.protocol.globalconf.lookup import ServerEntry

OPERATIONS = Operations("references")

_LONGEST = 255
QueryText = Annotated[str, Query(min_length=1, max_length=_LONGEST), Plain]
"""A parameter of an operation: a code in the query."""


class XRoadInstance(Body):
    """An instance, and whether this server belongs to it."""

    identifier: str
    local: bool


class MemberName(Body):
    """How a member is called."""

    member_name: str | None = None


class SecurityServer(Body):
    """A security server of any instance; one without an address is not registered."""

    id: str
    instance_id: str
    member_class: str
    member_code: str
    server_code: str
    server_address: str | None = None

    @classmethod
    def of(cls, server: ServerEntry) -> Self:
        """Lay out a server."""
        owner = server.id.owner
        return cls(
            id=server.id.encoded,
            instance_id=owner.instance,
            member_class=owner.member_class,
            member_code=owner.member_code,
            server_code=server.id.server_code,
            server_address=server.address,
        )


@OPERATIONS.get(
    "/xroad-instances",
    "getXRoadInstances",
    permission=Permission.VIEW_XROAD_INSTANCES,
    also=(400, 404, 406, 409),
)
async def get_xroad_instances(server: Served) -> list[XRoadInstance]:
    """List the instances whose configuration is there."""
    return [
        XRoadInstance(identifier=each.name, local=each.is_local)
        for each in server.references.instances()
    ]


@OPERATIONS.get(
    "/member-classes",
    "getMemberClasses",
    permission=Permission.VIEW_MEMBER_CLASSES,
    also=(400, 404, 406, 409),
)
async def get_member_classes(
    server: Served, *, current_instance: Annotated[bool, Query()] = False
) -> list[str]:
    """List the member classes of all instances, or of this server's."""
    if current_instance:
        return list(server.references.local_member_classes())
    return list(server.references.member_classes())


@OPERATIONS.get(
    "/member-classes/{id}",
    "getMemberClassesForInstance",
    permission=Permission.VIEW_MEMBER_CLASSES,
    also=(400, 404, 406, 409),
)
async def get_member_classes_for_instance(
    instance: Annotated[ShortText, Path(alias="id")], server: Served
) -> list[str]:
    """List the member classes of an instance."""
    return list(server.references.member_classes(instance))


@OPERATIONS.get(
    "/member-names", "findMemberName", permission=Permission.INIT_CONFIG, also=(400, 404, 406, 409)
)
async def find_member_name(
    member_class: QueryText, member_code: QueryText, server: Served
) -> MemberName:
    """Say how a member of this server's instance is called."""
    return MemberName(member_name=server.references.get_member_name(member_class, member_code))


@OPERATIONS.get(
    "/security-servers",
    "getSecurityServers",
    permission=Permission.VIEW_SECURITY_SERVERS,
    also=(400, 404, 406, 409),
)
async def get_security_servers(
    server: Served, *, current_server: Annotated[bool, Query()] = False
) -> list[SecurityServer]:
    """List the security servers of all instances, or this one."""
    if current_server:
        return [SecurityServer.of(await server.references.current_server())]
    return [SecurityServer.of(each) for each in server.references.servers()]


@OPERATIONS.get(
    "/security-servers/{id}",
    "getSecurityServer",
    permission=Permission.INIT_CONFIG,
    also=(400, 404, 406, 409),
)
async def get_security_server(
    server_id: Annotated[EncodedIdText, Path(alias="id")], server: Served
) -> SecurityServer:
    """Show a security server that is registered."""
    return SecurityServer.of(server.references.get_server(server_from_encoded(server_id)))
