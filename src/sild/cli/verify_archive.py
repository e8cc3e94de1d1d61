"""`sild verify-archive`: prove that archives of a message log are whole and in order."""

import argparse
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sild.protocol.asic.archivechain import NamedArchive

DECRYPT_FIRST = (
    "This file is encrypted. Decrypt it first, with the key of its recipient:"
    " gpg --output FILE.zip --decrypt FILE.zip.gpg"
)
_UNKNOWN = 2
_DIGEST = re.compile(r"(?:[0-9a-f]{2}){32,64}")
# The first octet of an OpenPGP message: an encrypted session key, a symmetric one, or a marker.
_PGP_TAGS = frozenset({1, 3, 10, 18, 20})
_OLD_PACKET, _NEW_PACKET = 0x80, 0xC0

_DESCRIPTION = """\
Proves that no archive of a message log, and no container in one, was changed, removed or moved:
each archive says with which digest it goes on from the one before, and chains the digest of each of
its containers to that. Several archives of one chain may be given in any order.
"""
_EPILOG = """\
Where the chain begins is for you to say. --first: with the very first archive that the server made
(of this group, where archives are grouped). --previous-digest: after an archive that you verified
before, whose last digest was printed then. Without either, the archives are taken at their word
for what came before them, which proves nothing about that.

The last digest is printed for the next run; keep it where nobody who can reach the archives can
change it. Given back with --last-digest it shows that nothing was removed from the end since, and
that it is not another chain. What the containers say, and who signed it, is for `sild verify`.

exit status:
  0  the archives are whole and follow one another
  1  they are not, or a file is no archive (encrypted archives must be decrypted first)
  2  unknown: a file cannot be read

examples:
  sild verify-archive --first mlog-20260101000000-20260131235959-1f0c3a5be2d47788.zip
  sild verify-archive --previous-digest 1f0c3a5b... archives/mlog-*.zip
  sild verify-archive --first --last-digest 8a09f44e... archives/mlog-*.zip
"""


def add_parser(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the command."""
    parser = commands.add_parser(
        "verify-archive",
        help="prove that archives of a message log are whole and in order",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("archives", type=Path, nargs="+", metavar="ZIP", help="an archive's file")
    start = parser.add_mutually_exclusive_group()
    start.add_argument(
        "--previous-digest",
        type=_digest,
        metavar="HEX",
        help="the last digest of the archive before the earliest of these",
    )
    start.add_argument(
        "-f", "--first", action="store_true", help="the earliest of these is the first ever made"
    )
    parser.add_argument(
        "--last-digest",
        type=_digest,
        metavar="HEX",
        help="a last digest of an earlier run: one of these archives must end with it",
    )
    parser.add_argument("--json", action="store_true", help="print the verdict as JSON")
    parser.set_defaults(run=run)


def _digest(text: str) -> str:
    digest = text.strip().lower()
    if not _DIGEST.fullmatch(digest):
        raise argparse.ArgumentTypeError(f"{text!r} is no digest in hex")
    return digest


def run(asked: argparse.Namespace) -> int:
    """Verify archives and tell what came of it."""
    from sild.protocol.asic.archive import InvalidArchive
    from sild.protocol.asic.archivechain import BrokenChain, check_reached, order_archives

    start: str | None = "" if asked.first else asked.previous_digest
    teller = _JsonTeller() if asked.json else _Teller()
    verified: list[NamedArchive] = []
    failed: list[str] = []
    for path in asked.archives:
        try:
            verified.append(_verify(path))
        except OSError as error:
            teller.unknown(f"{path}: {error.strerror or error}")
            return _UNKNOWN
        except InvalidArchive as error:
            teller.invalid(path, error.message)
            failed.append(path.name)
    if failed:
        teller.verdict_invalid(f"not whole: {', '.join(failed)}")
        return 1
    try:
        ordered = order_archives(verified, start)
        if asked.last_digest is not None:
            check_reached(ordered, asked.last_digest)
    except BrokenChain as error:
        teller.archives(verified)
        teller.verdict_invalid(error.message)
        return 1
    teller.archives(ordered)
    teller.verdict_valid(ordered, start)
    return 0


def _verify(path: Path) -> "NamedArchive":
    from sild.protocol.asic.archive import InvalidArchive, verify_archive
    from sild.protocol.asic.archivechain import NamedArchive

    with path.open("rb") as file:
        if is_encrypted(file.read(64)):
            raise InvalidArchive(DECRYPT_FIRST)
        file.seek(0)
        return NamedArchive(path.name, verify_archive(file))


def is_encrypted(head: bytes) -> bool:
    """Whether a file that begins so is an OpenPGP message."""
    if head.startswith(b"-----BEGIN PGP MESSAGE-----"):
        return True
    if not head or head[0] < _OLD_PACKET:
        return False
    tag = head[0] & 0x3F if head[0] >= _NEW_PACKET else (head[0] & 0x3F) >> 2
    return tag in _PGP_TAGS


class _Teller:
    """Tells a person."""

    def __init__(self) -> None:
        from sild.cli.verify_telling import Page

        self._page = Page(sys.stdout)

    def unknown(self, message: str) -> None:
        from sild.cli.verify_telling import printable

        print(f"sild verify-archive: {printable(message)}", file=sys.stderr)

    def invalid(self, path: Path, message: str) -> None:
        self._page.item(path.name, (message,), held=False)

    def archives(self, archives: "list[NamedArchive]") -> None:
        for named in archives:
            archive = named.archive
            before = archive.previous
            origin = f"goes on from {before.digest}" if before.digest else "begins the chain"
            if before.archive:
                origin = f"{origin} of {before.archive}"
            self._page.item(
                named.name,
                (
                    f"{_count(archive.containers, 'container')}, {archive.algorithm.text}",
                    origin,
                    f"leads to {archive.last_digest}",
                ),
                held=True,
            )

    def verdict_invalid(self, message: str) -> None:
        self._page.verdict("BROKEN", message, good=False)
        self._page.show()

    def verdict_valid(self, ordered: "list[NamedArchive]", start: str | None) -> None:
        containers = sum(named.archive.containers for named in ordered)
        archives = _count(len(ordered), "archive")
        self._page.verdict(
            "UNBROKEN",
            f"{archives} with {_count(containers, 'container')}; nothing was changed, removed or"
            " moved",
            good=True,
        )
        if start is None:
            self._page.warning(
                "NOT PROVEN",
                ("what came before the first of them: say it with --first or --previous-digest",),
            )
        self._page.note("The last digest, to go on from in the next run:")
        self._page.plain(ordered[-1].archive.last_digest)
        self._page.show()


class _JsonTeller(_Teller):
    """Tells a program, once all is known."""

    def __init__(self) -> None:
        self._errors: list[dict[str, str]] = []
        self._archives: list[NamedArchive] = []

    def unknown(self, message: str) -> None:
        super().unknown(message)
        self._print("unknown", message)

    def invalid(self, path: Path, message: str) -> None:
        self._errors.append({"file": path.name, "error": message})

    def archives(self, archives: "list[NamedArchive]") -> None:
        self._archives = archives

    def verdict_invalid(self, message: str) -> None:
        said = "; ".join(f"{error['file']}: {error['error']}" for error in self._errors)
        self._print("invalid", said or message)

    def verdict_valid(self, ordered: "list[NamedArchive]", start: str | None) -> None:
        self._print("valid", None, ordered[-1].archive.last_digest, start)

    def _print(
        self, verdict: str, error: str | None, last: str | None = None, start: str | None = None
    ) -> None:
        from sild.cli.verify_telling import say

        found = {
            "verdict": verdict,
            "error": error,
            "start_proven": start is not None,
            "last_digest": last,
            "archives": [
                {
                    "file": named.name,
                    "containers": named.archive.containers,
                    "algorithm": named.archive.algorithm.text,
                    "previous_digest": named.archive.previous.digest or None,
                    "previous_file": named.archive.previous.archive or None,
                    "last_digest": named.archive.last_digest,
                }
                for named in self._archives
            ],
        }
        say(sys.stdout, json.dumps(found, indent=2) + "\n")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
