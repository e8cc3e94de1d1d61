"""What both servers' people and API keys ask of their accounts."""

from typing import Annotated

from fastapi import Body as JsonBody
from fastapi import Depends, Path, Request, Response

from sild.adminapi.asked import Asked
from sild.adminapi.bodies import Body, User
from sild.adminapi.operations import Operations
from sild.components.accounts.accounts import Accounts
from sild.components.accounts.store import ApiKey
from sild.model.audit import AuditEvent
from sild.model.permissions import Permission, Role

people = Operations("accounts")

_INT64 = 2**63 - 1


def accounts_of(request: Request) -> Accounts:
    """The accounts of the server that a request came to."""
    accounts = request.app.state.accounts
    if not isinstance(accounts, Accounts):
        raise TypeError("an application was made without accounts")
    return accounts


AccountsOfServer = Annotated[Accounts, Depends(accounts_of)]
KeyId = Annotated[int, Path(alias="id", ge=1, le=_INT64)]
RoleNames = Annotated[list[str], JsonBody()]


class PublicApiKeyData(Body):
    """An API key; its text is there only when it was just made."""

    id: int
    key: str | None = None
    roles: list[str]


class SessionStatus(Body):
    """Whether who asks has a session."""

    valid: bool


def _names(roles: frozenset[Role]) -> list[str]:
    return sorted(role.value for role in roles)


def _body(key: ApiKey) -> PublicApiKeyData:
    return PublicApiKeyData(id=key.id, roles=_names(key.roles))


def _authorities(roles: frozenset[Role]) -> list[str]:
    return [f"ROLE_{name}" for name in _names(roles)]


def _permissions(asked: Asked) -> list[str]:
    return sorted(permission.value for permission in asked.permissions)


@people.get("/user", "getUser", permission=None, also=())
async def get_user(asked: Asked) -> User:
    """Who is logged in, with roles and permissions."""
    return User(
        username=asked.user, roles=_authorities(asked.roles), permissions=_permissions(asked)
    )


@people.get("/user/roles", "getUserRoles", permission=None, also=())
async def get_user_roles(asked: Asked) -> list[str]:
    """The roles of who is logged in."""
    return _authorities(asked.roles)


@people.get("/user/permissions", "getUserPermissions", permission=None, also=())
async def get_user_permissions(asked: Asked) -> list[str]:
    """What who is logged in may do."""
    return _permissions(asked)


@people.get("/notifications/session-status", "isSessionAlive", permission=None, also=())
async def is_session_alive(asked: Asked) -> SessionStatus:
    """Whether the session lasts; asking does not make it last longer."""
    return SessionStatus(valid=asked.caller.session is not None)


@people.get("/api-keys", "getApiKeys", permission=Permission.VIEW_API_KEYS, also=())
async def get_api_keys(accounts: AccountsOfServer) -> list[PublicApiKeyData]:
    """All API keys."""
    return [_body(key) for key in await accounts.keys.all()]


@people.get("/api-keys/{id}", "getApiKey", permission=Permission.VIEW_API_KEYS)
async def get_api_key(key_id: KeyId, accounts: AccountsOfServer) -> PublicApiKeyData:
    """One API key."""
    return _body(await accounts.keys.get(key_id))


@people.post(
    "/api-keys",
    "createApiKey",
    permission=Permission.CREATE_API_KEY,
    event=AuditEvent.API_KEY_CREATE,
    also=(400,),
)
async def create_api_key(
    roles: RoleNames, asked: Asked, accounts: AccountsOfServer
) -> PublicApiKeyData:
    """Make an API key with some of one's own roles; its text is shown this once."""
    made = await accounts.keys.create(roles, asked.roles)
    asked.tell(apiKeyId=made.key.id, apiKeyRoles=_names(made.key.roles))
    return PublicApiKeyData(id=made.key.id, key=made.text, roles=_names(made.key.roles))


@people.put(
    "/api-keys/{id}",
    "updateApiKey",
    permission=Permission.UPDATE_API_KEY,
    event=AuditEvent.API_KEY_UPDATE,
)
async def update_api_key(
    key_id: KeyId, roles: RoleNames, asked: Asked, accounts: AccountsOfServer
) -> PublicApiKeyData:
    """Give an API key other roles."""
    asked.tell(apiKeyId=key_id, apiKeyRoles=roles)
    return _body(await accounts.keys.set_roles(key_id, roles, asked.roles))


@people.delete(
    "/api-keys/{id}",
    "revokeApiKey",
    permission=Permission.REVOKE_API_KEY,
    event=AuditEvent.API_KEY_REMOVE,
)
async def revoke_api_key(key_id: KeyId, asked: Asked, accounts: AccountsOfServer) -> Response:
    """Revoke an API key."""
    asked.tell(apiKeyId=key_id)
    revoked = await accounts.keys.revoke(key_id)
    asked.tell(apiKeyRoles=_names(revoked.roles))
    return Response(status_code=200)
