"""`sild import`: a security server of the reference becomes one of Sild, from its backup."""

import argparse
import asyncio
import getpass
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sild.servers.importing import ImportOrder, ImportReport

_DESCRIPTION = """\
Takes over a security server of the reference implementation from a backup of it, into a directory
that is empty or not there yet: the anchor, the keys of the software token with their certificates,
clients, services, endpoints, access rights, local groups, PKCS #11 devices, TLS certificates, and
those parameters of local.ini that mean the same here. All comes over, or nothing.

Stop the old server before the new one starts: both are the same server to others.
"""
_EPILOG = """\
A backup is signed by the old server. Its signature is verified with the key that the old server's
public half was exported to (--signer-key), or with a copy of /etc/xroad/gpghome (--gpg-home), which
also decrypts a backup that was encrypted for the server.

exit status:
  0  taken over, or with --dry-run: it could be
  1  refused, for a reason that is told
  2  not understood

examples:
  sild import conf_backup.gpg --home /var/lib/sild --dry-run --no-signature-check
  sild import conf_backup.gpg --home /var/lib/sild --signer-key old-server.asc --pin-file pin
  sild import conf_prerestore_backup.tar --plain --home /var/lib/sild
"""
_LONGEST_PIN = 1024


def add_parser(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the command."""
    parser = commands.add_parser(
        "import",
        help="take over a security server of the reference from its backup",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("backup", type=Path, metavar="BACKUP", help="a .gpg, or with --plain a tar")
    parser.add_argument(
        "--home", type=Path, required=True, metavar="DIR", help="where the new server is to stand"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="tell what would come over, and change nothing"
    )
    parser.add_argument(
        "--pin-file",
        type=Path,
        metavar="FILE",
        help="a private file with the PIN of the old software token; otherwise it is asked for",
    )
    parser.add_argument(
        "--signer-key", type=Path, metavar="FILE", help="the public key that signed the backup"
    )
    parser.add_argument(
        "--gpg-home", type=Path, metavar="DIR", help="a GnuPG home that has the old server's keys"
    )
    parser.add_argument(
        *("-P", "--plain"), action="store_true", help="the backup is a tar that nobody signed"
    )
    parser.add_argument(
        *("-N", "--no-signature-check"),
        action="store_true",
        help="verify no signature: whoever made the backup is trusted",
    )
    parser.add_argument(
        "--leave-out", action="store_true", help="go on without what cannot come over"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(asked: argparse.Namespace) -> int:
    """Take over a server, or tell what would come over."""
    from sild.model.refusals import Refusal
    from sild.runtime.clock import SystemClock
    from sild.runtime.database import DatabaseError
    from sild.runtime.files import FileError
    from sild.servers.importing import PartsLostReport, import_backup

    # Whatever is written anywhere is for this user alone.
    os.umask(0o077)
    try:
        order = _order(asked)
        report = asyncio.run(import_backup(order, SystemClock()))
    except PartsLostReport as error:
        _tell(error.report, asked)
        print(f"sild: {error}", file=sys.stderr)
        return 1
    except (Refusal, DatabaseError, FileError, OSError) as error:
        print(f"sild: {error}", file=sys.stderr)
        return 1
    _tell(report, asked)
    return 1 if asked.dry_run and report.lost and not asked.leave_out else 0


def _order(asked: argparse.Namespace) -> "ImportOrder":
    from sild.servers.import_opening import BackupTrust
    from sild.servers.importing import ImportOrder

    trust = BackupTrust(
        plain=asked.plain,
        unsigned=asked.no_signature_check,
        gpg_home=asked.gpg_home,
        signer_key=asked.signer_key,
    )
    return ImportOrder(
        asked.backup,
        asked.home.absolute(),
        trust,
        _pin(asked),
        rehearse=asked.dry_run,
        leave_out=asked.leave_out,
    )


def _pin(asked: argparse.Namespace) -> str | None:
    """The PIN, which never stands on the command line; a rehearsal does without."""
    from sild.runtime.files import read_private

    if asked.pin_file is not None:
        content = read_private(asked.pin_file, _LONGEST_PIN)
        return content.decode("utf-8", "replace").strip() or None
    if asked.dry_run:
        return None
    if sys.stdin.isatty():
        return getpass.getpass("PIN of the old software token: ") or None
    return sys.stdin.readline(_LONGEST_PIN).rstrip("\n") or None


def _tell(report: "ImportReport", asked: argparse.Namespace) -> None:
    if asked.json:
        print(json.dumps(_json(report), indent=2, ensure_ascii=False))
        return
    print(f"security server {report.server.short}")
    print("comes over:")
    for what, count in report.taken.items():
        if count:
            print(f"  {count:5} {what}")
    for setting in report.settings:
        print(f"        {setting}")
    for title, findings in (("cannot come over:", report.lost), ("to know:", report.notes)):
        if findings:
            print(title)
        for each in findings:
            print(f"  {each}")
    if asked.dry_run:
        print("nothing was changed")


def _json(report: "ImportReport") -> dict[str, Any]:
    return {
        "server": report.server.short,
        "taken": dict(report.taken),
        "keys": list(report.keys),
        "settings": list(report.settings),
        "lost": [{"what": each.what, "why": each.why} for each in report.lost],
        "notes": [{"what": each.what, "why": each.why} for each in report.notes],
    }
