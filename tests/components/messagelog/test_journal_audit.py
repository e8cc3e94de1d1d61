import asyncio
import hashlib
import shutil

import pytest

from components.messagelog.builders import keeping, plain_record, writing
from sild.components.messagelog.audit import Kind
from sild.components.messagelog.entries import BodyEntry, SignatureEntry, write_entry
from sild.components.messagelog.index import JournalTaker
from sild.components.messagelog.intake import Intake, TakenEntry
from sild.components.messagelog.journal_audit import audit_journals
from sild.components.messagelog.reference import IMPORTED
from sild.runtime.journal import JournalLimits, Position

SMALLEST_SEGMENTS = JournalLimits(segment_bytes=1000)


async def test_journals_of_all_workers_are_read_whether_they_were_taken_or_not(tmp_path):
    async with keeping(tmp_path) as kept:
        assert (await audit_journals(kept.folder, kept.store)).journals == 0
        for name in ("worker-0", "worker-1"):
            async with writing(tmp_path, name) as writer:
                await writer.log.save(plain_record(name), None)
        for _ in range(2):
            report = await audit_journals(kept.folder, kept.store)
            assert (report.journals, report.entries, report.findings) == (2, 4, ())
            await kept.taker.take_all()


async def test_each_journal_that_is_not_as_it_was_is_named(tmp_path):
    async with keeping(tmp_path) as kept:
        for number in range(3):
            async with writing(tmp_path, f"worker-{number}") as writer:
                await writer.log.save(plain_record("a"), None)
        await kept.taker.take_all()
        (file,) = (kept.folder / "worker-0").glob("*.journal")
        file.write_bytes(file.read_bytes()[:-1])
        shutil.rmtree(kept.folder / "worker-1")
        report = await audit_journals(kept.folder, kept.store)
        assert {each.kind for each in report.findings} == {Kind.JOURNAL}
        damaged, missing = [each.text for each in report.findings]
        assert damaged.startswith(f"{file}, offset ")
        assert missing == f"{kept.folder / 'worker-1'} is missing"


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        (b"no entry", "offset 36: "),
        (
            write_entry(SignatureEntry(hashlib.sha256(b"one").digest(), b"another")),
            "offset 36: a signature is not the one that its digest names",
        ),
    ],
)
async def test_what_a_worker_never_writes_is_named(tmp_path, payload, told):
    async with keeping(tmp_path) as kept:
        async with writing(tmp_path) as writer:
            await writer.journal.append(payload)
        (finding,) = (await audit_journals(kept.folder, kept.store)).findings
        assert finding.text.startswith(f"{writer.directory}, segment 1, {told}")


async def test_what_was_imported_was_never_in_a_file(tmp_path):
    async with keeping(tmp_path) as kept:
        async with kept.store.taking(f"{IMPORTED}DEV") as taking:
            intake = Intake({})
            place = Position(1, 1)
            intake.take(TakenEntry(place, SignatureEntry(b"digest", b"document")))
            await taking.add(intake, place)
        assert (await audit_journals(kept.folder, kept.store)).journals == 0


async def test_a_server_that_runs_is_not_mistaken_for_one_that_was_tampered_with(tmp_path):
    """Segments are written, taken and released all the while."""

    async def write_on(writer, taker):
        for number in range(30):
            await writer.journal.append(write_entry(BodyEntry(f"s/{number}", bytes(3000))))
            await taker.take_all()

    async with keeping(tmp_path) as kept, writing(tmp_path, limits=SMALLEST_SEGMENTS) as writer:
        working = asyncio.create_task(write_on(writer, JournalTaker(kept.folder, kept.store)))
        audits = 0
        while not working.done():
            assert (await audit_journals(kept.folder, kept.store)).findings == ()
            audits += 1
        await working
        assert audits > 1
