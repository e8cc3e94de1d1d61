"""Use cases on access rights.

A right to a base endpoint is one to the whole service, in all its versions.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sild.components.serverconf.errors import (
    AccessRightExists,
    AccessRightNotFound,
    ServiceNotFound,
)
from sild.components.serverconf.ports import World
from sild.components.serverconf.right_rows import read_endpoint, read_groups
from sild.components.serverconf.service_client_errors import ServiceClientNotFound
from sild.components.serverconf.store import Configuration, ConfigurationStore
from sild.model.services import AccessRight, Endpoint, InvalidConfiguration
from sild.protocol.globalconf.lookup import GlobalConf
from sild.protocol.ids import ClientId, GlobalGroupId, LocalGroupId, SubjectId
from sild.runtime.clock import Clock

NamedSubject = SubjectId | int
"""A subject as people name it: a local group by the id of its row."""


@dataclass(frozen=True, slots=True)
class NamedService:
    """A service by its provider and its code with its version, `getData.v1`."""

    provider: ClientId
    full_code: str


Target = NamedService | int
"""What a right is to, as people name it: a service, or an endpoint by the id of its row."""


class Rights:
    """Who may call what."""

    def __init__(self, store: ConfigurationStore, world: World, clock: Clock) -> None:
        self._store = store
        self._world = world
        self._clock = clock

    async def get_endpoint(self, target: Target) -> Endpoint:
        """The endpoint that rights to the target are to.

        Raises EndpointNotFound, ClientNotFound, ServiceNotFound.
        """
        async with self._store.reading() as conf:
            return await endpoint_of_target(conf, target)

    async def get_subjects(
        self, provider: ClientId, named: Iterable[NamedSubject]
    ) -> tuple[SubjectId, ...]:
        """Who is named, each once; raises ServiceClientNotFound for groups of others."""
        async with self._store.reading() as conf:
            found = [await subject_of_name(conf, provider, each) for each in named]
        return tuple(dict.fromkeys(found))

    async def grant(self, endpoint: Endpoint, subjects: Iterable[SubjectId]) -> None:
        """Give each subject a right to an endpoint, or with a base endpoint to the service.

        Raises ServiceClientNotFound, AccessRightExists, EndpointNotFound, GlobalConfOutdated.
        """
        rights = [AccessRight(endpoint, subject) for subject in subjects]
        await self._grant(endpoint.provider, rights)

    async def revoke(self, endpoint: Endpoint, subjects: Iterable[SubjectId]) -> None:
        """Take the right to this endpoint, and no other, from each subject, or from none.

        Raises AccessRightNotFound.
        """
        rights = [AccessRight(endpoint, subject) for subject in dict.fromkeys(subjects)]
        async with self._store.transaction() as conf:
            _check_given(rights, await conf.rights(endpoint.provider))
            for right in rights:
                await conf.revoke(right)

    async def grant_services(
        self, provider: ClientId, subject: SubjectId, codes: Collection[str]
    ) -> None:
        """Give a subject rights to whole services of a client.

        Raises what `grant` raises, ClientNotFound and ServiceNotFound.
        """
        async with self._store.reading() as conf:
            bases = await _bases(conf, provider, codes)
        await self._grant(provider, [AccessRight(base, subject) for base in bases])

    async def revoke_services(
        self, provider: ClientId, subject: SubjectId, codes: Collection[str]
    ) -> None:
        """Take a subject's rights to whole services, and with each those to its endpoints.

        Raises AccessRightNotFound, ClientNotFound and ServiceNotFound.
        """
        async with self._store.transaction() as conf:
            bases = await _bases(conf, provider, codes)
            known = await conf.rights(provider)
            _check_given([AccessRight(base, subject) for base in bases], known)
            for right in known:
                if right.subject == subject and right.endpoint.service_code in codes:
                    await conf.revoke(right)

    async def _grant(self, provider: ClientId, rights: Iterable[AccessRight]) -> None:
        wanted = tuple(dict.fromkeys(rights))
        _check_known([right.subject for right in wanted], self._world)
        async with self._store.transaction() as conf:
            given = await conf.rights(provider)
            for right in wanted:
                if right in given:
                    raise AccessRightExists(f"{right.subject} has this right already")
                await check_subject(conf, right)
                await conf.grant(right, self._clock.now())


async def check_subject(conf: Configuration, right: AccessRight) -> None:
    """Refuse a right of a member, and of a local group that the provider does not have."""
    subject = right.subject
    if isinstance(subject, ClientId) and not subject.is_subsystem:
        raise InvalidConfiguration(f"{subject} cannot have rights: it is no subsystem")
    if isinstance(subject, LocalGroupId):
        await conf.get_group(right.endpoint.provider, subject.group_code)


async def endpoint_of_target(conf: Configuration, target: Target) -> Endpoint:
    """The endpoint that rights to the target are to.

    Raises EndpointNotFound, ClientNotFound, ServiceNotFound.
    """
    if isinstance(target, int):
        return await read_endpoint(conf.connection, target)
    await conf.get_client(target.provider)
    for description in await conf.descriptions(target.provider):
        for service in description.services:
            if service.full_code == target.full_code:
                return Endpoint(target.provider, service.id.service_code)
    raise ServiceNotFound(f"{target.provider} has no service {target.full_code!r}")


async def subject_of_name(
    conf: Configuration, provider: ClientId, named: NamedSubject
) -> SubjectId:
    """Who is named; raises ServiceClientNotFound for a group that the provider does not have."""
    if not isinstance(named, int):
        return named
    for group in await read_groups(conf.connection, provider):
        if group.id == named:
            return LocalGroupId(group.code)
    raise ServiceClientNotFound(f"{provider} has no local group {named}")


def is_known(subject: SubjectId, conf: GlobalConf) -> bool:
    """Whether the global configuration knows a subject; of local groups it has no word."""
    match subject:
        case ClientId():
            return conf.is_known(subject)
        case GlobalGroupId():
            known = conf.instances.get(subject.instance)
            return known is not None and any(g.id == subject for g in known.shared.groups)
        case LocalGroupId():
            return True


def _check_known(subjects: Iterable[SubjectId], world: World) -> None:
    conf = world.global_conf()
    for subject in subjects:
        if not is_known(subject, conf):
            raise ServiceClientNotFound(f"nobody is registered as {subject}")


def _check_given(rights: Iterable[AccessRight], given: Collection[AccessRight]) -> None:
    for right in rights:
        if right not in given:
            raise AccessRightNotFound(f"{right.subject} has no such right")


async def _bases(
    conf: Configuration, provider: ClientId, codes: Collection[str]
) -> tuple[Endpoint, ...]:
    await conf.get_client(provider)
    known = await conf.endpoints(provider)
    bases = tuple(Endpoint(provider, code) for code in dict.fromkeys(codes))
    for base in bases:
        if base not in known:
            raise ServiceNotFound(f"{provider} has no service {base.service_code!r}")
    return bases
