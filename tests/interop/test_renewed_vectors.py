"""Containers that the reference implementation made, renewed: every verdict stays as it was."""

from datetime import timedelta

from interop.test_asic_cli import conf_of, rows
from pki_builder import NOON, TestTsa
from sild.cli.verify_conf import read_conf
from sild.protocol.asic.augment import with_entries
from sild.protocol.asic.container import read_entries
from sild.protocol.asic.judge import judge_container
from sild.protocol.errors import AsicError
from sild.protocol.evidence.archive_manifest import prepare_renewal, verify_renewals
from sild.protocol.evidence.renewal import RenewalTrust
from sild.protocol.pki.signed import Strength

TSA = TestTsa.create()
TRUST = RenewalTrust((TSA.approved(),), NOON + timedelta(days=9))


def test_the_verdict_on_every_container_of_the_index_is_that_from_before(vectors):
    renewed = 0
    for row in rows(vectors, "asic"):
        trusts = read_conf(vectors / conf_of(vectors, row), Strength.HISTORIC)
        data = (vectors / row["file"]).read_bytes()
        before = judge_container(data, trusts)
        try:
            original = read_entries(data)
        except AsicError:
            continue
        for days in range(2):
            entries, at = read_entries(data), NOON + timedelta(days=days)
            prepared = prepare_renewal(entries)
            added = prepared.finish(TSA.token(prepared.manifest, at=at))
            data = with_entries(data, added, prepared.renamed, at)
        after = judge_container(data, trusts)
        assert read_entries(data).items() >= original.items()
        assert (after.steps, str(after.error)) == (before.steps, str(before.error)), row["file"]
        assert len(verify_renewals(read_entries(data), TRUST)) == 2
        renewed += 1
    assert renewed >= 10
