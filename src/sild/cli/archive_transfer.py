"""`sild archive transfer`: take archives of a message log away, to where they are kept."""

import argparse
import json
import os
import ssl
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sild.runtime.transfer import Target, WaitingFile
    from sild.runtime.uploads import Bucket

_UNUSABLE = 2

_DESCRIPTION = """\
Moves every finished archive of a directory to TARGET. An archive is removed here only after the
other side has confirmed it. It is made for [message-log] archive-transfer-command, which a server
runs in the directory of its archives each time that it has archived:

  archive-transfer-command = "sild archive transfer /mnt/evidence"

Started again after an error, or after it was killed, it goes on with what is still there.
"""
_EPILOG = """\
TARGET is one of

  a folder              It must be there: a disk that is not mounted is an error. Each archive is
                        copied under another name, synced, read again and compared, and renamed.
  http(s)://HOST/PATH   Each archive is posted as the field `file` of a form (multipart/form-data).
                        An answer of 2xx confirms it.
  s3://BUCKET/PREFIX    Each archive is put into a bucket of an S3-compatible store, which compares
                        its digest. Credentials are taken from the environment: AWS_ACCESS_KEY_ID,
                        AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION (else us-east-1).

When the other side is silent, busy or unreachable, it is tried again after pauses that double. At
the first archive that cannot be moved, the command ends; this archive and those behind it stay.

exit status:
  0  all archives were moved; there may have been none
  1  not all of them were, for a reason that is told
  2  TARGET or an option cannot be used

examples:
  sild archive transfer /mnt/evidence
  sild archive transfer https://archive.example/upload --cacert ca.pem -c own.crt -k own.key
  sild archive transfer s3://evidence/ss1 --endpoint https://store.example:9000
  sild archive transfer --from /var/lib/sild/archive --keep /mnt/usb
"""


def add_parser(actions: "argparse._SubParsersAction[Any]") -> None:
    """Add the action."""
    parser = actions.add_parser(
        "transfer",
        help="take archives away: to a folder, an HTTP endpoint, an S3-compatible bucket",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("target", metavar="TARGET", help="where archives go: see below")
    parser.add_argument(
        "-d",
        "--from",
        dest="directory",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="the directory of archives (this one)",
    )
    parser.add_argument("--keep", action="store_true", help="copy: remove nothing here")
    parser.add_argument("--json", action="store_true", help="print what was moved as JSON")
    remote = parser.add_argument_group("over a network")
    remote.add_argument("--endpoint", metavar="URL", help="where an S3-compatible store answers")
    remote.add_argument(
        "--cacert",
        type=Path,
        metavar="FILE",
        help="whom to trust as the other side, PEM (whom this machine trusts)",
    )
    remote.add_argument(
        "-c", "--cert", type=Path, metavar="FILE", help="our own TLS certificate, PEM"
    )
    remote.add_argument("-k", "--key", type=Path, metavar="FILE", help="its private key, PEM")
    remote.add_argument(
        "--timeout",
        type=_seconds,
        default=60.0,
        metavar="SECONDS",
        help="how long the other side may be silent (60)",
    )
    remote.add_argument(
        "--attempts",
        type=_attempts,
        default=4,
        metavar="NUMBER",
        help="how often each archive is tried (4)",
    )
    parser.set_defaults(run=run)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 3600")
    return seconds


def _attempts(text: str) -> int:
    attempts = int(text)
    if not 1 <= attempts <= 100:
        raise argparse.ArgumentTypeError(f"{text} is not between 1 and 100")
    return attempts


class _Unusable(Exception):
    """What was asked for makes no sense."""


@dataclass(slots=True)
class _Moved:
    """What was moved, and why not all of it."""

    target: str
    archives: "list[WaitingFile]" = field(default_factory=list)
    left: int = 0
    error: str = ""


def run(asked: argparse.Namespace) -> int:
    """Move archives and tell of each."""
    from sild.runtime.transfer import TransferFailed

    try:
        target = _target(asked, os.environ)
    except (_Unusable, TransferFailed) as error:
        print(f"sild archive transfer: {error}", file=sys.stderr)
        return _UNUSABLE
    try:
        moved = _move(asked, target)
    finally:
        target.close()
    if asked.json:
        print(json.dumps(_described(moved), indent=2))
    else:
        count = len(moved.archives)
        done = "copied" if asked.keep else "moved"
        print(f"{count} archive{' was' if count == 1 else 's were'} {done}; {moved.left} are left.")
    if moved.error:
        print(f"sild archive transfer: {moved.error}", file=sys.stderr)
    return 1 if moved.error else 0


def _move(asked: argparse.Namespace, target: "Target") -> _Moved:
    from sild.components.messagelog.archivefiles import finished_archives
    from sild.runtime.transfer import TransferFailed, alone_in, take_away

    moved = _Moved(asked.target)
    waiting: list[Path] = []
    try:
        with alone_in(asked.directory):
            waiting = finished_archives(asked.directory)
            for archive in take_away(waiting, target, keep=asked.keep):
                moved.archives.append(archive)
                if not asked.json:
                    # Seen at once, also where a log takes it.
                    print(f"{archive.path.name}: {archive.size} bytes", flush=True)
    except TransferFailed as error:
        moved.error = f"{error}."
    except OSError as error:
        moved.error = f"{error.filename or asked.directory}: {error.strerror or error}."
    moved.left = len(waiting) - len(moved.archives)
    return moved


def _described(moved: _Moved) -> dict[str, Any]:
    return {
        "archives": [
            {"file": each.path.name, "size": each.size, "sha256": each.digest.hex()}
            for each in moved.archives
        ],
        "left": moved.left,
        "error": moved.error or None,
    }


def _target(asked: argparse.Namespace, environment: Mapping[str, str]) -> "Target":
    """Where archives go; raises _Unusable, TransferFailed."""
    from sild.runtime.transfer import Folder

    scheme, separator, _ = asked.target.partition("://")
    is_bucket = bool(separator) and scheme.lower() == "s3"
    if asked.endpoint and not is_bucket:
        raise _Unusable("--endpoint goes with a TARGET of s3://BUCKET/PREFIX")
    if not separator:
        return Folder(Path(asked.target))

    from sild.runtime.uploads import FormEndpoint, Persistence, S3Bucket

    persistence = Persistence(asked.timeout, asked.attempts)
    tls = _tls(asked)
    if is_bucket:
        return S3Bucket(_bucket(asked, environment), tls, persistence)
    if scheme.lower() in {"http", "https"}:
        return FormEndpoint(asked.target, tls, persistence)
    raise _Unusable(f"archives cannot be taken to {scheme}://")


def _bucket(asked: argparse.Namespace, environment: Mapping[str, str]) -> "Bucket":
    from sild.runtime.s3 import S3Credentials
    from sild.runtime.uploads import Bucket

    name, _, prefix = asked.target.partition("://")[2].partition("/")
    if not name:
        raise _Unusable("TARGET names no bucket: write s3://BUCKET/PREFIX")
    key, secret = (
        environment.get(f"AWS_{each}") for each in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY")
    )
    if not key or not secret:
        raise _Unusable("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must be in the environment")
    credentials = S3Credentials(key, secret, environment.get("AWS_SESSION_TOKEN", ""))
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or "us-east-1"
    return Bucket(name, prefix, region, credentials, asked.endpoint or "")


def _tls(asked: argparse.Namespace) -> ssl.SSLContext | None:
    if bool(asked.cert) != bool(asked.key):
        raise _Unusable("--cert and --key go together")
    try:
        context = ssl.create_default_context(cafile=asked.cacert)
        if asked.cert:
            # A key under a password is refused: nobody is there to be asked for it.
            context.load_cert_chain(asked.cert, asked.key, password="")
    except (OSError, ValueError) as error:
        files = ", ".join(str(each) for each in (asked.cacert, asked.cert, asked.key) if each)
        raise _Unusable(f"{files} cannot be used: {error}") from error
    return context
