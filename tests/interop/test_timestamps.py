"""The time-stamp row of INDEX.tsv: a token that an old authority made for the reference."""

import base64
from datetime import UTC, datetime

import pytest

from sild.protocol.errors import MalformedSignature, TimestampRefused, TspCertificateNotFound
from sild.protocol.pki.certificate import read_certificate
from sild.protocol.pki.signed import Strength
from sild.protocol.pki.timestamp import read_timestamp_token, verify_timestamp, with_certificate
from sild.protocol.pki.trust import ApprovedTsa
from sild.protocol.safexml import child_text, read_xml


@pytest.fixture(scope="module")
def token(vectors):
    return (vectors / "timestamps" / "valid").read_bytes()


@pytest.fixture(scope="module")
def stamped(vectors):
    return (vectors / "timestamps" / "stamped-data").read_bytes()


@pytest.fixture(scope="module")
def parameters(vectors):
    path = vectors / "globalconf" / "downloaded" / "good_v2" / "EE" / "shared-params.xml"
    return read_xml(path.read_bytes())


@pytest.fixture(scope="module")
def tsas(parameters):
    return [
        ApprovedTsa(
            child_text(tsa, "name"),
            child_text(tsa, "url"),
            read_certificate(base64.b64decode(child_text(tsa, "cert"))),
        )
        for tsa in parameters.iter("approvedTSA")
    ]


def verify(token, stamped, tsas):
    # The authority's key of 1024 bits was usual in 2012.
    return verify_timestamp(read_timestamp_token(token), stamped, tsas, Strength.HISTORIC)


def test_the_token_is_valid_for_its_data(token, stamped, tsas):
    proof = verify(token, stamped, tsas)
    assert proof.gen_time == datetime(2012, 11, 29, 13, 10, 4, tzinfo=UTC)
    assert proof.tsa.certificate.subject_text == "CN=timestamp1"


def test_other_data_is_refused(token, stamped, tsas):
    changed = bytearray(stamped)
    changed[42] = 1
    with pytest.raises(MalformedSignature) as refused:
        verify(token, bytes(changed), tsas)
    assert refused.value.staged_code == "malformed_signature"


def test_responders_are_no_time_stamping_authorities(token, stamped, parameters):
    responders = [
        ApprovedTsa("OCSP", "http://x/", read_certificate(base64.b64decode(cert.text)))
        for ocsp in parameters.iter("ocsp")
        for cert in ocsp.iter("cert")
    ]
    assert responders
    with pytest.raises(TspCertificateNotFound) as refused:
        verify(token, stamped, responders)
    assert refused.value.staged_code == "mlog.tsp_certificate_not_found"


def test_its_short_key_is_not_accepted_for_new_evidence(token, stamped, tsas):
    with pytest.raises(TimestampRefused, match="1024"):
        verify_timestamp(read_timestamp_token(token), stamped, tsas)


def test_it_holds_with_the_certificate_of_its_signer_added(token, stamped, tsas):
    whole = with_certificate(read_timestamp_token(token), tsas[0].certificate)
    assert verify(whole, stamped, tsas)
