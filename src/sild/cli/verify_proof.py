"""`sild verify-proof`: check offline what a message log proves of itself."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sild.protocol.evidence.logproof import VerifiedProof
    from sild.protocol.pki.trust import ApprovedTsa

_LARGEST = 300_000_000
_FAILED, _UNKNOWN = 1, 2
_QUESTION = "What does the proof of the log show?"

_DESCRIPTION = """\
Checks a proof that `sild log prove` or `sild log consistency` has written, with no server at hand:
that the records are in the log of its head, or that the log only grew from one head to another.

With --conf, the time-stamps of the heads are verified, too. With --head, the proof must lead from
or to this head, which was kept elsewhere. With --container, a record must be of its message.

exit status: 0 it holds; 1 it does not; 2 a file cannot be read
"""


def add_parser(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the command."""
    parser = commands.add_parser(
        "verify-proof",
        help="check a proof of a message log offline",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("proof", type=Path, metavar="PROOF", help="the proof's file")
    parser.add_argument(
        "--conf", type=Path, metavar="DIR", help="whose time-stamps count, as for sild verify"
    )
    parser.add_argument("--head", type=Path, metavar="FILE", help="a head that was kept elsewhere")
    parser.add_argument("--container", type=Path, metavar="FILE", help="a container of the message")
    parser.add_argument("--json", action="store_true", help="print the verdict as JSON")
    parser.set_defaults(run=run)


def run(asked: argparse.Namespace) -> int:
    """Check, and tell what came of it."""
    from sild.cli.verify_conf import UnreadableConfiguration
    from sild.protocol.errors import ProtocolError
    from sild.runtime.files import FileError

    try:
        data, tsas, known, message = _read(asked)
    except (OSError, FileError, UnreadableConfiguration, ProtocolError) as error:
        return _end(asked, "unknown", str(error), None)
    try:
        return _end(asked, "valid", "", check_proof(data, tsas, known, message))
    except ProtocolError as error:
        return _end(asked, "invalid", error.message, None)


def _read(asked: argparse.Namespace) -> tuple[bytes, Any, Any, bytes | None]:
    from sild.cli.log_tree import read_head_file
    from sild.protocol.asic.container import read_container
    from sild.runtime.files import read_bounded

    known = None if asked.head is None else read_head_file(asked.head)
    message = None
    if asked.container is not None:
        message = read_container(read_bounded(asked.container, _LARGEST)).message
    tsas = None if asked.conf is None else tsas_of(asked.conf)
    return read_bounded(asked.proof, _LARGEST), tsas, known, message


def is_proof(data: bytes) -> bool:
    """Whether a file that `sild verify` was given is such a proof, and no container."""
    from sild.protocol.evidence.errors import EvidenceError
    from sild.protocol.evidence.jsonform import read_object

    try:
        return data.startswith(b"{") and "proof" in read_object(data)
    except EvidenceError:
        return False


def verify_as_container(asked: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    """What `sild verify` says of a proof: as JSON, and line by line.

    Raises OSError, FileError, UnreadableConfiguration, and ProtocolError for another file than the
    proof that cannot be read.
    """
    from sild.protocol.errors import ProtocolError

    asked = argparse.Namespace(
        proof=asked.container, conf=asked.conf, head=asked.head, container=asked.of
    )
    data, tsas, known, message = _read(asked)
    found = dict.fromkeys(("verdict", "code", "signer", "signed_at", "timestamped_at"))
    try:
        verified = check_proof(data, tsas, known, message)
    except ProtocolError as error:
        found |= {"verdict": "invalid", "code": error.staged_code}
        lines, held = [error.message], False
    else:
        newest = verified.stamps[max(verified.stamps)].gen_time
        found |= {"verdict": "valid", "timestamped_at": f"{newest:%Y-%m-%dT%H:%M:%SZ}"}
        lines, held = _lines(verified), True
    steps = [
        {"number": number, "question": _QUESTION, "answer": line, "held": held}
        for number, line in enumerate(lines, 1)
    ]
    return {**found, "unverified": [], "steps": steps}, lines


def tsas_of(conf: Path) -> "tuple[ApprovedTsa, ...]":
    """Whose time-stamps a configuration approves; raises UnreadableConfiguration."""
    from sild.cli.verify_conf import read_conf
    from sild.protocol.pki.signed import Strength

    trusts = read_conf(conf, Strength.CURRENT)
    return tuple(tsa for trust in trusts.values() for tsa in trust.tsas)


def check_proof(
    data: bytes, tsas: Any = None, known: Any = None, message: bytes | None = None
) -> "VerifiedProof":
    """Prove what a proof file says, of this message if one is given; raises ProtocolError."""
    import hashlib

    from sild.protocol.evidence.errors import ProofRefused
    from sild.protocol.evidence.logproof import InclusionProof, read_proof, verify_proof

    proof = read_proof(data)
    verified = verify_proof(proof, tsas, known)
    if message is not None:
        digest = hashlib.sha256(message).digest()
        records = proof.records if isinstance(proof, InclusionProof) else ()
        if digest not in [record.leaf.message for record in records]:
            raise ProofRefused("the proof is not of the message in the container")
    return verified


def _end(
    asked: argparse.Namespace, verdict: str, reason: str, verified: "VerifiedProof | None"
) -> int:
    lines = [] if verified is None else list(_lines(verified))
    if asked.json:
        found = {"verdict": verdict, "reason": reason or None, "proven": lines}
        print(json.dumps(found, indent=2))
    elif verified is None:
        from sild.cli.verify_telling import printable

        out = sys.stdout if verdict == "invalid" else sys.stderr
        print(f"{verdict.upper()}: {printable(reason)}", file=out)
    else:
        print("\n".join([*lines, "VALID"]))
    return {"valid": 0, "invalid": _FAILED}.get(verdict, _UNKNOWN)


def _lines(verified: "VerifiedProof") -> list[str]:
    from sild.cli.verify_telling import printable
    from sild.protocol.evidence.logproof import InclusionProof

    proof, lines = verified.proof, []
    if isinstance(proof, InclusionProof):
        for record in proof.records:
            leaf = record.leaf
            kind = "response" if leaf.is_response else "request"
            text = (
                f"The {kind} {leaf.query_id} of {leaf.owner} is record {record.number} of the log"
            )
            lines.append(printable(text))
        size = proof.head.head.size
        lines.append(f"The log had {size} records, root {proof.head.head.root.hex()}")
    else:
        first, second = proof.first.head, proof.second.head
        lines.append(f"The log grew from {first.size} to {second.size} records, and nothing else")
    for size, stamp in sorted(verified.stamps.items()):
        at = f"{stamp.gen_time:%Y-%m-%d %H:%M:%S} UTC"
        lines.append(printable(f"The head of {size} records exists since {at}: {stamp.tsa.name}"))
    if not verified.stamps:
        lines.append("Time-stamps were not looked at: give --conf")
    return lines
