"""What is fuzzed: a server of one's own, on loopback, filled with a few of everything."""

import asyncio
import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, Protocol

from sild.apiclient.client import ApiClient
from sild.apiclient.errors import ApiClientError, ApiError

PIN = "Fuzzers-PIN-0001"
START_SECONDS = 60


@dataclass
class Filled:
    """What a server was filled with: keys that open it, and values that its operations know."""

    people: str = ""
    service: str = ""
    known: dict[str, list[Any]] = field(default_factory=dict)
    files: dict[str, list[bytes]] = field(default_factory=dict)

    def knows(self, name: str, *values: Any) -> None:
        """Remember values of a parameter or property.

        One of a path can be named with the path's first part: `clients.id`.
        """
        self.known.setdefault(name, []).extend(values)

    def files_to_json(self) -> str:
        """Give the files as the hooks read them."""
        return json.dumps({
            name: [base64.b64encode(each).decode() for each in contents]
            for name, contents in self.files.items()
        })  # fmt: skip


class FuzzedServer(Protocol):
    """A server, from start to end."""

    @property
    def limited(self) -> bool:
        """Whether there is a limit on how often may be asked."""
        ...

    @property
    def url(self) -> str:
        """Where the API is."""
        ...

    @property
    def log(self) -> Path:
        """What the server's processes printed."""
        ...

    @property
    def verify(self) -> str:
        """A file that the server's identity is verified by, or `false`."""
        ...

    @property
    def login(self) -> tuple[str, str]:
        """The name and password of an account that has every role of people."""
        ...

    def start(self) -> None:
        """Start it and wait until it answers."""
        ...

    def stop(self) -> None:
        """End it."""
        ...

    def make_keys(self) -> Filled:
        """Make API keys."""
        ...

    def fill(self, filled: Filled) -> None:
        """Initialise it, and make a few of everything."""
        ...

    def restore(self, filled: Filled) -> None:
        """Make a backup and restore it; come back when what was made after it is gone."""
        ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a server is to be: its home, its limits, and the address of an empty database, if any."""

    home: Path
    limited: bool
    database: str | None = None


@contextmanager
def running(server: FuzzedServer) -> Iterator[FuzzedServer]:
    """The server while it runs."""
    try:
        server.start()
        yield server
    finally:
        server.stop()


def troubles(server: FuzzedServer) -> int:
    """How often the log tells of what was not foreseen."""
    return server.log.read_text(errors="replace").count("Traceback (most recent call last)")


async def restore_and_forget(client: ApiClient, kind: str, body: dict[str, Any]) -> None:
    """Make a backup, then something; come back when the backup is restored and that is gone.

    It is made at `kind`, and is there by `/{code}` or, if it gets one, by an id of its own.
    """
    name = (await client.call("POST", "/backups")).json["filename"]
    made = (await client.call("POST", kind, json=body)).json
    found = f"/local-groups/{made['id']}" if "id" in made else f"{kind}/{body['code']}"
    await client.call("PUT", f"/backups/{name}/restore")
    for _ in range(START_SECONDS):
        await asyncio.sleep(1)
        try:
            await client.call("GET", found)
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return
            raise
        except ApiClientError:
            continue
    raise TimeoutError("the backup was not restored")
