"""Use cases on people: who they are, what they may, how they come and go."""

from collections.abc import Iterable
from dataclasses import dataclass

from sild.components.accounts.errors import (
    CredentialsRefused,
    InvalidRole,
    InvalidUserName,
    UserExists,
    UserNotFound,
    WeakPassword,
)
from sild.components.accounts.keys import ApiKeys
from sild.components.accounts.local_people import LocalPeople
from sild.components.accounts.lockout import Failures
from sild.components.accounts.pam_people import PamPeople, roles_of_groups
from sild.components.accounts.passwords import Passwords
from sild.components.accounts.ports import People, Person
from sild.components.accounts.sessions import Session, SessionLimits, Sessions
from sild.components.accounts.settings import AccountSettings, UserSource
from sild.components.accounts.store import AccountRows, AccountStore, StoredUser
from sild.model.permissions import Role, RoleTable
from sild.runtime.addresses import network_of
from sild.runtime.clock import Clock

_LONGEST = 255
# For how many seconds a session goes on without asking whether its person is still who they were.
_BELIEVED = 5.0


@dataclass(frozen=True, slots=True)
class User:
    """A local user."""

    name: str
    roles: frozenset[Role]


class Accounts:
    """Everything about people and API keys."""

    def __init__(
        self,
        store: AccountStore,
        roles: RoleTable,
        settings: AccountSettings,
        clock: Clock,
        people: People | None = None,
        passwords: Passwords | None = None,
    ) -> None:
        self._store = store
        self._known_roles = roles
        self._settings = settings
        self._clock = clock
        self._passwords = passwords or Passwords()
        self._people = people or self._source()
        lasts = settings.lock_out_seconds
        self._user_failures = Failures(settings.lock_out_failures, lasts)
        self._address_failures = Failures(settings.lock_out_address_failures, lasts)
        limits = SessionLimits(
            settings.sessions, settings.session_idle_minutes * 60, settings.session_hours * 3600
        )
        self.sessions = Sessions(limits, clock)
        self.keys = ApiKeys(store, clock)

    def _source(self) -> People:
        if self._settings.users is UserSource.LOCAL:
            return LocalPeople(self._store, self._passwords)
        groups = roles_of_groups(self._settings.complementary_groups())
        return PamPeople(self._settings.pam_service, groups)

    async def authenticate(self, name: str, password: str, address: str) -> Person:
        """Give the person whose name and password these are; raises CredentialsRefused.

        Failures lock the user, and the address, out for a while.
        """
        for kind, text in (("username", name), ("password", password)):
            if len(text) > _LONGEST:
                raise CredentialsRefused(f"{kind} is too long, max length: {_LONGEST}")
            if "\0" in text:
                # No database holds it.
                raise CredentialsRefused(f"{kind} has a character that no {kind} has")
        now = self._clock.monotonic()
        by_address, by_user = f"address {network_of(address)}", _failing(name)
        self._address_failures.begin(by_address, now)
        self._user_failures.begin(by_user, now)
        person = await self._people.find_authentic(name, password)
        if person is None:
            raise CredentialsRefused("the user is unknown, has no role, or the password is wrong")
        self._user_failures.forget(by_user)
        self._address_failures.take_back(by_address)
        return person

    async def find_session(self, name: str, *, uses: bool) -> Session | None:
        """Give the session of this name while it lasts and its person is who they were."""
        session = self.sessions.find(name, uses=uses)
        if session is None or self._clock.monotonic() - session.checked < _BELIEVED:
            return session
        person = await self._people.find(session.person.name)
        if person is None or person.stamp != session.person.stamp:
            self.sessions.close(name)
            return None
        return self.sessions.confirm(name, person)

    async def users(self) -> tuple[User, ...]:
        """Give all local users."""
        async with self._store.reading() as accounts:
            return tuple(User(user.name, user.roles) for user in await accounts.users())

    async def add_user(self, name: str, password: str, roles: Iterable[Role]) -> User:
        """Add a local user; raises UserExists, InvalidUserName, WeakPassword, InvalidRole."""
        if not name or len(name) > _LONGEST or not name.isprintable() or name != name.strip():
            raise InvalidUserName("a user's name has 1 to 255 printable characters")
        given = self._check_roles(roles)
        self._check_password(name, password)
        hashed = await self._passwords.hash(password)
        async with self._store.transaction() as accounts:
            if await accounts.find_user(name) is not None:
                raise UserExists(f"there is a user {name} already", name)
            await accounts.add_user(StoredUser(name, given, hashed, self._clock.now()))
        return User(name, given)

    async def remove_user(self, name: str) -> None:
        """Remove a local user, whose sessions end within seconds; raises UserNotFound."""
        async with self._store.transaction() as accounts:
            await _get(accounts, name)
            await accounts.remove_user(name)

    async def set_password(self, name: str, password: str) -> None:
        """Give a user another password, which ends their sessions; raises as `add_user`."""
        self._check_password(name, password)
        hashed = await self._passwords.hash(password)
        async with self._store.transaction() as accounts:
            await _get(accounts, name)
            await accounts.set_password(name, hashed, self._clock.now())
        self._user_failures.forget(_failing(name))

    async def set_roles(self, name: str, roles: Iterable[Role]) -> User:
        """Give a user these roles and no others; raises UserNotFound, InvalidRole."""
        given = self._check_roles(roles)
        async with self._store.transaction() as accounts:
            await _get(accounts, name)
            await accounts.set_user_roles(name, given)
        return User(name, given)

    def _check_roles(self, roles: Iterable[Role]) -> frozenset[Role]:
        given = frozenset(roles)
        if not given:
            raise InvalidRole("a user needs a role")
        for role in given:
            if role is Role.MANAGEMENT_SERVICE or role not in self._known_roles:
                raise InvalidRole(f"nobody can be {role.value} on this server", role.value)
        return given

    def _check_password(self, name: str, password: str) -> None:
        least = self._settings.shortest_password
        if len(password) < least:
            raise WeakPassword(f"a password has at least {least} characters", str(least))
        if len(password) > _LONGEST:
            raise WeakPassword(f"a password has at most {_LONGEST} characters", str(_LONGEST))
        if password.casefold() == name.casefold():
            raise WeakPassword("a password is not the user's name")


async def _get(accounts: AccountRows, name: str) -> StoredUser:
    user = await accounts.find_user(name)
    if user is None:
        raise UserNotFound(f"there is no user {name}", name)
    return user


def _failing(name: str) -> str:
    """What failures of a user are counted under: a source of people may not heed case."""
    return f"user {name.casefold()}"
