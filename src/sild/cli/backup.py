"""`... backup`: back up a server and restore it, from the command line of its machine."""

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from sild.components.backup.backups import Backups

_DESCRIPTION = """\
Backs up a server's databases, keys and settings into one file that GnuPG signs with the server's
own key, and restores such files. The server may run meanwhile.
"""
_RESTORE = """\
Restores a backup of this server: a file, or the name of one in the folder of backups. What is there
is copied first, to conf_prerestore_backup.tar; then all of it is replaced, or, on any error,
nothing. A running server must be restarted afterwards.
"""
_RESTORE_EPILOG = """\
exit status:
  0  restored
  1  refused, for a reason that is told
  2  the settings cannot be read

examples:
  restore conf_backup_20260102-030405.gpg
  restore --force --no-signature-check /media/old-server.gpg      on a new machine
  restore --plain /var/lib/sild/restoring/conf_prerestore_backup.tar
"""

OpenBackups: TypeAlias = Callable[[argparse.Namespace], "AbstractAsyncContextManager[Backups]"]
"""Opens the backups of the server that a command line names by its `home`."""
_Act: TypeAlias = "Callable[[Backups, argparse.Namespace], Coroutine[Any, Any, None]]"


def add_parser(commands: "argparse._SubParsersAction[Any]", open_backups: OpenBackups) -> None:
    """Add the command below that of a server."""
    parser = commands.add_parser(
        "backup",
        help="back up this server, and restore it",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    _add(actions, open_backups, "create", _create, help="make a backup")
    listing = _add(actions, open_backups, "list", _list, help="list the backups")
    listing.add_argument("--json", action="store_true", help="print JSON")
    _add(
        *(actions, open_backups, "key", _key),
        help="make the key that signs backups, where there is none; initialising makes it, too",
    )
    _add(
        *(actions, open_backups, "public-key", _public_key),
        help="print the key that verifies backups elsewhere, for gpg --import",
    )
    importing = _add(
        *(actions, open_backups, "import-key", _import_key),
        help="take a public key, so that backups can be encrypted for its owner",
    )
    importing.add_argument("file", type=Path, metavar="FILE", help="what gpg --export gave")
    _add_restore(actions, open_backups)


def _add(
    actions: "argparse._SubParsersAction[Any]",
    open_backups: OpenBackups,
    name: str,
    act: _Act,
    **texts: Any,
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(
        name, formatter_class=argparse.RawDescriptionHelpFormatter, **texts
    )
    home = "the directory that holds all of the server"
    parser.add_argument("--home", type=Path, required=True, metavar="DIR", help=home)
    parser.set_defaults(run=lambda asked: _run(open_backups, act, asked))
    return parser


def _add_restore(actions: "argparse._SubParsersAction[Any]", open_backups: OpenBackups) -> None:
    parser = _add(
        *(actions, open_backups, "restore", _restore),
        help="restore a backup",
        description=_RESTORE,
        epilog=_RESTORE_EPILOG,
    )
    parser.add_argument("file", metavar="FILE", help="a file, or the name of a backup")
    for short, long, help_ in (
        ("-F", "--force", "restore the backup of another server of this kind, too"),
        ("-P", "--plain", "the backup is a tar that GnuPG neither signed nor encrypted"),
        ("-N", "--no-signature-check", "verify no signature: whoever made it is trusted"),
        ("-R", "--keep-files", "keep files that the backup does not have"),
        ("-S", "--skip-database", "restore files alone"),
    ):
        parser.add_argument(short, long, action="store_true", help=help_)


def _run(open_backups: OpenBackups, act: _Act, asked: argparse.Namespace) -> int:
    from sild.model.refusals import Refusal
    from sild.runtime.database import DatabaseError
    from sild.runtime.settings import SettingsError

    async def run() -> None:
        async with open_backups(asked) as backups:
            try:
                await act(backups, asked)
            finally:
                await backups.close()

    try:
        asyncio.run(run())
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    except (Refusal, DatabaseError, OSError) as error:
        print(f"sild: {error}", file=sys.stderr)
        return 1
    return 0


async def _create(backups: "Backups", _: argparse.Namespace) -> None:
    made = await backups.create()
    print(backups.path_of(made.name))


async def _list(backups: "Backups", asked: argparse.Namespace) -> None:
    found = await backups.list()
    if asked.json:
        told = [{"filename": each.name, "created_at": each.created.isoformat()} for each in found]
        print(json.dumps(told, indent=2))
        return
    for each in found:
        print(f"{each.created:%Y-%m-%d %H:%M:%S}  {each.name}")


async def _key(backups: "Backups", _: argparse.Namespace) -> None:
    await backups.make_own_key()
    print("backups are signed; public-key prints what verifies them elsewhere")


async def _public_key(backups: "Backups", _: argparse.Namespace) -> None:
    print((await backups.public_key()).decode("ascii"), end="")


async def _import_key(backups: "Backups", asked: argparse.Namespace) -> None:
    await backups.import_recipient(await asyncio.to_thread(asked.file.read_bytes))


async def _restore(backups: "Backups", asked: argparse.Namespace) -> None:
    from sild.components.backup.saved import RestoreOptions

    path = Path(asked.file)
    if path.name == asked.file and not await asyncio.to_thread(path.exists):
        path = backups.path_of(asked.file)
    options = RestoreOptions(
        force=asked.force,
        plain=asked.plain,
        unsigned=asked.no_signature_check,
        keep_files=asked.keep_files,
        skip_databases=asked.skip_database,
    )
    await backups.restore_file(path, options)
    print(f"{path} was restored; restart the server if it runs")
