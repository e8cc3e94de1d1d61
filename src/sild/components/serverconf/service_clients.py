"""Service clients: who may use the services of a client, and who could be given rights."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from sild.components.serverconf.ports import World
from sild.components.serverconf.right_rows import GivenRight, GroupRow, read_groups, read_rights
from sild.components.serverconf.rights import (
    NamedSubject,
    Target,
    endpoint_of_target,
    subject_of_name,
)
from sild.components.serverconf.service_client_errors import ServiceClientNotFound
from sild.components.serverconf.store import Configuration, ConfigurationStore
from sild.protocol.errors import GlobalConfError
from sild.protocol.globalconf.lookup import GlobalConf
from sild.protocol.ids import ClientId, GlobalGroupId, LocalGroupId, SubjectId


class SubjectKind(Enum):
    """What can have rights."""

    SUBSYSTEM = "SUBSYSTEM"
    GLOBALGROUP = "GLOBALGROUP"
    LOCALGROUP = "LOCALGROUP"


@dataclass(frozen=True, slots=True)
class ServiceClient:
    """Who has a right or could have one; a local group has the id of its row.

    The name is a subsystem's or what describes a group; none where nobody knows it any more.
    """

    subject: SubjectId
    name: str | None = None
    member_name: str | None = None
    group_id: int | None = None
    given: datetime | None = None

    @property
    def kind(self) -> SubjectKind:
        """What it is."""
        match self.subject:
            case ClientId():
                return SubjectKind.SUBSYSTEM
            case GlobalGroupId():
                return SubjectKind.GLOBALGROUP
            case LocalGroupId():
                return SubjectKind.LOCALGROUP


@dataclass(frozen=True, slots=True)
class ServiceRight:
    """A right to a whole service; the title is that of its newest version."""

    code: str
    title: str | None
    given: datetime


@dataclass(frozen=True, slots=True)
class Wanted:
    """What candidates are searched by: parts of texts in any case, the whole instance and class.

    A blank text stands for all.
    """

    kind: SubjectKind | None = None
    name: str = ""
    """Of the name of a member or subsystem, or of what describes a group."""
    instance: str = ""
    member_class: str = ""
    code: str = ""
    """Of the code of a member or group."""
    subsystem_code: str = ""

    def matches(self, candidate: ServiceClient) -> bool:
        """Whether somebody is searched for."""
        return (
            self.kind in (None, candidate.kind)
            and any(_has(text, self.name) for text in (candidate.name, candidate.member_name))
            and self._matches_id(candidate.subject)
        )

    def _matches_id(self, subject: SubjectId) -> bool:
        if isinstance(subject, ClientId):
            return (
                _is(subject.instance, self.instance)
                and _is(subject.member_class, self.member_class)
                and _has(subject.member_code, self.code)
                and _has(subject.subsystem_code, self.subsystem_code)
            )
        # A local group is of no instance, and so of any.
        of_instance = isinstance(subject, LocalGroupId) or _is(subject.instance, self.instance)
        is_of_member = self.member_class or self.subsystem_code
        return of_instance and not is_of_member and _has(subject.group_code, self.code)


class ServiceClients:
    """Shows who may use what, and since when; names come from the global configuration."""

    def __init__(self, store: ConfigurationStore, world: World) -> None:
        self._store = store
        self._world = world

    async def of_client(self, provider: ClientId) -> tuple[ServiceClient, ...]:
        """Who has rights to whole services of a client, each since the first of them.

        Raises ClientNotFound.
        """
        async with self._store.reading() as conf:
            await conf.get_client(provider)
            rights = await read_rights(conf.connection, provider)
            return await self._show(conf, provider, _first_of_each(rights))

    async def get(self, provider: ClientId, named: NamedSubject) -> ServiceClient:
        """One of them; raises ClientNotFound, ServiceClientNotFound."""
        async with self._store.reading() as conf:
            await conf.get_client(provider)
            subject = await subject_of_name(conf, provider, named)
        for found in await self.of_client(provider):
            if found.subject == subject:
                return found
        raise ServiceClientNotFound(f"{subject} has no rights to services of {provider}")

    async def rights_of(self, provider: ClientId, named: NamedSubject) -> tuple[ServiceRight, ...]:
        """The services of a client that one of them may use; raises what `get` raises."""
        found = await self.get(provider, named)
        async with self._store.reading() as conf:
            rights = await read_rights(conf.connection, provider)
            titles = await _titles(conf, provider)
        return tuple(
            ServiceRight(
                each.right.endpoint.service_code,
                titles.get(each.right.endpoint.service_code),
                each.given,
            )
            for each in rights
            if each.right.subject == found.subject and each.right.endpoint.is_base
        )

    async def of_target(self, target: Target) -> tuple[ServiceClient, ...]:
        """Who has a right to this service or endpoint.

        Raises ClientNotFound, ServiceNotFound, EndpointNotFound.
        """
        async with self._store.reading() as conf:
            endpoint = await endpoint_of_target(conf, target)
            rights = await read_rights(conf.connection, endpoint.provider)
            theirs = [each for each in rights if each.right.endpoint == endpoint]
            return await self._show(conf, endpoint.provider, theirs)

    async def candidates(self, provider: ClientId, wanted: Wanted) -> tuple[ServiceClient, ...]:
        """Who could be given rights to services of a client, of all instances.

        Raises ClientNotFound, GlobalConfOutdated.
        """
        world = self._world.global_conf()
        async with self._store.reading() as conf:
            await conf.get_client(provider)
            groups = await read_groups(conf.connection, provider)
        own = (ServiceClient(LocalGroupId(g.code), g.description, None, g.id) for g in groups)
        return tuple(each for each in (*_of_world(world), *own) if wanted.matches(each))

    async def _show(
        self, conf: Configuration, provider: ClientId, rights: Iterable[GivenRight]
    ) -> tuple[ServiceClient, ...]:
        groups = {each.code: each for each in await read_groups(conf.connection, provider)}
        world = self._find_world()
        return tuple(_shown(each, groups, world) for each in rights)

    def _find_world(self) -> GlobalConf | None:
        try:
            return self._world.global_conf()
        except GlobalConfError:
            # Without names, who has rights can be seen, and be taken them, all the same.
            return None


async def _titles(conf: Configuration, provider: ClientId) -> dict[str, str | None]:
    """What each service code of a client is called in its newest version."""
    services = [s for each in await conf.descriptions(provider) for s in each.services]
    services.sort(key=lambda each: (each.id.service_version or "").casefold())
    return {each.id.service_code: each.title for each in services}


def _first_of_each(rights: Iterable[GivenRight]) -> list[GivenRight]:
    first: dict[SubjectId, GivenRight] = {}
    for each in rights:
        if each.right.endpoint.is_base:
            known = first.setdefault(each.right.subject, each)
            if each.given < known.given:
                first[each.right.subject] = each
    return list(first.values())


def _shown(
    given: GivenRight, groups: Mapping[str, GroupRow], world: GlobalConf | None
) -> ServiceClient:
    subject = given.right.subject
    if isinstance(subject, LocalGroupId):
        group = groups[subject.group_code]
        return ServiceClient(subject, group.description, None, group.id, given.given)
    if isinstance(subject, GlobalGroupId):
        name = None if world is None else _find_description(subject, world)
    else:
        name = (world and world.find_subsystem_name(subject)) or subject.subsystem_code
    return ServiceClient(subject, name, given=given.given)


def _find_description(group: GlobalGroupId, world: GlobalConf) -> str | None:
    conf = world.instances.get(group.instance)
    groups = () if conf is None else conf.shared.groups
    return next((each.description for each in groups if each.id == group), None)


def _of_world(world: GlobalConf) -> Iterator[ServiceClient]:
    for conf in world.instances.values():
        for member in conf.shared.members:
            for subsystem in member.subsystems:
                name = subsystem.name or subsystem.id.subsystem_code
                yield ServiceClient(subsystem.id, name, member.name)
        for group in conf.shared.groups:
            yield ServiceClient(group.id, group.description)


def _has(text: str | None, wanted: str) -> bool:
    return not wanted or wanted.casefold() in (text or "").casefold()


def _is(text: str, wanted: str) -> bool:
    return not wanted or text.casefold() == wanted.casefold()
