"""How a command of `sild ctl` is described: the call that it makes, and what it takes and shows."""

from argparse import ArgumentTypeError
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from sild.apiclient.client import ApiClient

Values: TypeAlias = dict[str, Any]
"""What was typed, by the arguments' names."""


class Where(Enum):
    """Where an argument goes in a call."""

    PATH = "path"
    QUERY = "query"
    BODY = "body"
    OCTETS = "octets"
    """The bytes of a file are the body."""
    FORM = "form"
    """The bytes of a file are a part of a form."""
    NOWHERE = "nowhere"
    """Whoever builds the call looks at it."""


@dataclass(frozen=True, slots=True)
class Argument:
    """One thing to type; `name` is that of the API, and begins with dashes if it is an option."""

    name: str
    help: str
    where: Where = Where.PATH
    kind: Callable[[str], Any] = str
    choices: tuple[str, ...] = ()
    many: bool = False
    optional: bool = False
    flag: bool = False
    secret: bool = False
    """Read from the file that is named, or asked for: it never stands on a command line."""

    @property
    def key(self) -> str:
        """What the API calls it."""
        return self.name.lstrip("-").replace("-", "_")

    @property
    def is_option(self) -> bool:
        """Whether it begins with dashes."""
        return self.name.startswith("-")


Build: TypeAlias = Callable[[Values], Any]
Resolve: TypeAlias = "Callable[[ApiClient, Values], Awaitable[None]]"


@dataclass(frozen=True, slots=True)
class Operation:
    """A command and the call it makes.

    `columns` are what tables show, with dots where values stand inside others; `rows` picks the
    rows out of an answer. `build` makes the body, which is otherwise what the arguments say.
    """

    words: str
    call: str
    help: str
    arguments: tuple[Argument, ...] = ()
    columns: tuple[str, ...] = ()
    rows: Callable[[Any], Any] | None = None
    build: Build | None = None
    resolve: "Resolve | None" = None
    fixed: Mapping[str, Any] = field(default_factory=dict)
    """Fields of every such body."""
    saves: str = ""
    """The name of the file that the answer is."""

    @property
    def method(self) -> str:
        """The method of HTTP."""
        return self.call.split(" ")[0]

    @property
    def path(self) -> str:
        """The path, with names in braces."""
        return self.call.split(" ")[1]


def path(name: str, help_: str) -> Argument:
    """A part of the path."""
    return Argument(name, help_)


def query(name: str, help_: str, **more: Any) -> Argument:
    """A part of the query."""
    return replace(Argument(name, help_, Where.QUERY), **more)


def body(name: str, help_: str, **more: Any) -> Argument:
    """A field of the body."""
    return replace(Argument(name, help_, Where.BODY), **more)


def typed(name: str, help_: str, **more: Any) -> Argument:
    """Something that the call is built from."""
    return replace(Argument(name, help_, Where.NOWHERE), **more)


def octets(help_: str) -> Argument:
    """A file that is the body."""
    return Argument("file", help_, Where.OCTETS)


def switch(text: str) -> bool:
    """Read `yes` or `no`; raises ArgumentTypeError, whose words a user is told."""
    try:
        return {"yes": True, "no": False, "true": True, "false": False}[text.lower()]
    except KeyError:
        raise ArgumentTypeError(f"{text!r} is neither yes nor no") from None


def whole(text: str) -> int:
    """Read a whole number; raises ArgumentTypeError, whose words a user is told."""
    try:
        return int(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no whole number") from None


IGNORE_WARNINGS = Argument(
    "--ignore-warnings", "go on in spite of warnings", Where.BODY, optional=True, flag=True
)
IGNORE_WARNINGS_IN_QUERY = replace(IGNORE_WARNINGS, where=Where.QUERY)
CLIENT = path("id", "the client, INSTANCE:CLASS:CODE[:SUBSYSTEM]")
