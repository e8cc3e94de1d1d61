"""`sild log head`, `prove`, `consistency` and `audit`: the tree over a message log."""

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sild.components.messagelog.audit import AuditReport
    from sild.components.messagelog.encryption import RecordCipher
    from sild.components.messagelog.journal_audit import JournalReport
    from sild.components.messagelog.store import MessageStore
    from sild.components.messagelog.transparency import LogTree
    from sild.protocol.evidence.loghead import StampedHead
    from sild.protocol.pki.trust import ApprovedTsa
    from sild.runtime.database import Database

_FAILED, _UNKNOWN = 1, 2
_LARGEST = 300_000_000

_HEAD = """\
Prints the head of the log: how many records it has, and the root of the hash tree over them. Kept
elsewhere, it shows later whether anything was changed or taken away. The newest time-stamped head
is given; with --current, the head as it is now, without a time-stamp.
"""
_PROVE = """\
Writes a proof that the records of a message are in the log. `sild verify` checks it offline.
It shows of the records digests, ids, owner and time, and nothing of other records.
"""
_CONSISTENCY = """\
Writes a proof that the log of one head is that of an earlier head with records behind it: nothing
was changed, removed or put in between. `sild verify` checks it offline.
"""
_AUDIT = """\
Compares every record with its leaf in the tree, and the tree with its time-stamped heads, and names
what was altered, deleted, moved or put in by hand. Reads the journals, too, in which records stand
until they are in the database, and names the file and the place where one is not as it was written.
What was cut off from the end, with all that spoke of it here, is found by a head that was kept
elsewhere (--head) or by a container that another server has given of a message that passed through
this one (--container).

exit status: 0 all is as it was; 1 something is not; 2 the log cannot be read
"""


def add_actions(actions: "argparse._SubParsersAction[Any]") -> None:
    """Add the actions to `sild log`."""
    head = _action(actions, "head", "print the head of the log", _HEAD)
    head.add_argument("--current", action="store_true", help="the head of now")
    head.add_argument("--json", action="store_true", help="print the head file")
    head.add_argument("--out", type=Path, metavar="FILE", help="write the head file here")
    head.set_defaults(run=run_head)
    prove = _action(actions, "prove", "prove that a message is in the log", _PROVE)
    prove.add_argument("query_id", metavar="QUERY-ID", help="the id of the message")
    prove.add_argument("--head", type=Path, metavar="FILE", help="lead to this head")
    prove.add_argument("--out", type=Path, metavar="FILE", help="write the proof here")
    prove.set_defaults(run=run_prove)
    grown = _action(actions, "consistency", "prove that the log only grew", _CONSISTENCY)
    grown.add_argument(
        "--from", dest="first", type=Path, metavar="FILE", required=True, help="the earlier head"
    )
    grown.add_argument(
        "--to", dest="second", type=Path, metavar="FILE", help="the later (default: the newest)"
    )
    grown.add_argument("--out", type=Path, metavar="FILE", help="write the proof here")
    grown.set_defaults(run=run_consistency)
    audit = _action(actions, "audit", "find what was changed in the log by hand", _AUDIT)
    audit.add_argument(
        "--head", type=Path, metavar="FILE", action="append", default=[], help="a head kept"
    )
    audit.add_argument(
        "--container",
        type=Path,
        metavar="FILE",
        action="append",
        default=[],
        help="a container that another server has given",
    )
    audit.add_argument("--json", action="store_true", help="print the findings as JSON")
    audit.set_defaults(run=run_audit)


def _action(
    actions: "argparse._SubParsersAction[Any]", name: str, text: str, description: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(
        name,
        help=text,
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--home", type=Path, required=True, help="the directory that holds all of the server"
    )
    return parser


class _Unreadable(Exception):
    """There is no log, or it cannot be read."""


@dataclass(frozen=True, slots=True)
class _Log:
    """The log of a server, open."""

    database: "Database"
    store: "MessageStore"
    tree: "LogTree"
    cipher: "RecordCipher | None"


def run_head(asked: argparse.Namespace) -> int:
    """Print or write the head of the log."""

    async def act(log: _Log) -> int:
        from sild.protocol.evidence.loghead import StampedHead, write_stamped_head

        stamped = None if asked.current else await log.tree.find_stamped_head()
        found = stamped or StampedHead(await log.tree.head())
        _write(asked.out, write_stamped_head(found), asked.json)
        if not asked.json:
            print(_head_text(found))
        return 0

    return _run(asked, act)


def run_prove(asked: argparse.Namespace) -> int:
    """Write a proof that a message is in the log."""

    async def act(log: _Log) -> int:
        from sild.protocol.evidence.logproof import write_proof

        head = None if asked.head is None else read_head_file(asked.head)
        proof = await log.tree.prove(asked.query_id, log.store.get_record, head)
        _write(asked.out, write_proof(proof), asked.out is None)
        if asked.out is not None:
            count = len(proof.records)
            print(f"{count} record{'s' * (count > 1)}, {_head_text(proof.head)}")
        return 0

    return _run(asked, act)


def run_consistency(asked: argparse.Namespace) -> int:
    """Write a proof that the log only grew."""

    async def act(log: _Log) -> int:
        from sild.protocol.evidence.loghead import StampedHead
        from sild.protocol.evidence.logproof import write_proof

        first = read_head_file(asked.first)
        if asked.second is None:
            stamped = await log.tree.find_stamped_head()
            is_later = stamped is not None and stamped.head.size >= first.head.size
            second = stamped if stamped and is_later else StampedHead(await log.tree.head())
        else:
            second = read_head_file(asked.second)
        proof = await log.tree.prove_growth(first, second)
        _write(asked.out, write_proof(proof), asked.out is None)
        if asked.out is not None:
            print(f"grown from {first.head.size} records: {_head_text(second)}")
        return 0

    return _run(asked, act)


def run_audit(asked: argparse.Namespace) -> int:
    """Find what was changed, and tell it."""

    async def act(log: _Log) -> int:
        from sild.components.messagelog.audit import Known, audit_log
        from sild.components.messagelog.journal_audit import audit_journals
        from sild.servers.layout import Layout

        heads = {f"head in {path}": read_head_file(path).head for path in asked.head}
        messages = {str(path): _message_of(path) for path in asked.container}
        known = Known(heads, messages, _tsas(asked.home))
        report = await audit_log(log.database, log.cipher, known)
        journals = await audit_journals(Layout(asked.home.absolute()).journals, log.store)
        if asked.json:
            print(json.dumps(_as_json(report, journals), indent=2))
        else:
            _tell(report, journals)
        return _FAILED if report.findings or journals.findings else 0

    return _run(asked, act)


def _run(asked: argparse.Namespace, act: Callable[["_Log"], Awaitable[int]]) -> int:
    """Do it on the log of the server, which may be running."""
    from sild.components.messagelog.errors import MessageLogError
    from sild.protocol.errors import ProtocolError
    from sild.runtime.database import DatabaseError
    from sild.runtime.files import FileError
    from sild.runtime.settings import SettingsError

    try:
        return asyncio.run(_on_log(asked.home.absolute(), act))
    except MessageLogError as error:
        print(f"sild log: {error.message}", file=sys.stderr)
        return _FAILED
    except (ProtocolError, DatabaseError, FileError, SettingsError, OSError, _Unreadable) as error:
        print(f"sild log: {error}", file=sys.stderr)
        return _UNKNOWN


async def _on_log(home: Path, act: Callable[["_Log"], Awaitable[int]]) -> int:
    from sild.components.messagelog.encryption import open_cipher
    from sild.components.messagelog.store import MessageStore
    from sild.components.messagelog.transparency import LogTree
    from sild.servers.databases import open_message_database
    from sild.servers.layout import Layout
    from sild.servers.settings import read_server_settings

    layout = Layout(home)
    settings = read_server_settings(layout)
    log = settings.message_log
    # It would be made.
    is_file = log.database is None and settings.server.database is None
    if is_file and not layout.message_database.is_file():
        raise _Unreadable(f"{layout.home} holds no message log")
    async with open_message_database(layout, settings) as database:
        cipher = open_cipher(log)
        return await act(_Log(database, MessageStore(database, cipher), LogTree(database), cipher))


def read_head_file(path: Path) -> "StampedHead":
    """The head in a head file, or the newest in a proof; raises MalformedEvidence, OSError."""
    from sild.protocol.evidence.errors import MalformedEvidence
    from sild.protocol.evidence.loghead import read_stamped_head
    from sild.protocol.evidence.logproof import read_proof
    from sild.runtime.files import read_bounded

    data = read_bounded(path, _LARGEST)
    with suppress(MalformedEvidence):
        return read_proof(data).newest_head
    return read_stamped_head(data)


def _message_of(path: Path) -> bytes:
    from sild.components.messagelog.audit import message_digest
    from sild.protocol.asic.container import read_container
    from sild.runtime.files import read_bounded

    return message_digest(read_container(read_bounded(path, _LARGEST)).message)


def _tsas(home: Path) -> "tuple[ApprovedTsa, ...]":
    """Whom the server's configuration approves to stamp; nobody where it has none."""
    from sild.components.confclient.cache import read_verification_conf
    from sild.protocol.errors import ProtocolError
    from sild.servers.layout import Layout

    try:
        trusts = read_verification_conf(Layout(home.absolute()).globalconf / "current")
    except (ProtocolError, OSError):
        return ()
    return tuple(tsa for trust in trusts.values() for tsa in trust.tsas)


def _write(path: Path | None, content: bytes, to_output: bool) -> None:
    if path is not None:
        path.write_bytes(content)
    if to_output:
        sys.stdout.write(content.decode("utf-8"))


def _head_text(stamped: "StampedHead") -> str:
    from sild.protocol.pki.timestamp import read_timestamp_token

    head, when = stamped.head, "not time-stamped"
    if stamped.stamp is not None:
        at = read_timestamp_token(stamped.stamp.token).gen_time
        when = f"time-stamped {at:%Y-%m-%d %H:%M:%S} UTC"
    return f"head of {head.size} records, root {head.root.hex()}, {when}"


def _as_json(report: "AuditReport", journals: "JournalReport") -> dict[str, Any]:
    findings = (*report.findings, *journals.findings)
    return {
        "verdict": "altered" if findings else "intact",
        "size": report.head.size,
        "root": report.head.root.hex(),
        "records": report.records,
        "cleaned": report.cleaned,
        "older": report.older,
        "heads": report.heads,
        "verified_heads": report.verified_heads,
        "journals": journals.journals,
        "journal_entries": journals.entries,
        "findings": [
            {"kind": each.kind.value, "record_id": each.record_id, "text": each.text}
            for each in findings
        ],
    }


def _tell(report: "AuditReport", journals: "JournalReport") -> None:
    print(f"The tree has {report.head.size} records, root {report.head.root.hex()}.")
    print(
        f"Compared: {report.records} records with their leaves; {report.heads} heads, the"
        f" time-stamps of {report.verified_heads} verified."
    )
    print(f"Read: {journals.journals} journals with {journals.entries} entries.")
    if report.cleaned:
        print(f"{report.cleaned} records were cleaned away by the log itself: see its archives.")
    if report.older:
        print(f"{report.older} records are older than the tree and not in it.")
    findings = (*report.findings, *journals.findings)
    for finding in findings:
        print(f"{finding.kind.value.upper()}: {finding.text}")
    print("Something was changed." if findings else "All is as it was.")
