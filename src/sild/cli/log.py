"""`sild log`: work on the message log of a security server."""

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

from sild.cli.log_keys import add_action
from sild.cli.log_tree import add_actions

_IMPORT = """\
Takes over the records of a message log that the reference implementation has kept, with their
time-stamps, from its PostgreSQL database. What it has encrypted is opened with the keys in the
key store that [message-log] messagelog-keystore names. An import that was broken off is gone on
with when it is started again, and nothing is imported twice. Records with several attachments are
left out, and named.
"""


def add_parser(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the command."""
    parser = commands.add_parser("log", help="work on a message log")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    taken = actions.add_parser(
        "import-reference",
        help="take over a message log of the reference implementation",
        description=_IMPORT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    taken.add_argument(
        "--home", type=Path, required=True, help="the directory that holds all of the server"
    )
    taken.add_argument(
        "database",
        metavar="DB",
        help="postgresql://USER@HOST/messagelog, the password in it or in PGPASSWORD",
    )
    taken.set_defaults(run=run_import)
    add_action(actions)
    add_actions(actions)


def run_import(asked: argparse.Namespace) -> int:
    """Import, and tell how many records that were; 1 where not all could be."""
    from sild.protocol.errors import ProtocolError
    from sild.runtime.database import DatabaseError
    from sild.runtime.files import FileError
    from sild.runtime.settings import SettingsError
    from sild.servers.layout import Layout
    from sild.servers.log_import import import_reference_log
    from sild.servers.settings import read_server_settings

    layout = Layout(asked.home.absolute())
    try:
        settings = read_server_settings(layout)
        done = asyncio.run(import_reference_log(layout, settings, asked.database))
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    except (ProtocolError, DatabaseError, FileError, OSError) as error:
        print(f"The import was broken off: {error}", file=sys.stderr)
        return 1
    print(f"{done.records} records were imported.")
    if done.left_out:
        named = ", ".join(map(str, done.left_out))
        print(f"Left out for their several attachments: {named}", file=sys.stderr)
    return 1 if done.left_out else 0
