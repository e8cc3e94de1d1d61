"""The settings of accounts."""

from dataclasses import dataclass
from enum import Enum
from typing import Annotated

from sild.model.permissions import Role
from sild.runtime.settings import Between


class UserSource(Enum):
    """Where people come from."""

    LOCAL = "local"
    PAM = "pam"


@dataclass(frozen=True, slots=True)
class AccountSettings:
    """Who may log in, and for how long."""

    users: UserSource = UserSource.LOCAL
    """Whether people are users of this server's own, or of the operating system through PAM."""
    pam_service: str = "xroad"
    """The PAM service that is asked."""
    complementary_user_role_mappings: tuple[str, ...] = ()
    """Further groups of the operating system with a role: XROAD_SECURITY_OFFICER=ldap-group."""
    shortest_password: Annotated[int, Between(1, 255)] = 12
    """How many characters the password of a local user has at least."""
    session_idle_minutes: Annotated[float, Between(1, 1440)] = 30
    """After how many minutes without a request a session ends."""
    session_hours: Annotated[float, Between(0.1, 720)] = 12
    """After how many hours a session ends whatever is done in it."""
    sessions: Annotated[int, Between(1, 100_000)] = 1000
    """How many sessions there are at once; the one idle for longest makes place for another."""
    lock_out_failures: Annotated[int, Between(1, 1000)] = 5
    """How many failed log-ins lock a user out for a while."""
    lock_out_address_failures: Annotated[int, Between(1, 100_000)] = 20
    """How many failed log-ins from one address lock that address out."""
    lock_out_seconds: Annotated[float, Between(1, 86_400)] = 300
    """How long a lock-out lasts, and how long failures are remembered."""

    def __post_init__(self) -> None:
        self.complementary_groups()

    def complementary_groups(self) -> dict[str, frozenset[Role]]:
        """The further groups, each with its roles; raises ValueError."""
        groups: dict[str, frozenset[Role]] = {}
        for mapping in self.complementary_user_role_mappings:
            name, _, group = mapping.partition("=")
            try:
                role = Role(name.strip())
            except ValueError:
                role = None
            if role is None or not group.strip():
                raise ValueError(f"{mapping!r} is no mapping, write ROLE=GROUP")
            groups[group.strip()] = groups.get(group.strip(), frozenset()) | {role}
        return groups
