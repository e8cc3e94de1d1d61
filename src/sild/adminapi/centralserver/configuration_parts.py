"""The parts of a configuration: listed, uploaded and handed out."""

import hashlib
from typing import Annotated

from fastapi import Form, Path
from starlette.responses import Response

from sild.adminapi.asked import Asked
from sild.adminapi.bodies import Body, Instant, Plain, Upload, read_upload
from sild.adminapi.centralserver.central import Central
from sild.adminapi.centralserver.configuration_types import KINDS, VIEW_SOME, require_view
from sild.adminapi.centralserver.downloads import XML, attachment
from sild.adminapi.centralserver.token_bodies import ConfigurationType
from sild.adminapi.operations import Operations
from sild.components.centralserver.configuration_parts import ListedPart
from sild.components.centralserver.xml_uploads import XmlFile
from sild.model.audit import AuditEvent
from sild.model.permissions import Permission

OPERATIONS = Operations("configuration-parts")

_LARGEST_VERSION = 2**31 - 1
_PATH = "/configuration-sources/{configuration_type}/configuration-parts"

PartVersion = Annotated[int, Path(ge=0, le=_LARGEST_VERSION)]
ContentIdentifier = Annotated[str, Path(min_length=1), Plain]


class ConfigurationPart(Body):
    """A part; one that is not there yet has neither version nor moment."""

    content_identifier: str
    file_name: str
    optional: bool
    version: int | None = None
    file_updated_at: Instant | None = None

    @classmethod
    def of(cls, part: ListedPart) -> "ConfigurationPart":
        """Lay out a part."""
        return cls(
            content_identifier=part.identifier,
            file_name=part.file_name,
            optional=part.optional,
            version=part.version,
            file_updated_at=part.updated_at,
        )


@OPERATIONS.get(_PATH, "getConfigurationParts", permission=VIEW_SOME, also=(400,))
async def get_configuration_parts(
    configuration_type: ConfigurationType, asked: Asked, central: Central
) -> list[ConfigurationPart]:
    """List the parts of a source."""
    kind = require_view(asked, configuration_type)
    return [ConfigurationPart.of(part) for part in await central.parts.list(kind)]


@OPERATIONS.post(
    _PATH,
    "uploadConfigurationParts",
    permission=Permission.UPLOAD_CONFIGURATION_PART,
    event=AuditEvent.UPLOAD_CONFIGURATION_PART,
    status=204,
    also=(400,),
)
async def upload_configuration_parts(
    configuration_type: ConfigurationType,
    content_identifier: Annotated[str, Form(min_length=1), Plain],
    file: Upload,
    asked: Asked,
    central: Central,
) -> None:
    """Publish an optional part."""
    content, name = await read_upload(file), file.filename or ""
    asked.tell(
        sourceType=configuration_type.value,
        contentIdentifier=content_identifier,
        uploadFileName=name,
        uploadFileHash=hashlib.sha224(content).hexdigest(),
        uploadFileHashAlgorithm="SHA-224",
    )
    asked.tell(partFileName=central.parts.describe(content_identifier).file_name)
    kind = KINDS[configuration_type]
    await central.parts.upload(kind, content_identifier, XmlFile(name, content))


@OPERATIONS.get(
    _PATH + "/{content_identifier}/{version}/download",
    "downloadConfigurationParts",
    permission=Permission.DOWNLOAD_CONFIGURATION_PART,
    gives=XML,
)
async def download_configuration_parts(
    configuration_type: ConfigurationType,
    content_identifier: ContentIdentifier,
    version: PartVersion,
    central: Central,
) -> Response:
    """Hand out a part in a version; both sources have the same."""
    del configuration_type
    part = await central.parts.get_file(content_identifier, version)
    return attachment(part.name, part.content)
