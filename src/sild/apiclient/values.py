"""Which server is asked, as whom, for what; and what it answers."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sild.apiclient.errors import UnexpectedAnswer

Json = dict[str, Any] | list[Any] | str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Authorities:
    """The server proves its name by the authorities in a PEM file, or by those of the system."""

    file: Path | None = None


@dataclass(frozen=True, slots=True)
class Pin:
    """The server proves itself by the one certificate that has this SHA-256, whatever its name."""

    sha256: bytes

    @classmethod
    def from_hex(cls, text: str) -> "Pin":
        """Read the fingerprint as tools print it, with colons or without."""
        sha256 = bytes.fromhex(text.replace(":", "").strip())
        if len(sha256) != 32:
            raise ValueError("a SHA-256 fingerprint has 64 hexadecimal digits")
        return cls(sha256)


@dataclass(frozen=True, slots=True)
class Unverified:
    """ANY server is believed, and given the key or password: for trials on one machine."""


Verification = Authorities | Pin | Unverified


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key that the server gave out for programs."""

    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Login:
    """A user who logs in as people do, and gets a session."""

    username: str
    password: str = field(repr=False)


Credentials = ApiKey | Login | None


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds for one call and for connecting, and how often a busy server is asked in all.

    `longest_pause` is how many seconds it may ask to be left alone before it is asked again.
    """

    call: float = 60.0
    connect: float = 10.0
    attempts: int = 5
    longest_pause: float = 60.0


@dataclass(frozen=True, slots=True)
class Server:
    """A server and how to speak to it: `url` is https with a host and perhaps a port."""

    url: str
    verification: Verification = field(default_factory=Authorities)
    credentials: Credentials = None
    patience: Patience = field(default_factory=Patience)
    largest_answer: int = 64 * 1024**2


@dataclass(frozen=True, slots=True)
class NamedFile:
    """A file to upload."""

    name: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Form:
    """A form with fields and files, by their names."""

    fields: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, NamedFile] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Octets:
    """Bytes that are the whole of a request's body."""

    content: bytes = field(repr=False)


Upload = Form | Octets


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server answered to a call that it did; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes = field(repr=False)

    @property
    def correlation_id(self) -> str | None:
        """What the server's logs call the request."""
        return self.headers.get("x-road-ui-correlation-id")

    @property
    def json(self) -> Any:
        """The body; raises UnexpectedAnswer if it is no JSON."""
        try:
            return json.loads(self.content)
        except (ValueError, RecursionError):
            raise UnexpectedAnswer("the server's answer is no JSON") from None


def path_of(*parts: str | int) -> str:
    """The path of these parts, in which no part can be taken for two: `path_of("keys", key_id)`."""
    if any(part in {"", ".", ".."} for part in parts):
        raise ValueError("a part of a path is blank or leads elsewhere")
    return "".join(f"/{quote(str(part), safe=':')}" for part in parts)
