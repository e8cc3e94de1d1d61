import contextlib
import hashlib
from dataclasses import replace
from datetime import timedelta

import pytest
from asn1crypto import cms, tsp
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from pki_builder import NOON, NOTHING, SIGNING, TestCa, TestTsa
from sild.protocol.algorithms import DigestAlgorithm
from sild.protocol.errors import (
    MalformedSignature,
    ProtocolError,
    TimestampRefused,
    TspCertificateNotFound,
)
from sild.protocol.pki import der
from sild.protocol.pki.signed import Strength
from sild.protocol.pki.timestamp import (
    build_timestamp_request,
    read_timestamp_response,
    read_timestamp_token,
    verify_timestamp,
    with_certificate,
)

SECOND = timedelta(seconds=1)
DATA = b"what existed"
TSA = TestTsa.create()
TSAS = (TSA.approved(),)
GOOD = TSA.token(DATA)


def verify(token, *, data=DATA, tsas=TSAS, strength=Strength.CURRENT):
    return verify_timestamp(read_timestamp_token(token), data, tsas, strength)


def test_a_token_proves_when_its_data_existed():
    proof = verify(GOOD)
    assert proof.gen_time == NOON
    assert proof.tsa == TSAS[0]


@pytest.mark.parametrize("kind", ["ec", "ec384", "rsa"])
@pytest.mark.parametrize("named", ["v1", "v2"])
def test_a_token_of_any_usual_key_naming_its_certificate_either_way_is_accepted(kind, named):
    tsa = TestTsa.create(kind=kind)
    assert verify(tsa.token(DATA, signing_certificate=named), tsas=(tsa.approved(),))


def test_a_token_over_other_data_is_refused():
    with pytest.raises(MalformedSignature, match="other bytes"):
        verify(GOOD, data=DATA + b"!")


def test_a_token_over_a_weak_digest_is_only_accepted_for_history():
    token = TSA.token(DATA, digest="sha1")
    assert verify(token, strength=Strength.HISTORIC)
    with pytest.raises(MalformedSignature, match="weak"):
        verify(token)
    with pytest.raises(MalformedSignature, match="weak"):
        verify(TSA.token(DATA, digest="md5"), strength=Strength.HISTORIC)


def test_a_token_of_an_authority_that_is_not_approved_is_refused():
    other = TestTsa.create("Other TSA")
    for tsas in ((), (other.approved(),)):
        with pytest.raises(TspCertificateNotFound):
            verify(GOOD, tsas=tsas)


def test_the_authority_is_found_among_several():
    other = TestTsa.create("Other TSA", number=4)
    assert verify(GOOD, tsas=(other.approved(), *TSAS)).tsa == TSAS[0]


def test_a_spoiled_signature_is_refused():
    with pytest.raises(TimestampRefused, match="not match"):
        verify(TSA.token(DATA, spoil_signature=True))


def test_a_token_signed_by_another_key_is_refused():
    impostor = TestTsa(replace(TSA.signer, key=TestTsa.create(number=8).signer.key))
    with pytest.raises(TimestampRefused, match="not match"):
        verify(impostor.token(DATA))


def test_a_token_whose_signed_digest_is_of_other_content_is_refused():
    with pytest.raises(TimestampRefused, match="signed digest"):
        read_timestamp_token(TSA.token(DATA, message_digest=bytes(32)))


def test_a_token_that_does_not_name_its_certificate_is_refused():
    with pytest.raises(TimestampRefused, match="does not name"):
        read_timestamp_token(TSA.token(DATA, signing_certificate="none"))


@pytest.mark.parametrize("form", ["v1", "v2"])
def test_a_token_that_names_another_certificate_is_refused(form):
    other = TestTsa.create("Other TSA").signer.certificate
    with pytest.raises(TimestampRefused, match="names another"):
        verify(TSA.token(DATA, signing_certificate=form, named=other))


def test_a_token_may_name_the_issuer_and_serial_of_its_certificate_but_rightly():
    ca = TestCa.create("TSA CA")
    tsa = TestTsa.create(ca=ca)
    tsas, serial = (tsa.approved(),), tsa.signer.certificate.serial
    for form in ("v1", "v2"):
        named = {"signing_certificate": form}
        right = tsa.token(DATA, issuer_and_serial=(ca.certificate, serial), **named)
        assert verify(right, tsas=tsas)
        other = TestCa.create("Other CA").certificate
        for wrong in ((ca.certificate, serial + 1), (other, serial)):
            with pytest.raises(TimestampRefused, match="names another"):
                verify(tsa.token(DATA, issuer_and_serial=wrong, **named), tsas=tsas)


@pytest.mark.parametrize("stated", [None, "data"])
def test_a_token_whose_signed_attributes_state_another_type_is_refused(stated):
    with pytest.raises(TimestampRefused, match="state its type"):
        read_timestamp_token(TSA.token(DATA, stated_type=stated))


def test_a_critical_extension_is_refused():
    with pytest.raises(TimestampRefused, match="critical"):
        read_timestamp_token(TSA.token(DATA, critical_extension=True))


@pytest.mark.parametrize(("weak", "strength"), [("sha1", "CURRENT"), ("md5", "HISTORIC")])
def test_a_weak_digest_of_the_content_is_refused(weak, strength):
    with pytest.raises(TimestampRefused, match=weak):
        verify(TSA.token(DATA, content_digest=weak), strength=Strength[strength])


def test_signed_data_that_is_no_timestamp_is_refused():
    with pytest.raises(TimestampRefused, match="no time-stamp"):
        read_timestamp_token(TSA.token(DATA, content_type="data"))


def test_an_authority_whose_certificate_is_for_other_things_is_refused():
    tsa = TestTsa.create(usage=SIGNING, extended=(ExtendedKeyUsageOID.CLIENT_AUTH,))
    with pytest.raises(TimestampRefused, match="not for time-stamping"):
        verify(tsa.token(DATA), tsas=(tsa.approved(),))


def test_an_authority_whose_certificate_does_not_say_what_it_is_for_is_accepted():
    tsa = TestTsa.create(usage=NOTHING)
    assert verify(tsa.token(DATA), tsas=(tsa.approved(),))


def test_a_time_outside_the_validity_of_the_certificate_is_refused():
    tsa = TestTsa.create(not_before=NOON, not_after=NOON + SECOND)
    assert verify(tsa.token(DATA, at=NOON), tsas=(tsa.approved(),))
    for at in (NOON - SECOND, NOON + 2 * SECOND):
        with pytest.raises(TimestampRefused, match="not valid at"):
            verify(tsa.token(DATA, at=at), tsas=(tsa.approved(),))


def changed(change):
    info = cms.ContentInfo.load(GOOD)
    change(info["content"])
    return info.dump(force=True)


def test_a_token_with_two_signers_or_none_is_refused():
    signer = cms.ContentInfo.load(GOOD)["content"]["signer_infos"][0]
    for signers in ([], [signer, signer.copy()]):

        def change(signed_data, signers=signers):
            signed_data["signer_infos"] = signers

        with pytest.raises(TimestampRefused, match="one signer"):
            read_timestamp_token(changed(change))


def test_a_token_without_signed_attributes_is_refused():
    def change(signed_data):
        del signed_data["signer_infos"][0]["signed_attrs"]

    with pytest.raises(TimestampRefused):
        read_timestamp_token(changed(change))


def test_a_repeated_signed_attribute_is_refused():
    def change(signed_data):
        attributes = signed_data["signer_infos"][0]["signed_attrs"]
        attributes.append(attributes[0].copy())

    with pytest.raises(TimestampRefused, match="more than one"):
        read_timestamp_token(changed(change))


def test_a_certificate_named_by_an_odd_hash_is_refused():
    def change(signed_data):
        for attribute in signed_data["signer_infos"][0]["signed_attrs"]:
            if attribute["type"].native == "signing_certificate_v2":
                named = attribute["values"][0]["certs"][0]
                named["hash_algorithm"] = {"algorithm": "md5"}

    with pytest.raises(TimestampRefused, match="by md5"):
        read_timestamp_token(changed(change))


def test_what_is_signed_is_the_attributes_as_they_stand():
    def change(signed_data):
        attributes = signed_data["signer_infos"][0]["signed_attrs"]
        attributes.append({"type": "signing_time", "values": [cms.Time("utc_time", NOON)]})

    with pytest.raises(TimestampRefused, match="not match"):
        verify(changed(change))


def test_a_certificate_is_added_without_touching_what_is_signed():
    token = read_timestamp_token(GOOD)
    whole = with_certificate(token, TSA.signer.certificate)
    assert len(whole) > len(GOOD)
    assert verify(whole)
    assert read_timestamp_token(whole).signed == token.signed
    held = cms.ContentInfo.load(whole)["content"]["certificates"]
    assert [c.chosen.dump() for c in held] == [TSA.signer.certificate.der]


def test_a_certificate_that_is_already_there_is_not_added_again():
    embedded = TSA.token(DATA, embed=True)
    whole = with_certificate(read_timestamp_token(embedded), TSA.signer.certificate)
    assert whole == embedded


def test_other_certificates_are_kept():
    other = TestTsa.create("Other TSA").signer.certificate
    whole = with_certificate(read_timestamp_token(TSA.token(DATA, embed=True)), other)
    held = cms.ContentInfo.load(whole)["content"]["certificates"]
    assert {c.chosen.dump() for c in held} == {TSA.signer.certificate.der, other.der}


@pytest.mark.parametrize("status", ["granted", "granted_with_mods"])
def test_a_granted_answer_has_a_token(status):
    token = read_timestamp_response(TSA.response(DATA, status=status))
    assert verify_timestamp(token, DATA, TSAS)


@pytest.mark.parametrize("status", ["rejection", "waiting", "revocation_warning"])
def test_any_other_answer_is_refused(status):
    with pytest.raises(TimestampRefused, match=status):
        read_timestamp_response(TSA.response(DATA, status=status))


def test_a_granted_answer_without_a_token_is_refused():
    answer = der.sequence(der.sequence(der.integer(0)))
    with pytest.raises(TimestampRefused, match="sent none"):
        read_timestamp_response(answer)


def test_a_request_holds_a_digest_and_no_more():
    digest = hashlib.sha512(DATA).digest()
    expected = tsp.TimeStampReq(
        {
            "version": "v1",
            "message_imprint": {
                "hash_algorithm": {"algorithm": "sha512"},
                "hashed_message": digest,
            },
        }
    )
    assert build_timestamp_request(digest) == expected.dump()


def test_a_request_may_carry_a_nonce_that_comes_back():
    digest = hashlib.sha256(DATA).digest()
    request = build_timestamp_request(digest, DigestAlgorithm.SHA256, nonce=2**63)
    token = read_timestamp_response(TSA.answer(request))
    assert token.nonce == 2**63
    assert verify_timestamp(token, DATA, TSAS)
    assert read_timestamp_token(GOOD).nonce is None


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(data):
    for read in (read_timestamp_token, read_timestamp_response):
        with pytest.raises(TimestampRefused):
            read(data)


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_no_damaged_token_proves_another_time(position, byte):
    data = bytearray(GOOD)
    data[position] = byte
    with contextlib.suppress(ProtocolError):
        assert verify(bytes(data)).gen_time == NOON


def test_a_token_over_the_size_limit_is_refused():
    for read in (read_timestamp_token, read_timestamp_response):
        with pytest.raises(TimestampRefused, match="too long"):
            read(b"\x30" * 300_000)
