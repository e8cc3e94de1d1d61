"""What the commands of servers with a management API have in common."""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sild.adminapi.contract import Addition, Difference

_OPENAPI = """\
Prints the description of the management API, as the server gives it at /api/v1/openapi.yaml.
With --against, prints instead how it differs from a published description: what is missing or
changed, and, with --all, what was added and why. Exit code 1 if anything is missing or changed.
"""


def add_home(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """Add the option that says where a server is."""
    parser.add_argument(
        "--home",
        type=Path,
        required=required,
        default=argparse.SUPPRESS if required else None,
        help="the directory that holds all of the server",
    )


@dataclass(frozen=True, slots=True)
class Described:
    """An API: its own description, and what it says beyond the published one."""

    document: dict[str, Any]
    additions: "Iterable[Addition]"


def add_openapi(
    beside: "argparse._SubParsersAction[Any]", describe: Callable[[], Described]
) -> None:
    """Add the command that prints an API's description below that of its server."""
    parser = beside.add_parser(
        "openapi",
        help="print the description of the management API, or compare it",
        description=_OPENAPI,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of YAML or text")
    parser.add_argument(
        "--against", type=Path, metavar="FILE", help="a published description, JSON or YAML"
    )
    parser.add_argument(
        "--all", action="store_true", help="print additions too, with their reasons"
    )
    parser.set_defaults(run=lambda asked: _openapi(asked, describe()))


def _openapi(asked: argparse.Namespace, described: Described) -> int:
    from sild.adminapi.contract import differences, read_description
    from sild.runtime.yaml import write_yaml

    ours = described.document
    if asked.against is None:
        print(json.dumps(ours, indent=2) if asked.json else write_yaml(ours), end="")
        return 0
    try:
        published = read_description(asked.against)
    except (OSError, ValueError) as error:
        print(f"{asked.against} cannot be read: {error}", file=sys.stderr)
        return 2
    found = differences(published, ours, described.additions)
    shown = [each for each in found if asked.all or not each.is_addition]
    _tell(shown, as_json=asked.json)
    return 1 if any(not each.is_addition for each in found) else 0


def _tell(found: "list[Difference]", *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([each.to_json() for each in found], indent=2))
        return
    for each in found:
        print(each)
    wrong = sum(not each.is_addition for each in found)
    print(f"{wrong} missing or changed" if wrong else "nothing is missing or changed")
