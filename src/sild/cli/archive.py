"""`sild archive`: make archives of a message log, list them, take them away."""

import argparse
import asyncio
import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sild.cli import archive_transfer

if TYPE_CHECKING:
    from sild.cli.verify_telling import Page
    from sild.components.messagelog.archivefiles import ArchiveFile

_DESCRIPTION = """\
Works on the archives of a message log: linked ZIP files of signed documents, which
`sild verify-archive` and `sild verify` prove. A security server makes them by itself, at the times
that [message-log] archive-interval says.
"""
_NOW = """\
Asks a running security server to time-stamp all messages that wait for it, and to archive at once
what is time-stamped, without waiting for archive-interval. Nothing is archived twice, so this may
be done at any time. Where the server has an archive-transfer-command, that is run too.
"""
_NOW_EPILOG = """\
exit status:
  0  done; there may have been nothing to do
  1  not all of it could be done, for a reason that is told
  2  the settings cannot be read

example:
  sild archive now --home /var/lib/sild
"""
_LIST = """\
Lists the archives of a directory, each behind the one that it goes on from: how many containers it
has, and between which moments its messages were logged. Digests are not verified here:
`sild verify-archive` does that. Of encrypted archives nothing is known but their names.
"""
_LIST_EPILOG = """\
examples:
  sild archive list --home /var/lib/sild
  sild archive list --from /mnt/evidence
  sild archive list --home /var/lib/sild --json | jq -r '.archives[].file'
"""


def add_parser(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the command."""
    parser = commands.add_parser(
        "archive",
        help="make archives of a message log, list them, take them away",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    home = "the directory that holds all of the server"
    now = actions.add_parser(
        "now",
        help="archive what waits",
        description=_NOW,
        epilog=_NOW_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    now.add_argument("--home", type=Path, required=True, metavar="DIR", help=home)
    now.add_argument("--json", action="store_true", help="print what was done as JSON")
    now.set_defaults(run=run_now)
    listing = actions.add_parser(
        "list",
        help="list archives in the order of their chain",
        description=_LIST,
        epilog=_LIST_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    where = listing.add_mutually_exclusive_group(required=True)
    where.add_argument("--home", type=Path, metavar="DIR", help=home)
    where.add_argument(
        "--from", dest="directory", type=Path, metavar="DIR", help="a directory of archives"
    )
    listing.add_argument("--json", action="store_true", help="print the list as JSON")
    listing.set_defaults(run=run_list)
    archive_transfer.add_parser(actions)


@dataclass(slots=True)
class _Done:
    """What `now` has done."""

    time_stamped: int = 0
    archived: int = 0
    archives: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def run_now(asked: argparse.Namespace) -> int:
    """Archive, and tell what was written."""
    from sild.cli.verify_telling import printable
    from sild.runtime.settings import SettingsError

    try:
        directory = _archives_of(asked.home)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    before = _names(directory)
    done = asyncio.run(_archive(asked.home.absolute()))
    done.archives = sorted(_names(directory) - before)
    if asked.json:
        print(
            json.dumps(
                {
                    "time_stamped": done.time_stamped,
                    "archived": done.archived,
                    "directory": str(directory),
                    "archives": done.archives,
                    "error": " ".join(done.errors) or None,
                },
                indent=2,
            )
        )
    else:
        _tell(done, directory)
    for problem in done.errors:
        print(f"sild archive now: {printable(problem)}", file=sys.stderr)
    return 1 if done.errors else 0


def _tell(done: _Done, directory: Path) -> None:
    from sild.cli.verify_telling import printable

    print(f"{done.time_stamped} messages were time-stamped, {done.archived} archived.")
    if done.archives:
        print(f"New in {printable(str(directory))}:")
    elif done.archived:
        print("The new archives are not there any more: archive-transfer-command took them away.")
    for name in done.archives:
        print(f"  {printable(name)}")


async def _archive(home: Path) -> _Done:
    from sild.protocol.errors import ProtocolError
    from sild.runtime.rpc import RpcError, close_rpc, connect_rpc
    from sild.servers.control_calls import CONTROL_OPTIONS, ControlCalls
    from sild.servers.layout import Layout

    socket = Layout(home).control_socket
    control = connect_rpc(socket, ControlCalls, CONTROL_OPTIONS)  # type: ignore[type-abstract]
    done = _Done()
    try:
        try:
            done.time_stamped = await control.stamp_waiting()
        except ProtocolError as error:
            # What was time-stamped before can be archived all the same.
            done.errors.append(f"Not all is time-stamped: {error}.")
        done.archived = await control.archive()
    except (ProtocolError, RpcError, OSError) as error:
        done.errors.append(f"Not all is archived: {error}.")
    finally:
        close_rpc(control)
    return done


def _archives_of(home: Path) -> Path:
    """Where a server keeps its archives; raises SettingsError."""
    from sild.servers.layout import Layout
    from sild.servers.settings import read_server_settings

    layout = Layout(home.absolute())
    return read_server_settings(layout).message_log.archive_path or layout.archives


def _names(directory: Path) -> set[str]:
    from sild.components.messagelog.archivefiles import finished_archives

    try:
        return {path.name for path in finished_archives(directory)}
    except OSError:
        return set()


def run_list(asked: argparse.Namespace) -> int:
    """List archives; 1 where one of them cannot be read, 2 where the directory cannot."""
    from sild.components.messagelog.archivefiles import finished_archives, read_archive_files
    from sild.runtime.settings import SettingsError

    try:
        directory = asked.directory or _archives_of(asked.home)
        # A server that has archived nothing yet has no directory for it.
        there = asked.directory or os.path.lexists(directory)
        files = read_archive_files(finished_archives(directory)) if there else []
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"sild archive list: {error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    if asked.json:
        print(json.dumps({"archives": [_described(file) for file in files]}, indent=2))
    else:
        _show(directory, files)
    return 1 if any(file.problem for file in files) else 0


def _described(file: "ArchiveFile") -> dict[str, Any]:
    info = file.info
    return {
        "file": file.path.name,
        "group": file.group or None,
        "size": file.size,
        "first": f"{file.first:%Y-%m-%dT%H:%M:%SZ}",
        "last": f"{file.last:%Y-%m-%dT%H:%M:%SZ}",
        "encrypted": file.is_encrypted,
        "containers": len(info.links) if info else None,
        "previous_file": (info.previous.archive or None) if info else None,
        "previous_digest": (info.previous.digest or None) if info else None,
        "last_digest": info.links[-1].digest if info and info.links else None,
        "error": file.problem or None,
    }


def _show(directory: Path, files: "list[ArchiveFile]") -> None:
    from sild.cli.verify_telling import Page

    page = Page(sys.stdout)
    if not files:
        page.title(f"There is no archive in {directory}.")
    names = {file.path.name for file in files}
    for file in files:
        _show_one(page, file, names)
    page.show()


def _show_one(page: "Page", file: "ArchiveFile", names: set[str]) -> None:
    lines = [f"{file.first:%Y-%m-%d %H:%M:%S} to {file.last:%Y-%m-%d %H:%M:%S} UTC"]
    if file.info is not None:
        count = len(file.info.links)
        lines.append(f"{count} container{'' if count == 1 else 's'}, {file.size} bytes")
        previous = file.info.previous
        if previous.is_start:
            lines.append("begins the chain")
        else:
            missing = "" if previous.archive in names else ", which is not here"
            lines.append(f"goes on from {previous.archive or previous.digest}{missing}")
    else:
        lines.append(file.problem or f"encrypted, {file.size} bytes")
    page.item(file.path.name, tuple(lines), held=not file.problem)
