"""People as accounts see them, wherever they come from."""

from dataclasses import dataclass
from typing import Protocol

from sild.model.permissions import Role


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody whom a source of people knows."""

    name: str
    roles: frozenset[Role]
    stamp: str = ""
    """Changes when what the person proved themselves with does: sessions end then."""


class People(Protocol):
    """A source of people."""

    async def find_authentic(self, name: str, password: str) -> Person | None:
        """Give the person whose name and password these are."""

    async def find(self, name: str) -> Person | None:
        """Give a person as they are now; None once they may log in no more."""
