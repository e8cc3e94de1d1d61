"""`sild evidence`: protect containers and archives before what proves them ages."""

import argparse
import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sild.cli.renewing import Outcome

_UNKNOWN = 2
_DIGESTS = ("SHA-256", "SHA-384", "SHA-512")

_RENEW = """\
Time-stamps containers and archives anew, so that they prove what they prove beyond the life of the
certificates and algorithms in them. Do it before these end, and again before the new time-stamps
do: `sild evidence verify` says when that is.

A container (ASiC-E) gets an archive manifest with a time-stamp inside; what was in it before is not
changed, and whoever verified it before still does. Beside any other file, such as an archive of a
message log, a file of its name with .ers is written: an evidence record (RFC 4998). Several such
files share one time-stamp, and each has a record of its own. Given itself, a record stands for its
file.

Nothing is renewed that does not verify: with --conf containers are verified whole, without it only
what protects them already.
"""
_VERIFY = """\
Follows the chain of renewals of containers and archives, offline: since when each is unchanged, and
until when that is protected. What the container itself proves is for `sild verify` to say.
"""
_STATUS = """\
exit status: 0 all is well; 1 something is not; 2 a file or the configuration cannot be read
"""


def add_parser(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the command."""
    parser = commands.add_parser("evidence", help="protect evidence for the long term")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    renew = _action(actions, "renew", "time-stamp containers and archives anew", _RENEW)
    renew.add_argument("--tsa", metavar="URL", required=True, help="who stamps")
    renew.add_argument(
        "--digest", choices=_DIGESTS, default="SHA-512", help="what to digest with (SHA-512)"
    )
    renew.set_defaults(run=run_renew)
    verify = _action(actions, "verify", "follow the renewals, offline", _VERIFY)
    verify.set_defaults(run=run_verify)


def _action(
    actions: "argparse._SubParsersAction[Any]", name: str, text: str, description: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(
        name,
        help=text,
        description=description,
        epilog=_STATUS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("paths", type=Path, metavar="PATH", nargs="+", help="a file")
    parser.add_argument(
        "--conf",
        type=Path,
        metavar="DIR",
        action="append",
        default=[],
        help="whose time-stamps count, as for sild verify; several, where some are of other times",
    )
    parser.add_argument(
        "--tsa-cert",
        type=Path,
        metavar="FILE",
        action="append",
        default=[],
        help="the certificate of another time-stamping authority that counts, PEM or DER",
    )
    parser.add_argument("--json", action="store_true", help="print what came of it as JSON")
    return parser


def run_renew(asked: argparse.Namespace) -> int:
    """Renew, and tell what came of it."""
    return _run(asked)


def run_verify(asked: argparse.Namespace) -> int:
    """Verify, and tell what came of it."""
    return _run(asked)


def _run(asked: argparse.Namespace) -> int:
    from sild.cli.renewing import Order, protected_file, read_known, renew_all, verify_all
    from sild.cli.verify_conf import UnreadableConfiguration
    from sild.protocol.algorithms import DigestAlgorithm
    from sild.protocol.errors import ProtocolError
    from sild.runtime.files import FileError

    try:
        known = read_known(asked.conf, asked.tsa_cert)
    except (UnreadableConfiguration, ProtocolError, FileError, OSError) as error:
        print(f"sild evidence: {error}", file=sys.stderr)
        return _UNKNOWN
    if not known.tsas:
        # A time-stamp that nobody can verify protects nothing.
        print("sild evidence: give --conf or --tsa-cert: whose time-stamps count?", file=sys.stderr)
        return _UNKNOWN
    paths = list(dict.fromkeys(map(protected_file, asked.paths)))
    if asked.run is run_renew:
        order = Order(asked.tsa, DigestAlgorithm.from_text(asked.digest), known)
        outcomes = asyncio.run(renew_all(paths, order))
    else:
        outcomes = verify_all(paths, known)
    if asked.json:
        print(json.dumps([_as_json(outcome) for outcome in outcomes], indent=2))
    else:
        for outcome in outcomes:
            _tell(outcome)
    codes = {"valid": 0, "renewed": 0, "unknown": _UNKNOWN}
    return max(codes.get(outcome.verdict, 1) for outcome in outcomes)


def _as_json(outcome: "Outcome") -> dict[str, Any]:
    return {
        "path": str(outcome.path),
        "verdict": outcome.verdict,
        "reason": outcome.reason or None,
        "renewals": [
            {
                "name": each.name,
                "stamped_at": each.stamped_at.isoformat(),
                "by": each.stamp.tsa.name,
                "protected_until": each.protected_until.isoformat(),
            }
            for each in outcome.renewals
        ],
    }


def _tell(outcome: "Outcome") -> None:
    from sild.cli.verify_telling import printable

    print(printable(f"{outcome.path}: {outcome.verdict.upper()}"))
    if outcome.reason:
        print(printable(f"  {outcome.reason}"))
    for each in outcome.renewals:
        at = f"{each.stamped_at:%Y-%m-%d %H:%M:%S} UTC"
        print(printable(f"  unchanged since {at}: {each.stamp.tsa.name}, {each.name}"))
    if outcome.renewals:
        until = outcome.renewals[-1].protected_until
        print(f"  protected until {until:%Y-%m-%d}; renew it before")
