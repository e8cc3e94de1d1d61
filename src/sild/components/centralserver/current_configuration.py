"""Whom the instance trusts, as registrations and management requests are judged by it.

The database says so, not what was published: that says the same a moment later. Until then it may
approve whom an administrator has just removed, or be signed by a key that has just been replaced.
"""

import asyncio
from datetime import timedelta

from sild.components.centralserver.configuration_parts import ConfigurationParts
from sild.components.centralserver.system import read_parameters
from sild.components.centralserver.trust_reading import read_trust
from sild.protocol.errors import GlobalConfOutdated
from sild.protocol.globalconf.directory import PartKind
from sild.protocol.globalconf.extensions import Extensions, read_next_update
from sild.protocol.globalconf.lookup import make_trust
from sild.protocol.globalconf.shared_parameters import SharedParameters
from sild.protocol.management.verify import Ecosystem
from sild.protocol.pki.trust import OcspPolicy


class CurrentConfiguration:
    """What the instance's configuration says now, as long as this node publishes it."""

    def __init__(self, parts: ConfigurationParts) -> None:
        self._parts = parts

    async def ecosystem(self) -> Ecosystem:
        """Whom the instance trusts.

        Raises GlobalConfOutdated where what was published last has expired: then nobody else could
        judge by it either (PX-28).
        """
        async with self._parts.database.reading() as connection:
            parameters = await read_parameters(connection, self._parts.node)
            services, _ = await read_trust(connection)
            uploaded = await self._parts.uploaded(connection)
        await asyncio.to_thread(self._check_published, parameters.conf_expire_seconds)
        extensions = Extensions()
        if (told := uploaded.get(PartKind.NEXTUPDATE.value)) is not None:
            extensions = Extensions(verify_next_update=read_next_update(told.content))
        policy = OcspPolicy(parameters.ocsp_freshness_seconds, extensions.verify_next_update)
        approved = SharedParameters(parameters.instance, certification_services=services)
        return Ecosystem(make_trust(approved, policy), parameters.provider)

    def _check_published(self, valid_seconds: int) -> None:
        rounds = self._parts.publication.published(PartKind.SHARED_PARAMETERS.file_name)
        if not rounds:
            raise GlobalConfOutdated("no global configuration has been published yet")
        expired = max(each.updated_at for each in rounds) + timedelta(seconds=valid_seconds)
        if self._parts.clock.now() > expired:
            raise GlobalConfOutdated(f"what was published expired at {expired:%FT%TZ}")
