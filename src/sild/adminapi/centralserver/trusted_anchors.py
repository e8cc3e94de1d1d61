"""Trusted anchors: compared, trusted, handed out and trusted no more."""

from typing import Annotated

from fastapi import Path
from starlette.responses import Response

from sild.adminapi.asked import Asked
from sild.adminapi.bodies import Body, Instant, Plain, Upload, read_upload
from sild.adminapi.centralserver.central import Central
from sild.adminapi.centralserver.downloads import XML, attachment
from sild.adminapi.operations import Operations
from sild.components.centralserver.xml_uploads import XmlFile
from sild.model.audit import AuditEvent
from sild.model.permissions import Permission
from sild.protocol.globalconf import anchor as globalconf

OPERATIONS = Operations("trusted-anchors")

HashPath = Annotated[str, Path(min_length=1, max_length=255), Plain]


class TrustedAnchor(Body):
    """Another instance's anchor, by what people compare."""

    hash: str
    instance_identifier: str
    generated_at: Instant | None = None

    @classmethod
    def of(cls, anchor: globalconf.Anchor) -> "TrustedAnchor":
        """Lay out an anchor."""
        return cls(
            hash=anchor.display_hash,
            instance_identifier=anchor.instance,
            generated_at=anchor.generated_at,
        )


@OPERATIONS.get(
    "/trusted-anchors", "getTrustedAnchors", permission=Permission.VIEW_TRUSTED_ANCHORS, also=()
)
async def get_trusted_anchors(central: Central) -> list[TrustedAnchor]:
    """List the anchors that are trusted."""
    return [TrustedAnchor.of(anchor) for anchor in await central.trusted_anchors.list()]


@OPERATIONS.post(
    "/trusted-anchors",
    "uploadTrustedAnchor",
    permission=Permission.UPLOAD_TRUSTED_ANCHOR,
    event=AuditEvent.ADD_TRUSTED_ANCHOR,
    status=201,
    also=(400,),
)
async def upload_trusted_anchor(anchor: Upload, asked: Asked, central: Central) -> TrustedAnchor:
    """Trust an anchor."""
    file = await _read(anchor)
    read = central.trusted_anchors.preview(file)
    asked.tell(
        **_told(read),
        generatedAt=read.generated_at and read.generated_at.isoformat(),
        anchorUrls=[source.url for source in read.sources],
    )
    return TrustedAnchor.of(await central.trusted_anchors.upload(file))


@OPERATIONS.post(
    "/trusted-anchors/preview",
    "previewTrustedAnchor",
    permission=Permission.UPLOAD_TRUSTED_ANCHOR,
    also=(400,),
)
async def preview_trusted_anchor(anchor: Upload, central: Central) -> TrustedAnchor:
    """Show what an anchor says, and keep nothing."""
    return TrustedAnchor.of(central.trusted_anchors.preview(await _read(anchor)))


@OPERATIONS.delete(
    "/trusted-anchors/{hash}",
    "deleteTrustedAnchor",
    permission=Permission.DELETE_TRUSTED_ANCHOR,
    event=AuditEvent.DELETE_TRUSTED_ANCHOR,
    status=204,
)
async def delete_trusted_anchor(hash: HashPath, asked: Asked, central: Central) -> None:  # noqa: A002 - the contract's name
    """Trust an anchor no more."""
    asked.tell(anchorFileHash=hash, anchorFileHashAlgorithm="SHA-224")
    asked.tell(**_told(await central.trusted_anchors.delete(hash)))


@OPERATIONS.get(
    "/trusted-anchors/{hash}/download",
    "downloadTrustedAnchor",
    permission=Permission.DOWNLOAD_TRUSTED_ANCHOR,
    gives=XML,
)
async def download_trusted_anchor(hash: HashPath, central: Central) -> Response:  # noqa: A002 - the contract's name
    """Hand out an anchor as it was uploaded."""
    file = await central.trusted_anchors.file(hash)
    return attachment(file.name, file.document)


async def _read(upload: Upload) -> XmlFile:
    return XmlFile(upload.filename or "", await read_upload(upload))


def _told(anchor: globalconf.Anchor) -> dict[str, object]:
    return {
        "anchorFileHash": anchor.display_hash,
        "anchorFileHashAlgorithm": "SHA-224",
        "instanceIdentifier": anchor.instance,
    }
