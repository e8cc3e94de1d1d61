"""Users of the operating system: PAM says who they are, their groups say their roles."""

import asyncio
import grp
import os
import pwd
from collections.abc import Callable, Mapping

import pam  # type: ignore[import-untyped]

from sild.components.accounts.ports import Person
from sild.model.permissions import Role

# The groups that packages of the reference make.
GROUPS: Mapping[str, frozenset[Role]] = {
    "xroad-security-officer": frozenset({Role.SECURITY_OFFICER}),
    "xroad-registration-officer": frozenset({Role.REGISTRATION_OFFICER}),
    "xroad-service-administrator": frozenset({Role.SERVICE_ADMINISTRATOR}),
    "xroad-system-administrator": frozenset({Role.SYSTEM_ADMINISTRATOR}),
    "xroad-securityserver-observer": frozenset({Role.SECURITYSERVER_OBSERVER}),
}

Authenticate = Callable[[str, str, str], bool]
"""Whether a name and password are right for a PAM service."""
GroupsOf = Callable[[str], frozenset[str]]
"""The groups of a user; empty for one who is not there."""


def authenticate_by_pam(name: str, password: str, service: str) -> bool:
    """Ask PAM, which also says whether the account may be used now."""
    # Credentials are for sessions of the operating system, and setting them takes root.
    return bool(pam.PamAuthenticator().authenticate(name, password, service, resetcreds=False))


def groups_of(name: str) -> frozenset[str]:
    """Ask the system's databases, and through them LDAP where that is set up."""
    try:
        primary = pwd.getpwnam(name).pw_gid
    except KeyError:
        return frozenset()
    found = set()
    for number in os.getgrouplist(name, primary):
        try:
            found.add(grp.getgrgid(number).gr_name)
        except KeyError:
            continue
    return frozenset(found)


class PamPeople:
    """The users of the operating system who are in some group that has a role."""

    def __init__(
        self,
        service: str,
        groups: Mapping[str, frozenset[Role]],
        authenticate: Authenticate = authenticate_by_pam,
        groups_of: GroupsOf = groups_of,
    ) -> None:
        self._service = service
        self._groups = groups
        self._authenticate = authenticate
        self._groups_of = groups_of

    async def find_authentic(self, name: str, password: str) -> Person | None:
        """Give the person whose name and password these are, if they have a role."""
        if "\0" in name or "\0" in password or not name:
            return None
        if not await asyncio.to_thread(self._authenticate, name, password, self._service):
            return None
        return await self.find(name)

    async def find(self, name: str) -> Person | None:
        """Give a person as they are now, if they have a role."""
        groups = await asyncio.to_thread(self._groups_of, name)
        none: frozenset[Role] = frozenset()
        roles = none.union(*(self._groups.get(group, none) for group in groups))
        return Person(name, roles) if roles else None


def roles_of_groups(
    complementary: Mapping[str, frozenset[Role]],
) -> Mapping[str, frozenset[Role]]:
    """Give the roles of every group that has some."""
    none: frozenset[Role] = frozenset()
    names = GROUPS.keys() | complementary.keys()
    return {name: GROUPS.get(name, none) | complementary.get(name, none) for name in names}
