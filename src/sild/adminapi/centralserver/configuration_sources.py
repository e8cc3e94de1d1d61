"""Configuration sources: where they publish, and their anchors."""

from starlette.responses import Response

from sild.adminapi.asked import Asked
from sild.adminapi.bodies import Body, Instant
from sild.adminapi.centralserver.central import Central
from sild.adminapi.centralserver.configuration_types import KINDS, VIEW_SOME, require_view
from sild.adminapi.centralserver.downloads import XML, attachment
from sild.adminapi.centralserver.token_bodies import ConfigurationType
from sild.adminapi.operations import Operations
from sild.components.centralserver.source_rows import SourceAnchor
from sild.model.audit import AuditEvent
from sild.model.permissions import Permission

OPERATIONS = Operations("configuration-sources")

_RECREATED = {
    ConfigurationType.INTERNAL: AuditEvent.RE_CREATE_INTERNAL_CONFIGURATION_ANCHOR,
    ConfigurationType.EXTERNAL: AuditEvent.RE_CREATE_EXTERNAL_CONFIGURATION_ANCHOR,
}


class ConfigurationAnchor(Body):
    """An anchor, by what people compare."""

    hash: str
    created_at: Instant
    updated_at: Instant | None = None

    @classmethod
    def of(cls, anchor: SourceAnchor) -> "ConfigurationAnchor":
        """Lay out an anchor."""
        return cls(hash=anchor.hash, created_at=anchor.generated_at)


class ConfigurationAnchorContainer(Body):
    """An anchor, if there is one."""

    anchor: ConfigurationAnchor | None = None


class GlobalConfDownloadUrl(Body):
    """Where a source publishes its directory."""

    url: str


@OPERATIONS.get(
    "/configuration-sources/{configuration_type}/anchor", "getAnchor", permission=VIEW_SOME
)
async def get_anchor(
    configuration_type: ConfigurationType, asked: Asked, central: Central
) -> ConfigurationAnchorContainer:
    """Show the anchor of a source."""
    kind = require_view(asked, configuration_type)
    found = await central.sources.anchors.find(kind)
    anchor = None if found is None else ConfigurationAnchor.of(found)
    return ConfigurationAnchorContainer(anchor=anchor)


@OPERATIONS.get(
    "/configuration-sources/{configuration_type}/anchor/download",
    "downloadAnchor",
    permission=Permission.DOWNLOAD_SOURCE_ANCHOR,
    gives=XML,
)
async def download_anchor(configuration_type: ConfigurationType, central: Central) -> Response:
    """Hand out the anchor of a source."""
    file = await central.sources.anchors.file(KINDS[configuration_type])
    return attachment(file.name, file.document)


@OPERATIONS.put(
    "/configuration-sources/{configuration_type}/anchor/re-create",
    "reCreateAnchor",
    permission=Permission.GENERATE_SOURCE_ANCHOR,
    event=AuditEvent.RE_CREATE_ANCHOR,
)
async def re_create_anchor(
    configuration_type: ConfigurationType, asked: Asked, central: Central
) -> ConfigurationAnchor:
    """Make the anchor of a source anew."""
    asked.becomes(_RECREATED[configuration_type])
    anchor = await central.sources.anchors.recreate(KINDS[configuration_type])
    asked.tell(anchorFileHash=anchor.hash, anchorFileHashAlgorithm="SHA-224")
    return ConfigurationAnchor.of(anchor)


@OPERATIONS.get(
    "/configuration-sources/{configuration_type}/download-url",
    "getDownloadUrl",
    permission=VIEW_SOME,
)
async def get_download_url(
    configuration_type: ConfigurationType, asked: Asked, central: Central
) -> GlobalConfDownloadUrl:
    """Show where a source publishes its directory."""
    kind = require_view(asked, configuration_type)
    return GlobalConfDownloadUrl(url=await central.sources.anchors.download_url(kind))
