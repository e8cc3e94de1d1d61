"""Writes docs/settings.md from the settings classes; its argument is that path."""

import ast
import dataclasses
import inspect
import json
import sys
import textwrap
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

from sild.components.signer.devices import DeviceSettings
from sild.servers.central_settings import CentralServerSettings
from sild.servers.settings import SecurityServerSettings

_HEAD = """\
# Settings

They stand in `HOME/sild.toml`, each in its section, or in the environment as
`SILD_<SECTION>_<NAME>`; unknown names are errors. `sild security-server --home HOME --check` and
`sild central-server --home HOME --check` print what would be used. This page is written by
`tools/settings_page.py` from the settings classes.

- [of a security server](#settings-of-a-security-server)
- [of a Central Server](#settings-of-a-central-server)
- [devices.toml](#devicestoml), of both
"""


_DEVICES = """
# devices.toml

PKCS #11 devices, one section each, whose name is the type of their tokens; see
[how-to/hardware-tokens.md](how-to/hardware-tokens.md).
"""


def _meanings(section: type) -> dict[str, str]:
    """What stands below each field of a class; the field above it speaks for those without."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(section))).body
    assert isinstance(tree, ast.ClassDef)
    found: dict[str, str] = {}
    field = ""
    for each in tree.body:
        match each:
            case ast.AnnAssign(target=ast.Name(id=name)):
                field = name
                found[field] = ""
            case ast.Expr(value=ast.Constant(value=str(text))) if field:
                found[field] = " ".join(text.split())
    return found


def _shown(value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, Enum):
        value = value.value
    return f"`{json.dumps(list(value) if isinstance(value, tuple) else value, default=str)}`"


def _sections(title: str, whole: Any) -> Iterator[str]:
    yield f"\n# {title}"
    for section in dataclasses.fields(whole):
        values = getattr(whole, section.name)
        yield f"\n## [{section.name.replace('_', '-')}]\n"
        yield "| name | default | what it is |\n|---|---|---|"
        meanings = _meanings(type(values))
        for field in dataclasses.fields(values):
            default, meaning = _shown(getattr(values, field.name)), meanings[field.name]
            yield f"| `{field.name.replace('_', '-')}` | {default} | {meaning} |"


def _devices() -> Iterator[str]:
    yield _DEVICES
    yield "| name | default | what it is |\n|---|---|---|"
    meanings = _meanings(DeviceSettings)
    for field in dataclasses.fields(DeviceSettings):
        required = field.default is dataclasses.MISSING
        default = "required" if required else _shown(field.default)
        yield f"| `{field.name.replace('_', '-')}` | {default} | {meanings[field.name]} |"


def page() -> str:
    """The whole page."""
    servers = (
        *_sections("Settings of a security server", SecurityServerSettings()),
        *_sections("Settings of a Central Server", CentralServerSettings()),
    )
    return _HEAD + "\n".join((*servers, *_devices())) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
