"""What the global configuration knows, for lists to choose from."""

from dataclasses import dataclass

from sild.components.serverconf.ports import World
from sild.components.serverconf.service_client_errors import (
    InstanceNotFound,
    MemberNameNotFound,
    SecurityServerNotFound,
)
from sild.components.serverconf.store import ConfigurationStore
from sild.protocol.globalconf.lookup import ServerEntry
from sild.protocol.ids import ClientId, SecurityServerId


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance, and whether it is the one that this server belongs to."""

    name: str
    is_local: bool


class References:
    """Instances, member classes, names and security servers; all raise GlobalConfOutdated."""

    def __init__(self, store: ConfigurationStore, world: World) -> None:
        self._store = store
        self._world = world

    def instances(self) -> tuple[Instance, ...]:
        """The instances whose configuration is there, the local one first."""
        conf = self._world.global_conf()
        others = sorted(set(conf.instances) - {conf.instance})
        return (Instance(conf.instance, True), *(Instance(name, False) for name in others))

    def member_classes(self, instance: str | None = None) -> tuple[str, ...]:
        """The member classes of an instance, or of all; raises InstanceNotFound."""
        conf = self._world.global_conf()
        if instance is not None and instance not in conf.instances:
            raise InstanceNotFound(f"there is no configuration of the instance {instance}")
        asked = conf.instances if instance is None else {instance: conf.instances[instance]}
        classes = (each.code for one in asked.values() for each in one.shared.member_classes)
        return tuple(sorted(set(classes)))

    def local_member_classes(self) -> tuple[str, ...]:
        """The member classes of this server's instance."""
        return self.member_classes(self._world.global_conf().instance)

    def get_member_name(self, member_class: str, member_code: str) -> str:
        """What a member of this server's instance is called; raises MemberNameNotFound."""
        conf = self._world.global_conf()
        name = conf.find_member_name(ClientId(conf.instance, member_class, member_code))
        if not name:
            raise MemberNameNotFound(f"there is no member {member_code} of {member_class}")
        return name

    def servers(self) -> tuple[ServerEntry, ...]:
        """The security servers of all instances."""
        return tuple(sorted(self._world.global_conf().servers, key=lambda each: each.id.parts))

    def get_server(self, server: SecurityServerId) -> ServerEntry:
        """A security server that is registered; raises SecurityServerNotFound."""
        found = self._world.global_conf().server(server)
        if found is None:
            raise SecurityServerNotFound(f"there is no security server {server}", str(server))
        return found

    async def current_server(self) -> ServerEntry:
        """This security server, registered or not; raises ServerNotSet."""
        async with self._store.reading() as conf:
            server = await conf.get_server()
        found = self._world.global_conf().server(server)
        return found or ServerEntry(server, None, frozenset(), None)
