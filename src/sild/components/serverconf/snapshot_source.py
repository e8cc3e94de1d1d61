"""The server's configuration as the part of a worker's snapshot that it is."""

from sild.components.serverconf.store import ConfigurationStore
from sild.model.snapshot import ServerSnapshot


class SnapshotSource:
    """Reads the configuration as it stands at one moment."""

    def __init__(self, store: ConfigurationStore) -> None:
        self._store = store

    async def read(self, generation: int) -> ServerSnapshot:
        """The snapshot, still without certificates; raises ServerNotSet."""
        async with self._store.reading() as conf:
            return ServerSnapshot(
                generation=generation,
                server=await conf.get_server(),
                clients=await conf.clients(),
                services=tuple(
                    service
                    for description in await conf.descriptions()
                    for service in description.services
                ),
                endpoints=await conf.endpoints(),
                rights=await conf.rights(),
                groups=await conf.groups(),
            )
