"""What a server holds as evidence of a message, and a verdict on it without the server."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from sild.components.confclient.cache import read_verification_conf
from sild.devnet.ecosystem import RunningServer
from sild.devnet.telling import StoryWentWrong
from sild.protocol.asic.container import read_container
from sild.protocol.asic.verify import Report, verify_container
from sild.protocol.ids import ClientId
from sild.runtime.files import GenerationDirectory, read_bounded

_CONTAINER_LIMIT = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Exchanged:
    """A message in a server's log."""

    query_id: str
    owner: ClientId
    """The server's own client: who asks on the one side, who answers on the other."""
    is_response: bool


async def export_and_verify(server: RunningServer, exchanged: Exchanged, path: Path) -> Report:
    """The report on the container that the server gives, which is kept at the path."""
    await asyncio.to_thread(path.unlink, missing_ok=True)
    await server.control.export_container(
        exchanged.query_id, exchanged.owner, exchanged.is_response, str(path)
    )
    directory = GenerationDirectory(server.layout.globalconf).current()
    if directory is None:
        message = f"{server.plan.id} has no global configuration"
        raise StoryWentWrong(message)
    container = read_container(read_bounded(path, _CONTAINER_LIMIT))
    return verify_container(container, read_verification_conf(directory))
