from dataclasses import replace
from datetime import timedelta

import pytest
from asn1crypto import ocsp as asn1_ocsp
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from hypothesis import given
from hypothesis import strategies as st

from pki_builder import NOON, SIGNING, TestCa, name_of
from sild.protocol.errors import CertValidation, IncorrectValidationInfo
from sild.protocol.pki.ocsp import (
    OcspStatus,
    build_ocsp_request,
    find_response_for,
    is_fresh,
    read_ocsp_response,
    verify_ocsp,
)
from sild.protocol.pki.signed import Strength
from sild.protocol.pki.trust import OcspPolicy

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
CA = TestCa.create()
SIGNER = CA.issue_sign().certificate
OTHER = CA.issue_sign().certificate
TRUST = CA.trust()


def verify(data, *, ca=CA, certificate=SIGNER, trust=TRUST, at=NOON):
    return verify_ocsp(read_ocsp_response(data), certificate, ca.certificate, trust, at)


def test_a_response_signed_by_the_ca_proves_that_a_certificate_is_good():
    proof = verify(CA.ocsp(SIGNER))
    assert proof.signer == CA.certificate
    assert proof.stale_at == NOON + HOUR


@pytest.mark.parametrize("kind", ["ec384", "rsa"])
@pytest.mark.parametrize("by_name", [True, False])
@pytest.mark.parametrize("embed", [True, False])
def test_the_ca_may_be_named_by_name_or_key_and_need_not_be_embedded(kind, by_name, embed):
    ca = TestCa.create(kind=kind)
    signer = ca.issue_sign().certificate
    data = ca.ocsp(signer, by_name=by_name, embed=embed)
    assert verify(data, ca=ca, certificate=signer, trust=ca.trust())


def test_reading_the_same_bytes_again_gives_the_same_object():
    data = CA.ocsp(SIGNER)
    assert read_ocsp_response(data) is read_ocsp_response(bytes(bytearray(data)))


def test_a_revoked_certificate_is_refused():
    response = read_ocsp_response(CA.ocsp(SIGNER, status="revoked"))
    assert response.status is OcspStatus.REVOKED
    with pytest.raises(CertValidation, match="revoked"):
        verify_ocsp(response, SIGNER, CA.certificate, TRUST, NOON)


def test_a_certificate_of_unknown_status_is_refused():
    with pytest.raises(CertValidation, match="unknown"):
        verify(CA.ocsp(SIGNER, status="unknown"))


def test_a_response_is_fresh_for_an_hour_and_no_second_longer():
    data = CA.ocsp(SIGNER)
    assert verify(data, at=NOON + HOUR)
    with pytest.raises(IncorrectValidationInfo, match="too old"):
        verify(data, at=NOON + HOUR + SECOND)


def test_freshness_is_the_policy_s():
    trust = CA.trust(ocsp_policy=OcspPolicy(freshness_seconds=10))
    with pytest.raises(IncorrectValidationInfo, match="too old"):
        verify(CA.ocsp(SIGNER), trust=trust, at=NOON + 11 * SECOND)


def test_a_passed_next_update_is_refused_unless_the_policy_says_otherwise():
    data = CA.ocsp(SIGNER, next_update=NOON + 60 * SECOND)
    assert verify(data, at=NOON + 60 * SECOND).stale_at == NOON + 60 * SECOND
    with pytest.raises(IncorrectValidationInfo, match="nextUpdate"):
        verify(data, at=NOON + 61 * SECOND)
    lax = CA.trust(ocsp_policy=OcspPolicy(verify_next_update=False))
    assert verify(data, trust=lax, at=NOON + 61 * SECOND).stale_at == NOON + HOUR


def test_a_next_update_beyond_freshness_does_not_keep_a_response_fresh():
    assert verify(CA.ocsp(SIGNER, next_update=NOON + 9 * HOUR)).stale_at == NOON + HOUR


def test_a_response_of_the_future_is_refused_beyond_a_minute_of_skew():
    assert verify(CA.ocsp(SIGNER), at=NOON - 60 * SECOND)
    with pytest.raises(IncorrectValidationInfo, match="future"):
        verify(CA.ocsp(SIGNER), at=NOON - 61 * SECOND)


def test_a_response_produced_in_the_future_is_refused():
    with pytest.raises(IncorrectValidationInfo, match="future"):
        verify(CA.ocsp(SIGNER, produced_at=NOON + HOUR))


def test_is_fresh_agrees_with_verification():
    response = read_ocsp_response(CA.ocsp(SIGNER))
    assert is_fresh(response, OcspPolicy(), NOON + HOUR)
    assert not is_fresh(response, OcspPolicy(), NOON + HOUR + SECOND)
    assert not is_fresh(response, OcspPolicy(), NOON - 61 * SECOND)


def test_a_response_about_another_certificate_is_refused():
    with pytest.raises(IncorrectValidationInfo, match="not about"):
        verify(CA.ocsp(OTHER))


def test_a_response_about_the_same_serial_of_another_ca_is_refused():
    twin = TestCa.create(number=5)
    with pytest.raises(IncorrectValidationInfo, match="not about"):
        verify(CA.ocsp(SIGNER, issuer=twin.certificate))


def test_a_response_signed_by_another_key_is_refused():
    twin = TestCa.create(number=5)
    data = twin.ocsp(SIGNER, issuer=CA.certificate, by_name=True)
    with pytest.raises(IncorrectValidationInfo, match="signature"):
        verify(data)


def test_a_spoiled_signature_is_refused():
    good = read_ocsp_response(CA.ocsp(SIGNER))
    spoiled = replace(good, signed=replace(good.signed, data=good.signed.data + b"x"))
    with pytest.raises(IncorrectValidationInfo, match="does not match"):
        verify_ocsp(spoiled, SIGNER, CA.certificate, TRUST, NOON)


def test_an_appointed_responder_is_accepted():
    responder = CA.issue_ocsp_signer()
    assert verify(CA.ocsp(SIGNER, signer=responder)).signer == responder.certificate


def test_an_appointed_responder_must_come_with_its_certificate():
    with pytest.raises(IncorrectValidationInfo, match="no certificate"):
        verify(CA.ocsp(SIGNER, signer=CA.issue_ocsp_signer(), embed=False))


def test_a_responder_that_is_not_for_ocsp_is_refused():
    signer = CA.issue_ocsp_signer(usage=SIGNING)
    with pytest.raises(IncorrectValidationInfo, match="not authorised"):
        verify(CA.ocsp(SIGNER, signer=signer))


def test_a_responder_appointed_by_another_ca_is_refused():
    stranger = TestCa.create("Stranger").issue_ocsp_signer()
    with pytest.raises(IncorrectValidationInfo, match="not issued by"):
        verify(CA.ocsp(SIGNER, signer=stranger))


def test_a_responder_appointed_by_an_impostor_of_the_ca_is_refused():
    impostor = TestCa.create(number=5).issue_ocsp_signer()
    with pytest.raises(IncorrectValidationInfo, match="does not match"):
        verify(CA.ocsp(SIGNER, signer=impostor))


@pytest.mark.parametrize(
    "wish",
    [{"not_after": NOON - SECOND}, {"not_before": NOON + SECOND}],
    ids=["expired", "not yet valid"],
)
@pytest.mark.parametrize("listed", [True, False])
def test_a_responder_out_of_its_validity_is_refused(wish, listed):
    responder = CA.issue_ocsp_signer(**wish)
    trust = CA.trust(responders=(responder.certificate,)) if listed else TRUST
    with pytest.raises(IncorrectValidationInfo, match="validity"):
        verify(CA.ocsp(SIGNER, signer=responder), trust=trust)


@pytest.mark.parametrize("embed", [True, False])
def test_a_responder_that_the_global_configuration_lists_is_accepted(embed):
    listed = TestCa.create("Stranger").issue_ocsp_signer(usage=SIGNING)
    trust = CA.trust(responders=(listed.certificate,))
    assert verify(CA.ocsp(SIGNER, signer=listed, embed=embed), trust=trust)


def test_a_responder_that_is_listed_for_another_ca_is_refused():
    stranger = TestCa.create("Stranger")
    listed = stranger.issue_ocsp_signer(usage=SIGNING)
    trust = replace(TRUST, cas=(CA.approved(), stranger.approved(responders=(listed.certificate,))))
    with pytest.raises(IncorrectValidationInfo, match="not authorised"):
        verify(CA.ocsp(SIGNER, signer=listed), trust=trust)


def test_a_responder_listed_for_a_ca_counts_for_its_renewed_certificate():
    renewed = TestCa.create()
    assert renewed.certificate != CA.certificate
    listed = TestCa.create("Stranger").issue_ocsp_signer()
    trust = replace(TRUST, cas=(renewed.approved(responders=(listed.certificate,)), CA.approved()))
    assert verify(CA.ocsp(SIGNER, signer=listed), trust=trust)


def test_sha1_signatures_are_only_accepted_for_history():
    data = CA.ocsp(SIGNER, digest=hashes.SHA1())
    assert verify(data, trust=replace(TRUST, strength=Strength.HISTORIC))
    with pytest.raises(IncorrectValidationInfo, match="sha1"):
        verify(data)


def test_the_response_for_a_certificate_is_found_among_many():
    responses = [read_ocsp_response(CA.ocsp(c)) for c in (OTHER, SIGNER)]
    assert find_response_for(SIGNER, CA.certificate, responses) is responses[1]
    assert find_response_for(SIGNER, CA.certificate, responses[:1]) is None


def test_a_responder_s_refusal_to_answer_is_no_response():
    refusal = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER)
    with pytest.raises(IncorrectValidationInfo, match="try_later"):
        read_ocsp_response(refusal.public_bytes(Encoding.DER))


def changed(change):
    answer = asn1_ocsp.OCSPResponse.load(CA.ocsp(SIGNER))
    basic = answer["response_bytes"]["response"].parsed
    change(basic["tbs_response_data"])
    again = asn1_ocsp.BasicOCSPResponse.load(basic.dump(force=True))
    answer["response_bytes"]["response"] = again
    return answer.dump(force=True)


def critical(extension_id):
    return {"extn_id": extension_id, "critical": True, "extn_value": b"\x05\x00"}


def test_a_critical_extension_is_refused():
    def of_response(signed_part):
        signed_part["response_extensions"] = [critical("1.2.3.4")]

    def of_answer(signed_part):
        signed_part["responses"][0]["single_extensions"] = [critical("1.2.3.4")]

    for change in (of_response, of_answer):
        with pytest.raises(IncorrectValidationInfo, match="critical"):
            read_ocsp_response(changed(change))


def test_a_certificate_id_by_md5_is_refused():
    def change(signed_part):
        signed_part["responses"][0]["cert_id"]["hash_algorithm"] = {"algorithm": "md5"}

    with pytest.raises(IncorrectValidationInfo, match="md5"):
        read_ocsp_response(changed(change))


def test_a_response_without_answers_is_refused():
    def change(signed_part):
        signed_part["responses"] = []

    with pytest.raises(IncorrectValidationInfo):
        read_ocsp_response(changed(change))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_refused(data):
    with pytest.raises(IncorrectValidationInfo):
        read_ocsp_response(data)


GOOD = CA.ocsp(SIGNER)


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_no_damaged_response_proves_anything_else(position, byte):
    data = bytearray(GOOD)
    data[position] = byte
    try:
        proof = verify(bytes(data))
    except (IncorrectValidationInfo, CertValidation):
        return
    assert proof.response.signed.data == read_ocsp_response(GOOD).signed.data


LISTED = CA.issue_ocsp_signer()


@pytest.mark.parametrize("signer", [CA.as_responder, LISTED], ids=["the CA", "an appointed one"])
def test_an_embedded_certificate_that_was_changed_is_refused(signer):
    """No signature of the response covers it, but it is kept as evidence."""
    data = CA.ocsp(SIGNER, signer=signer)
    begin = data.index(signer.certificate.der)
    for position in range(begin - 8, len(data), 7):
        spoiled = data[:position] + bytes((data[position] ^ 1,)) + data[position + 1 :]
        with pytest.raises(IncorrectValidationInfo):
            verify(spoiled)


def with_certificates(*certificates):
    answer = asn1_ocsp.OCSPResponse.load(CA.ocsp(SIGNER))
    basic = answer["response_bytes"]["response"].parsed
    basic["certs"] = [asn1_x509.Certificate.load(each.der) for each in certificates]
    again = asn1_ocsp.BasicOCSPResponse.load(basic.dump(force=True))
    answer["response_bytes"]["response"] = again
    return answer.dump(force=True)


def test_embedded_certificates_may_lead_to_a_root_of_their_own():
    stranger = TestCa.create("Stranger")
    verify(
        with_certificates(CA.certificate, stranger.issue_sign().certificate, stranger.certificate)
    )


def test_an_embedded_certificate_signed_by_nobody_is_refused():
    stranger = TestCa.create("Stranger").issue_sign().certificate
    with pytest.raises(IncorrectValidationInfo, match="not signed by"):
        verify(with_certificates(CA.certificate, stranger))


def test_a_response_over_the_size_limit_is_refused():
    with pytest.raises(IncorrectValidationInfo, match="too long"):
        read_ocsp_response(b"\x30" * 200_000)


@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_a_request_asks_about_the_certificate_by_sha1(kind):
    ca = TestCa.create(kind=kind)
    signer = ca.issue_sign().certificate
    built = ocsp.OCSPRequestBuilder().add_certificate(
        signer.x509, ca.certificate.x509, hashes.SHA1()
    )
    request = build_ocsp_request(signer, ca.certificate)
    assert request == built.build().public_bytes(Encoding.DER)
    assert ocsp.load_der_ocsp_request(request).serial_number == signer.serial


def test_a_responder_may_write_its_name_backwards():
    responder = CA.issue(name_of(C="EE", O="Tests", CN="OCSP"), usage="ocsp")
    backwards = CA.issue(name_of(CN="OCSP", O="Tests", C="EE"), usage="ocsp")
    assert responder.key is backwards.key
    trust = CA.trust(responders=(responder.certificate,))
    data = CA.ocsp(SIGNER, signer=backwards, by_name=True, embed=False)
    assert verify(data, trust=trust).signer == responder.certificate
