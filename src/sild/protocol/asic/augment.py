"""Add entries to a container, whose other entries stay as they are."""

import io
import zipfile
from collections.abc import Mapping
from datetime import datetime

from sild.protocol.asic.container import entry_header, read_entries
from sild.protocol.errors import AsicError


def with_entries(
    data: bytes, added: Mapping[str, bytes], renamed: Mapping[str, str], date: datetime
) -> bytes:
    """The container with some entries given another name, and with those that are added.

    Names, dates and contents of the others, and the comment of the archive, are as before.

    Raises AsicError.
    """
    contents = read_entries(data)
    names = {renamed.get(name, name).lower() for name in contents}
    if len(names) != len(contents) or names & {name.lower() for name in added}:
        raise AsicError("two entries of the container would have one name")
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(data)) as before,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as after,
    ):
        after.comment = before.comment
        for header in before.infolist():
            if header.filename in contents:
                content = contents[header.filename]
                _write(after, _copied(header, renamed.get(header.filename)), content)
        for name, content in added.items():
            _write(after, entry_header(name, date), content)
    return out.getvalue()


def _copied(header: zipfile.ZipInfo, name: str | None) -> zipfile.ZipInfo:
    copied = zipfile.ZipInfo(name or header.filename, header.date_time)
    copied.compress_type = header.compress_type
    copied.create_system = header.create_system
    copied.external_attr = header.external_attr
    copied.extra, copied.comment = header.extra, header.comment
    return copied


def _write(archive: zipfile.ZipFile, header: zipfile.ZipInfo, content: bytes) -> None:
    attributes = header.external_attr
    archive.writestr(header, content)
    # Writing puts permissions of a Unix file in.
    header.external_attr = attributes
