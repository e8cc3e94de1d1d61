"""Who asks: by an API key, a session, or (to manage API keys) a name and password."""

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass

from fastapi import Request

from sild.adminapi.asked import Caller
from sild.adminapi.settings import AdminApiSettings
from sild.components.accounts.accounts import Accounts
from sild.components.accounts.errors import CredentialsRefused
from sild.model.audit import Audit, AuditEvent, AuditRecord
from sild.model.permissions import Role, RoleTable, permissions_of
from sild.model.refusals import Forbidden
from sild.runtime.addresses import AllowedAddresses

SESSION_COOKIE = "JSESSIONID"
XSRF_COOKIE = "XSRF-TOKEN"
_XSRF_HEADER = "X-XSRF-TOKEN"
_KEY_PREFIX = "x-road-apikey token="
_SAFE = {"GET", "HEAD", "OPTIONS", "TRACE"}
_KEYS_PATH = "/api/v1/api-keys"
# What a page asks on its own does not keep its session from being idle.
_IDLE_PATH = "/api/v1/notifications/"


@dataclass(frozen=True, slots=True)
class Asking:
    """A request as authentication sees it."""

    request: Request
    address: str
    correlation_id: str

    @property
    def path(self) -> str:
        """The path that is asked for."""
        return self.request.url.path

    @property
    def manages_keys(self) -> bool:
        """Whether API keys are managed by it."""
        return self.path == _KEYS_PATH or self.path.startswith(f"{_KEYS_PATH}/")


class Authentication:
    """Finds out who asks, and tells the audit log who could not prove it."""

    def __init__(
        self, accounts: Accounts, roles: RoleTable, settings: AdminApiSettings, audit: Audit
    ) -> None:
        self._accounts = accounts
        self._roles = roles
        self._audit = audit
        self._key_addresses = AllowedAddresses(settings.regular_api_whitelist)
        self._managing_addresses = AllowedAddresses(settings.key_management_api_whitelist)

    async def caller_of(self, asking: Asking) -> Caller:
        """Give who asks; raises CredentialsRefused, and Forbidden for a change without its token.

        What an `Authorization` header says goes before a session.
        """
        header = asking.request.headers.get("authorization")
        if header is None:
            return await self._by_session(asking)
        if not asking.manages_keys:
            return await self._by_key(asking, header)
        return await self._by_password(asking, header)

    async def _by_key(self, asking: Asking, header: str) -> Caller:
        try:
            if asking.address not in self._key_addresses:
                raise CredentialsRefused(f"Invalid IP Address {asking.address}")
            if not header.lower().startswith(_KEY_PREFIX):
                raise CredentialsRefused("Invalid X-Road-Apikey authorization header")
            key = await self._accounts.keys.find_of_text(header[len(_KEY_PREFIX) :].strip())
            if key is None:
                raise CredentialsRefused("The API key was not found or not the expected value.")
        except CredentialsRefused as refused:
            self._tell(asking, AuditEvent.API_KEY_AUTHENTICATION, None, refused)
            raise
        return self._caller(f"api-key-{key.id}", key.roles, "ApiKey")

    async def _by_password(self, asking: Asking, header: str) -> Caller:
        name = None
        try:
            name, password = _basic(header)
            if asking.address not in self._managing_addresses:
                raise CredentialsRefused(f"Invalid IP Address {asking.address}")
            person = await self._accounts.authenticate(name, password, asking.address)
        except CredentialsRefused as refused:
            self._tell(asking, AuditEvent.KEY_MANAGEMENT_PAM_LOGIN, name, refused)
            raise
        self._tell(asking, AuditEvent.KEY_MANAGEMENT_PAM_LOGIN, name, None)
        return self._caller(person.name, person.roles, "HttpBasicPam")

    async def _by_session(self, asking: Asking) -> Caller:
        name = asking.request.cookies.get(SESSION_COOKIE)
        uses = not asking.path.startswith(_IDLE_PATH)
        session = None
        if name is not None:
            session = await self._accounts.find_session(name, uses=uses)
        if session is None:
            refused = CredentialsRefused("neither a session nor an API key was given")
            self._tell(asking, AuditEvent.AUTH_CREDENTIALS_DISCOVERY, None, refused)
            raise refused
        if asking.request.method not in _SAFE:
            cookie = asking.request.cookies.get(XSRF_COOKIE)
            if not session.has_xsrf(asking.request.headers.get(_XSRF_HEADER), cookie):
                forbidden = Forbidden("a change came without the session's XSRF token")
                user = session.person.name
                self._tell(asking, AuditEvent.UNSPECIFIED_ACCESS_CHECK, user, forbidden)
                raise forbidden
        return self._caller(session.person.name, session.person.roles, "Session", name)

    def _caller(
        self, user: str, roles: Iterable[Role], auth: str, session: str | None = None
    ) -> Caller:
        held = frozenset(roles)
        return Caller(user, held, permissions_of(held, self._roles), auth, session)

    def _tell(
        self, asking: Asking, event: AuditEvent, user: str | None, refused: Exception | None
    ) -> None:
        record = AuditRecord(
            event,
            user=user,
            address=asking.address,
            url=asking.path,
            reason=None if refused is None else str(refused),
            correlation_id=asking.correlation_id,
        )
        self._audit.record(record)


def _basic(header: str) -> tuple[str, str]:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        raise CredentialsRefused("API keys are managed with a name and password, or in a session")
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        raise CredentialsRefused("a basic authorization header cannot be read") from None
    name, colon, password = text.partition(":")
    if not colon:
        raise CredentialsRefused("a basic authorization header cannot be read")
    return name, password
