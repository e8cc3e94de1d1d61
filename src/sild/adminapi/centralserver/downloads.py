"""Files to hand out."""

from starlette.responses import Response

from sild.protocol.ids import file_name_part

XML = "application/xml"


def attachment(name: str, content: bytes) -> Response:
    """A file for people to keep, under a name that no header misunderstands."""
    headers = {"content-disposition": f'attachment; filename="{file_name_part(name)}"'}
    return Response(content, media_type=XML, headers=headers)
