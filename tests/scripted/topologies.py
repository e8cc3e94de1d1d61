"""What a topology means to the scripted publisher."""

from scripted.registry import Registry
from sild.devnet.authorities import Authorities
from sild.devnet.topology import Topology
from sild.protocol.globalconf.private_parameters import ManagementService
from sild.protocol.globalconf.shared_parameters import (
    GlobalGroup,
    Member,
    MemberClass,
    SecurityServer,
    Subsystem,
)

# Nobody answers here: this is no Central Server.
_NO_MANAGEMENT = "https://127.0.0.1:4001/managementservice/"


def registry_of(topology: Topology, authorities: Authorities) -> Registry:
    """All that is registered: servers have no authentication certificates yet.

    Raises DevnetError unless the authorities are being served.
    """
    return Registry(
        instance=topology.instance,
        management=ManagementService(_NO_MANAGEMENT, None, topology.management),
        member_classes=tuple(MemberClass(*described) for described in topology.member_classes),
        members=_members(topology),
        servers=tuple(
            SecurityServer(server.id, server.address, clients=server.clients)
            for server in topology.servers
        ),
        groups=tuple(
            GlobalGroup(group.id, group.description, group.members) for group in topology.groups
        ),
        certification_services=(authorities.certification_service(),),
        timestamping_services=authorities.timestamping_services(),
    )


def _members(topology: Topology) -> tuple[Member, ...]:
    descriptions = dict(topology.member_classes)
    return tuple(
        Member(
            id=member.id,
            name=member.name,
            class_description=descriptions[member.id.member_class],
            subsystems=tuple(Subsystem(each.id, each.name) for each in member.subsystems),
        )
        for member in topology.members
    )
