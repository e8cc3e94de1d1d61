"""Containers that the reference wrote, with the verdict that it gives on each."""

import csv
import io
import zipfile
from datetime import UTC, datetime

import pytest

from sild.protocol.algorithms import DigestAlgorithm
from sild.protocol.asic.container import read_container, write_container
from sild.protocol.asic.verify import verify_container
from sild.protocol.errors import ProtocolError
from sild.protocol.ids import ClientId
from sild.protocol.pki.certificate import read_certificate
from sild.protocol.pki.trust import (
    ApprovedCa,
    ApprovedCaCert,
    ApprovedTsa,
    OcspPolicy,
    OcspResponder,
    Trust,
)
from sild.protocol.safexml import child_text, children, find_child_text, get_child, read_xml
from sild.protocol.signature.base64text import decode_base64
from sild.protocol.signature.names import SIGNATURES, attachment

VALID = {
    "valid-signed-message": "SUBSYSTEM:DEV/COM/4321/TestClient",
    "valid-batch-ts": "SUBSYSTEM:DEV/COM/4321/TestClient",
    "valid-non-batch-rest": "SUBSYSTEM:DEV/COM/1234/TestService",
    "valid-signed-hashchain": "SUBSYSTEM:DEV/COM/4321/TestClient",
    "valid-signed-message-with-attachments": "SUBSYSTEM:DEV/COM/4321/TestClient",
}


def trust_of(conf):
    """What shared parameters say about trust, read here apart from the code that is tested."""
    root = read_xml((conf / "shared-params.xml").read_bytes())
    cas = []
    for ca in children(root, "approvedCA"):
        top = get_child(ca, "topCA")
        responders = [
            OcspResponder(child_text(ocsp, "url"), _certificate(ocsp))
            for ocsp in children(top, "ocsp")
        ]
        cas.append(
            ApprovedCa(
                name=child_text(ca, "name"),
                authentication_only=find_child_text(ca, "authenticationOnly") == "true",
                profile=child_text(ca, "certificateProfileInfo"),
                top=ApprovedCaCert(_certificate(top), tuple(responders)),
            )
        )
    tsas = [
        ApprovedTsa(child_text(tsa, "name"), child_text(tsa, "url"), _certificate(tsa))
        for tsa in children(root, "approvedTSA")
    ]
    freshness = int(child_text(get_child(root, "globalSettings"), "ocspFreshnessSeconds"))
    instance = child_text(root, "instanceIdentifier")
    return Trust(instance, tuple(cas), tuple(tsas), OcspPolicy(freshness))


def _certificate(parent):
    return read_certificate(decode_base64(child_text(parent, "cert")))


@pytest.fixture(scope="module")
def trusts(vectors):
    trust = trust_of(vectors / "globalconf/downloaded/good2_v3/DEV")
    return {trust.instance: trust}


def rows(vectors):
    with (vectors / "INDEX.tsv").open() as index:
        return {
            row["file"]: row["expected"]
            for row in csv.DictReader(index, delimiter="\t")
            if row["kind"] == "asic"
        }


def verdict(data, trusts):
    try:
        verify_container(read_container(data), trusts)
    except ProtocolError as error:
        return error.staged_code
    return "VALID"


def test_every_container_of_the_index_gets_the_verdict_of_the_reference(vectors, trusts):
    expected = rows(vectors)
    assert len(expected) == 11
    found = {name: verdict((vectors / name).read_bytes(), trusts) for name in expected}
    assert found == expected


@pytest.mark.parametrize("name", VALID)
def test_the_report_says_who_signed_and_when(vectors, trusts, name):
    container = read_container((vectors / f"asic/{name}.asice").read_bytes())
    report = verify_container(container, trusts)
    assert str(report.signer) == VALID[name]
    assert report.tsa.certificate.subject_text.startswith("CN=Test TSA")
    assert report.signed_at.year == report.timestamped_at.year == 2024
    assert [step.number for step in report.steps] == list(range(1, len(report.steps) + 1))


def test_an_attachment_that_was_not_logged_is_reported_as_unverified(vectors, trusts):
    container = read_container((vectors / "asic/valid-signed-hashchain.asice").read_bytes())
    report = verify_container(container, trusts)
    assert [part.uri for part in report.unverified] == ["/attachment1"]


def test_an_attachment_that_is_held_is_verified(vectors, trusts):
    name = "asic/valid-signed-message-with-attachments.asice"
    container = read_container((vectors / name).read_bytes())
    assert set(container.attachments) == {attachment(1), attachment(2)}
    assert verify_container(container, trusts).unverified == ()


def test_a_container_inside_an_archive_verifies(vectors):
    trust = trust_of(vectors / "messagelog/globalconf/CS")
    with zipfile.ZipFile(vectors / "archives/message-archive-0.zip") as archive:
        data = archive.read("3a2a743f-56da-4085-b643-79e335341eb3-request-1.asice")
    assert verdict(data, {trust.instance: trust}) == "VALID"


def test_no_container_verifies_by_the_trust_of_another_instance(vectors, trusts):
    data = (vectors / "asic/valid-signed-message.asice").read_bytes()
    other = trust_of(vectors / "messagelog/globalconf/CS")
    assert verdict(data, {"DEV": other}) == "mlog.tsp_certificate_not_found"
    assert verdict(data, {"CS": trusts["DEV"]}) == "internal_error"


@pytest.mark.parametrize(
    "name", ["valid-batch-ts", "valid-non-batch-rest", "valid-signed-message-with-attachments"]
)
def test_a_container_is_written_entry_for_entry_as_the_reference_wrote_it(vectors, name):
    """The manifest of the reference has no fixed order; all else is equal byte by byte."""
    data = (vectors / f"asic/{name}.asice").read_bytes()
    written = write_container(read_container(data), datetime(2024, 12, 5, 7, 34, 13, tzinfo=UTC))
    with zipfile.ZipFile(io.BytesIO(data)) as theirs, zipfile.ZipFile(io.BytesIO(written)) as ours:
        assert ours.namelist() == theirs.namelist()
        assert ours.comment == theirs.comment
        assert [(i.compress_type, i.create_system, i.external_attr) for i in ours.infolist()] == [
            (i.compress_type, i.create_system, i.external_attr) for i in theirs.infolist()
        ]
        for entry in ours.namelist():
            assert sorted(ours.read(entry).splitlines()) == sorted(theirs.read(entry).splitlines())


def test_the_digests_in_the_time_stamp_chain_are_those_of_the_signature(vectors):
    container = read_container((vectors / "asic/valid-batch-ts.asice").read_bytes())
    digest = DigestAlgorithm.SHA512.digest(container.documents[SIGNATURES])
    assert (
        decode_base64(
            child_text(
                read_xml(container.timestamp_hash_chain)[1][0],
                "{http://www.w3.org/2000/09/xmldsig#}DigestValue",
            )
        )
        == digest
    )


def test_the_signer_is_a_member_of_the_instance(vectors, trusts):
    container = read_container((vectors / "asic/valid-batch-ts.asice").read_bytes())
    assert verify_container(container, trusts).signer.member == ClientId("DEV", "COM", "4321")
