"""Use cases on access rights."""

from collections.abc import Iterable

from sild.components.serverconf.errors import (
    AccessRightExists,
    AccessRightNotFound,
)
from sild.components.serverconf.store import Configuration, ConfigurationStore
from sild.model.services import AccessRight, Endpoint, InvalidConfiguration
from sild.protocol.ids import ClientId, LocalGroupId, SubjectId
from sild.runtime.clock import Clock


class Rights:
    """Who may call what."""

    def __init__(self, store: ConfigurationStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def grant(self, endpoint: Endpoint, subjects: Iterable[SubjectId]) -> None:
        """Give each subject a right to an endpoint, or with a base endpoint to the service."""
        async with self._store.transaction() as conf:
            known = await conf.rights(endpoint.provider)
            for subject in subjects:
                right = AccessRight(endpoint, subject)
                if right in known:
                    raise AccessRightExists(f"{subject} has this right already")
                await check_subject(conf, right)
                await conf.grant(right, self._clock.now())

    async def revoke(self, endpoint: Endpoint, subjects: Iterable[SubjectId]) -> None:
        """Take the right from each subject; with the service goes every endpoint of it."""
        async with self._store.transaction() as conf:
            known = await conf.rights(endpoint.provider)
            for subject in subjects:
                if AccessRight(endpoint, subject) not in known:
                    raise AccessRightNotFound(f"{subject} has no such right")
                for right in known:
                    if right.subject == subject and _falls_with(right.endpoint, endpoint):
                        await conf.revoke(right)


async def check_subject(conf: Configuration, right: AccessRight) -> None:
    """Refuse a right of a member, and of a local group that the provider does not have."""
    subject = right.subject
    if isinstance(subject, ClientId) and not subject.is_subsystem:
        raise InvalidConfiguration(f"{subject} cannot have rights: it is no subsystem")
    if isinstance(subject, LocalGroupId):
        await conf.get_group(right.endpoint.provider, subject.group_code)


def _falls_with(endpoint: Endpoint, revoked: Endpoint) -> bool:
    if endpoint == revoked:
        return True
    return revoked.is_base and endpoint.service_code == revoked.service_code
