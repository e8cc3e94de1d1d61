"""What accounts refuse.

BadRequest
├── InvalidRole            invalid_role
├── InvalidUserName        invalid_user_name
└── WeakPassword           weak_password
NotFound
├── ApiKeyNotFound         api_key_not_found
└── UserNotFound           user_not_found
Conflict
└── UserExists             user_exists
Forbidden
└── RoleNotHeld            access_denied
Refusal
└── CredentialsRefused     not_authenticated
    └── LockedOut          not_authenticated
"""

from sild.model.refusals import BadRequest, Conflict, Forbidden, NotFound, Refusal


class InvalidRole(BadRequest):
    """No such role, or none at all."""

    code = "invalid_role"


class InvalidUserName(BadRequest):
    """A name that no user can have."""

    code = "invalid_user_name"


class WeakPassword(BadRequest):
    """A password that is too short, too long, or the user's name."""

    code = "weak_password"


class ApiKeyNotFound(NotFound):
    """There is no such API key."""

    code = "api_key_not_found"


class UserNotFound(NotFound):
    """There is no such user."""

    code = "user_not_found"


class UserExists(Conflict):
    """There is such a user already."""

    code = "user_exists"


class RoleNotHeld(Forbidden):
    """Somebody gives away a role that they do not have."""


class CredentialsRefused(Refusal):
    """A name with a password, an API key or a session proves nothing."""

    code = "not_authenticated"


class LockedOut(CredentialsRefused):
    """After too many failures nobody is let in for a while; it is answered like any failure."""
