"""`sild verify`: verify a signed document offline."""

import argparse
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sild.cli.verify_telling import Page
    from sild.protocol.asic.judge import Judgement
    from sild.protocol.asic.verify import Report, Unverified

_LARGEST = 300_000_000
_UNKNOWN = 2
_NOT_EXTRACTED = 3

_DESCRIPTION = """\
Verifies a signed document (an ASiC-E container, such as GET /asic gives) with no server and no
network at hand: who signed the message, on whose behalf, when that was time-stamped, and by which
certification and time-stamping authorities. A proof that `sild log prove` or `sild log consistency`
has written is verified likewise.
"""
_EPILOG = """\
DIR says whom to trust. It is a configuration directory as a security server keeps it (the folder
that holds the file instance-identifier), or what GET /verificationconf gives: the zip file itself,
or the folder unpacked from it. Get it from somebody you trust; who can change it can make a forged
container valid.

The moment at which certificates must have been good is that of the time-stamp, so a container
stays valid after they have expired.

Attachments that were signed and that the container does not hold, or holds otherwise, leave the
verdict as it is, since a message log may leave them out or cut them: they are listed as NOT
VERIFIED. With --strict they make the container invalid, as does every byte in it that is no
evidence: another entry, a manifest that does not fit, bytes between entries, a document not written
plainly, SHA-1 in the signatures of authorities.

exit status:
  0  valid
  1  invalid
  2  unknown: CONTAINER or DIR cannot be read
  3  valid, but not extracted: a file is in the way, or cannot be written

examples:
  sild verify answer.asice --conf /etc/sild/globalconf
  sild verify answer.asice --conf verificationconf.zip --extract answer/
  sild verify answer.asice --conf verificationconf.zip --strict --json | jq .verdict
  sild verify proof.json --conf verificationconf.zip --head kept.json --of answer.asice
"""


def add_parser(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the command."""
    parser = commands.add_parser(
        "verify",
        help="verify a signed document offline",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "container", type=Path, metavar="CONTAINER", help="the file of a container, or of a proof"
    )
    parser.add_argument(
        "--conf", type=Path, metavar="DIR", required=True, help="whom to trust: see below"
    )
    parser.add_argument("--json", action="store_true", help="print the verdict as JSON")
    parser.add_argument(
        "--extract",
        type=Path,
        metavar="DIR",
        help="write message.xml and attachments here if valid; what is not verified gets the"
        " suffix .unverified",
    )
    parser.add_argument(
        "--strict", action="store_true", help="valid only if every byte of it is evidence"
    )
    proofs = parser.add_argument_group("proofs of a message log")
    proofs.add_argument(
        "--head",
        type=Path,
        metavar="FILE",
        help="the proof leads from or to this head, kept elsewhere",
    )
    proofs.add_argument(
        "--of", type=Path, metavar="FILE", help="the proof is of the message in this container"
    )
    parser.set_defaults(run=run)


def run(asked: argparse.Namespace) -> int:
    """Verify a container and tell what came of it."""
    from sild.cli.verify_conf import UnreadableConfiguration, read_conf
    from sild.cli.verify_proof import is_proof
    from sild.cli.verify_renewals import follow_renewals
    from sild.protocol.asic.judge import judge_container, judge_strictly
    from sild.protocol.pki.signed import Strength
    from sild.runtime.files import FileError, read_bounded

    try:
        data = read_bounded(asked.container, _LARGEST)
        if is_proof(data):
            return _proof(asked)
        if asked.head is not None or asked.of is not None:
            return _unknown(asked, f"--head and --of are for proofs, {asked.container} is none")
        trusts = read_conf(asked.conf, Strength.CURRENT if asked.strict else Strength.HISTORIC)
    except OSError as error:
        return _unknown(asked, f"{error.filename or asked.container}: {error.strerror or error}")
    except (FileError, UnreadableConfiguration) as error:
        return _unknown(asked, str(error))
    judgement = (judge_strictly if asked.strict else judge_container)(data, trusts)
    judgement = follow_renewals(judgement, data, trusts, strict=asked.strict)
    if asked.json:
        _print_json(_as_json(judgement))
    else:
        _tell(asked, judgement, data)
    if not judgement.is_valid:
        return 1
    return 0 if asked.extract is None else _extract(judgement, asked)


def _proof(asked: argparse.Namespace) -> int:
    from sild.cli.verify_proof import verify_as_container
    from sild.cli.verify_telling import Page
    from sild.protocol.errors import ProtocolError

    try:
        found, lines = verify_as_container(asked)
    except ProtocolError as error:
        return _unknown(asked, f"--head or --of: {error.message}")
    held = found["verdict"] == "valid"
    if asked.json:
        _print_json(found)
    else:
        page = Page(sys.stdout)
        page.title(f"Verifying {asked.container.name}, a proof of a message log")
        for line in lines:
            page.item(line, (), held=held)
        page.verdict(found["verdict"].upper(), good=held)
        if asked.extract is not None:
            page.note("Nothing was extracted: a proof holds no message.")
        page.show()
    return 0 if held else 1


def _unknown(asked: argparse.Namespace, message: str) -> int:
    from sild.cli.verify_telling import printable

    print(f"sild verify: {printable(message)}", file=sys.stderr)
    if asked.json:
        _print_json(_verdict("unknown", None))
    return _UNKNOWN


# As JSON


def _print_json(found: dict[str, Any]) -> None:
    from sild.cli.verify_telling import say

    say(sys.stdout, json.dumps(found, indent=2) + "\n")


def _verdict(verdict: str, code: str | None) -> dict[str, Any]:
    facts = dict.fromkeys(("signer", "signed_at", "timestamped_at"))
    return {"verdict": verdict, "code": code, **facts, "unverified": [], "steps": []}


def _as_json(judgement: "Judgement") -> dict[str, Any]:
    error, report = judgement.error, judgement.report
    found = _verdict("valid", None) if error is None else _verdict("invalid", error.staged_code)
    if report is not None:
        found["signer"] = str(report.signer)
        found["signed_at"] = _iso(report.signed_at)
        found["timestamped_at"] = _iso(report.timestamped_at)
        found["unverified"] = [part.uri for part in report.unverified]
    found["steps"] = [
        {
            "number": step.number,
            "question": step.question,
            "answer": step.answer,
            "held": step.held,
        }
        for step in judgement.steps
    ]
    return found


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


# For people


def _tell(asked: argparse.Namespace, judgement: "Judgement", data: bytes) -> None:
    from sild.cli.verify_telling import Page

    page = Page(sys.stdout)
    page.title(f"Verifying {asked.container.name}")
    for step in judgement.steps:
        page.step(step.number, step.question, step.answer, held=step.held)
    if judgement.error is not None:
        page.verdict(
            "INVALID", f"{judgement.error.staged_code}: {judgement.error.message}", good=False
        )
        hint = _hint(data)
        if hint:
            page.note(hint)
    report = judgement.report
    if report is not None and judgement.is_valid:
        page.verdict("VALID", good=True)
        _tell_facts(page, report)
    if report is not None and report.unverified:
        page.warning("NOT VERIFIED", tuple(_doubt_text(part) for part in report.unverified))
    if judgement.error is not None and asked.extract is not None:
        page.note("Nothing was extracted, since the container is invalid.")
    page.show()


def _tell_facts(page: "Page", report: "Report") -> None:
    from sild.protocol.asic.verify import moment_text, name_text

    page.fact("Signed by", str(report.signer))
    certificate = report.certificate
    page.fact(
        "Certificate", f"{name_text(certificate.subject_text)}, serial number {certificate.serial}"
    )
    page.fact("Issued by", f"{name_text(certificate.issuer_text)} ({report.ca.name})")
    page.fact("Signed at", f"{moment_text(report.signed_at)}, by the signer's clock")
    tsa = report.tsa
    page.fact("Time-stamped at", moment_text(report.timestamped_at))
    page.fact("Time-stamped by", f"{name_text(tsa.certificate.subject_text)} ({tsa.name})")


def _doubt_text(part: "Unverified") -> str:
    digest = f"{part.digest.algorithm.text} {part.digest.value.hex()}"
    return f"{part.uri.removeprefix('/')}: {part.doubt.value}; signed was the {digest}"


def _hint(data: bytes) -> str:
    from sild.cli.verify_archive import DECRYPT_FIRST, is_encrypted

    if is_encrypted(data[:64]):
        return DECRYPT_FIRST
    if data.startswith(b"PK") and b".asice" in data:
        return (
            "This zip file holds containers, and is none: unpack it, then verify each (an archive"
            " of a message log as a whole: sild verify-archive)."
        )
    return ""


# Extracting


def _extract(judgement: "Judgement", asked: argparse.Namespace) -> int:
    from sild.cli.verify_telling import say

    container, report = judgement.container, judgement.report
    if container is None or report is None:
        return 0
    doubted = {part.uri for part in report.unverified}
    files = {"message.xml": container.message}
    for name, content in container.attachments.items():
        files[name.removeprefix("/") + (".unverified" if name in doubted else "")] = content
    try:
        asked.extract.mkdir(parents=True, exist_ok=True)
        for file_name, content in files.items():
            _write_new(asked.extract / file_name, content)
    except OSError as error:
        print(f"sild verify: {error.filename}: {error.strerror}", file=sys.stderr)
        return _NOT_EXTRACTED
    if not asked.json:
        say(sys.stdout, f"\nExtracted to {asked.extract}: {', '.join(files)}\n")
    return 0


def _write_new(path: Path, content: bytes) -> None:
    """Write a file that is not there; one with this content may be."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    except FileExistsError:
        if path.is_symlink() or path.read_bytes() != content:
            raise
        return
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
