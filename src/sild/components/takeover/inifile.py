"""The old server's INI files: sections of NAME = VALUE, comments after ; or #."""

import configparser
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from sild.components.takeover.errors import BackupUnreadable

Parameters: TypeAlias = Mapping[tuple[str, str], str]
"""Values by section and name, as they stand there."""


def read_ini(name: str, content: bytes) -> Parameters:
    """What a file says; where it says something twice, the last counts. Raises BackupUnreadable."""
    parser = configparser.ConfigParser(
        interpolation=None,
        strict=False,
        delimiters=("=",),
        comment_prefixes=(";", "#"),
        default_section="",
        empty_lines_in_values=False,
        allow_no_value=True,
    )
    parser.optionxform = str.strip  # type: ignore[assignment,method-assign] # as the library says
    try:
        parser.read_string(content.decode("utf-8-sig"), name)
    except (configparser.Error, UnicodeDecodeError) as error:
        raise BackupUnreadable(f"{name} cannot be read: {error}") from error
    return {
        (section.strip(), key): (value or "").strip()
        for section in parser.sections()
        for key, value in parser.items(section)
    }


def merged(files: Iterable[Parameters]) -> Parameters:
    """What holds where later files override earlier ones."""
    found: dict[tuple[str, str], str] = {}
    for each in files:
        found.update(each)
    return found
