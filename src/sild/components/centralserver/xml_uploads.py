"""Uploaded XML files: what is said to be XML must be called so, and begin so."""

from dataclasses import dataclass
from pathlib import PurePosixPath

from sild.components.centralserver.source_errors import (
    DoubleFileExtension,
    FileContentRefused,
    FileExtensionRefused,
)

_EXTENSION = "xml"
_CONTENT_TYPES = "text/xml, application/xml"
_MARKS = (b"\xef\xbb\xbf",)


@dataclass(frozen=True, slots=True)
class XmlFile:
    """A file that somebody has uploaded, under the name that it had there."""

    name: str
    content: bytes


def check_xml_file(file: XmlFile) -> None:
    """Raise FileExtensionRefused, DoubleFileExtension or FileContentRefused for other files."""
    name = PurePosixPath(file.name.replace("\\", "/")).name
    stem, _, extension = name.rpartition(".")
    if "." in stem:
        raise DoubleFileExtension("the name of an XML file has one extension")
    if extension != _EXTENSION or not stem:
        raise FileExtensionRefused(f"{name[:100]!r} is no XML file", extension[:100], _EXTENSION)
    content = file.content
    for mark in _MARKS:
        content = content.removeprefix(mark)
    if not content.lstrip().startswith(b"<"):
        raise FileContentRefused(
            "the file holds no XML", "application/octet-stream", _CONTENT_TYPES
        )
