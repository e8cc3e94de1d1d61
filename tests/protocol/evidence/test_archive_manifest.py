from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pki_builder import NOON, TestCa, TestTsa
from protocol.asic.test_verify import SIGNER, TRUSTS, TWO, stamped, stamped_together
from sild.protocol.algorithms import DigestAlgorithm, UnsupportedAlgorithm
from sild.protocol.asic.augment import with_entries
from sild.protocol.asic.container import read_container, read_entries, write_container
from sild.protocol.asic.verify import verify_container
from sild.protocol.errors import MalformedSignature, ProtocolError, TspCertificateNotFound
from sild.protocol.evidence.archive_manifest import (
    NEWEST,
    ArchiveManifest,
    Reference,
    prepare_renewal,
    read_archive_manifest,
    verify_renewals,
    write_archive_manifest,
)
from sild.protocol.evidence.errors import EvidenceChanged, MalformedEvidence, RenewedTooLate
from sild.protocol.evidence.renewal import RenewalTrust, check_in_time
from sild.protocol.pki.signed import Strength
from sild.protocol.pki.timestamp import read_timestamp_token, verify_timestamp

TSA = TestTsa.create()
SHORT = TestTsa.create(
    "Short TSA", not_before=NOON - timedelta(days=1), not_after=NOON + timedelta(days=30)
)
STRANGER = TestTsa.create("Stranger", ca=TestCa.create("Another CA"))
TSAS = (TSA.approved(), SHORT.approved())
LATER = NOON + timedelta(days=20)
TRUST = RenewalTrust(TSAS, NOON + timedelta(days=100))
PLAIN = {"mimetype": b"a", "message.xml": b"b", "META-INF/signatures.xml": b"c", "attachment1": b""}


def renewed(entries, *, tsa=TSA, at=NOON, algorithm=DigestAlgorithm.SHA512, **stamp):
    """The entries of a container after one more renewal."""
    prepared = prepare_renewal(entries, algorithm)
    named = {prepared.renamed.get(name, name): data for name, data in entries.items()}
    return named | prepared.finish(tsa.token(prepared.manifest, at=at, **stamp))


ONCE = renewed(PLAIN, tsa=SHORT)
TWICE = renewed(ONCE, at=LATER)
THRICE = renewed(TWICE, at=LATER + timedelta(days=1), algorithm=DigestAlgorithm.SHA256)


def test_a_container_that_was_never_renewed_has_no_renewals():
    assert verify_renewals(PLAIN, TRUST) == ()


def test_renewals_are_followed_from_the_newest_to_the_first():
    assert {name: THRICE[name] for name in PLAIN} == PLAIN
    found = verify_renewals(THRICE, TRUST)
    assert [each.stamped_at for each in found] == [NOON, LATER, LATER + timedelta(days=1)]
    assert [each.name for each in found] == [
        "META-INF/ASiCArchiveManifest1.xml",
        "META-INF/ASiCArchiveManifest2.xml",
        NEWEST,
    ]
    assert found[0].protected_until == SHORT.signer.certificate.not_after
    assert found[-1].protected_until == TSA.signer.certificate.not_after
    assert set(THRICE) - set(PLAIN) == {
        *(each.name for each in found),
        *(f"META-INF/archive_timestamp{number}.tst" for number in (1, 2, 3)),
    }


@pytest.mark.parametrize("name", sorted(THRICE))
def test_every_entry_is_protected(name):
    with pytest.raises(ProtocolError):
        verify_renewals(THRICE | {name: THRICE[name] + b" "}, TRUST)
    without = {key: data for key, data in THRICE.items() if key != name}
    with pytest.raises((EvidenceChanged, MalformedEvidence)):
        verify_renewals(without, TRUST)


def test_an_entry_that_was_put_in_later_is_not_protected():
    with pytest.raises(EvidenceChanged, match="does not cover attachment2"):
        verify_renewals(TWICE | {"attachment2": b"new"}, TRUST)


def test_an_older_renewal_that_is_cut_off_from_the_newest_is_refused():
    for apart in ("META-INF/ASiCArchiveManifest9.xml", "META-INF/archive_timestamp9.tst"):
        entries = renewed(PLAIN | {apart: b"apart"})
        with pytest.raises(EvidenceChanged, match="no newer archive manifest renews"):
            verify_renewals(entries, TRUST)


def test_a_newer_renewal_cannot_be_named_by_an_older_one():
    first = read_archive_manifest(TWICE["META-INF/ASiCArchiveManifest1.xml"])
    assert {each.name for each in first.references} == set(PLAIN)
    looped = write_archive_manifest(
        ArchiveManifest(
            first.token,
            (*first.references, Reference(NEWEST, DigestAlgorithm.SHA512, b"", is_renewed=True)),
        )
    )
    with pytest.raises(EvidenceChanged):
        verify_renewals(ONCE | {NEWEST: looped}, TRUST)


def test_a_renewal_by_nobody_known_is_refused():
    with pytest.raises(TspCertificateNotFound):
        verify_renewals(renewed(ONCE, tsa=STRANGER), TRUST)


def test_a_token_over_something_else_is_refused():
    prepared = prepare_renewal(PLAIN)
    with pytest.raises(MalformedSignature, match="over other bytes"):
        verify_renewals(PLAIN | prepared.finish(TSA.token(b"else")), TRUST)


def test_a_renewal_after_the_end_of_what_it_renews_is_too_late():
    ended = NOON + timedelta(days=31)
    with pytest.raises(RenewedTooLate, match="had ended"):
        verify_renewals(renewed(ONCE, at=ended), TRUST)
    verify_renewals(renewed(ONCE, at=NOON + timedelta(days=29)), TRUST)


def test_a_renewal_from_before_what_it_renews_is_refused():
    with pytest.raises(RenewedTooLate, match="and what it renews is of"):
        verify_renewals(renewed(ONCE, at=NOON - timedelta(seconds=1)), TRUST)


def test_a_weak_time_stamp_counts_if_it_was_renewed_while_it_was_strong():
    weak = renewed(PLAIN, digest="sha1", at=NOON)
    strong = renewed(weak, at=LATER)

    def broken_after(moment):
        return lambda at: Strength.HISTORIC if at <= moment else Strength.CURRENT

    assert len(verify_renewals(strong, RenewalTrust(TSAS, TRUST.now, broken_after(LATER)))) == 2
    for entries, broken in ((strong, NOON), (weak, LATER)):
        with pytest.raises(MalformedSignature, match="too weak"):
            verify_renewals(entries, RenewalTrust(TSAS, TRUST.now, broken_after(broken)))
    with pytest.raises(MalformedSignature, match="too weak"):
        verify_renewals(strong, TRUST)


def test_what_was_strong_is_known_by_the_year():
    trust = RenewalTrust(TSAS, NOON)
    assert trust.strength_at(datetime(2013, 12, 31, tzinfo=UTC)) is Strength.HISTORIC
    assert trust.strength_at(datetime(2014, 1, 1, tzinfo=UTC)) is Strength.CURRENT


@pytest.mark.parametrize("stamp", [stamped, stamped_together])
def test_a_verifier_that_knows_no_renewals_says_what_it_said_before(stamp):
    (signed,) = SIGNER.sign(TWO)
    data = write_container(stamp(signed, TWO), NOON)
    report = verify_container(read_container(data), TRUSTS)
    for at in (LATER, LATER + timedelta(days=1)):
        entries = read_entries(data)
        prepared = prepare_renewal(entries)
        added = prepared.finish(TSA.token(prepared.manifest, at=at))
        data = with_entries(data, added, prepared.renamed, at)
    assert verify_container(read_container(data), TRUSTS) == report
    assert [each.stamped_at for each in verify_renewals(read_entries(data), TRUST)] == [
        LATER,
        LATER + timedelta(days=1),
    ]


def test_the_first_renewal_must_come_while_the_containers_own_stamp_counts():
    stamp = verify_timestamp(read_timestamp_token(SHORT.token(b"x")), b"x", TSAS)
    check_in_time(stamp, NOON + timedelta(days=29), "the renewal")
    with pytest.raises(RenewedTooLate):
        check_in_time(stamp, NOON + timedelta(days=31), "the renewal")


_NAMES = st.text("abc ./-_", min_size=1, max_size=8)


@given(st.dictionaries(_NAMES, st.binary(max_size=5), min_size=1), _NAMES)
def test_a_manifest_comes_back(entries, token):
    references = tuple(
        Reference(name, DigestAlgorithm.SHA256, DigestAlgorithm.SHA256.digest(data))
        for name, data in entries.items()
    )
    manifest = ArchiveManifest(token, references)
    assert read_archive_manifest(write_archive_manifest(manifest)) == manifest


@given(st.data())
def test_any_manifest_is_verified_or_refused(data):
    written = bytearray(TWICE[NEWEST])
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(written) - 1))
        written[place] = data.draw(st.integers(0, 255))
    changed = bytes(written)
    if changed != TWICE[NEWEST]:
        with pytest.raises(ProtocolError):
            verify_renewals(TWICE | {NEWEST: changed}, TRUST)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"ASiCManifest", b"Manifest"),
        (b"SigReference", b"Reference"),
        (b"xmlenc#sha512", b"xmlenc#md5"),
        (b"http://www.w3.org/2001/04/xmlenc#sha512", b"http://www.w3.org/2000/09/xmldsig#sha1"),
        (b"DigestValue>", b"DigestValue>?"),
        (b'URI="mimetype"', b'URI="message.xml"'),
        (b'URI="mimetype"', b'URI="mimetype" Rootfile="true"'),
    ],
)
def test_a_manifest_that_cannot_be_read_is_refused(before, after):
    with pytest.raises(MalformedEvidence):
        read_archive_manifest(TWICE[NEWEST].replace(before, after))


def test_nothing_is_renewed_with_a_weak_digest():
    with pytest.raises(UnsupportedAlgorithm):
        prepare_renewal(PLAIN, DigestAlgorithm.SHA1)


def test_a_container_is_renewed_at_most_a_hundred_times():
    full = {f"META-INF/archive_timestamp{number}.tst": b"" for number in range(1, 101)}
    with pytest.raises(MalformedEvidence, match="at most 100"):
        prepare_renewal(PLAIN | full)
