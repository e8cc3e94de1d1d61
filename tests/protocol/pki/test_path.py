from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509

from pki_builder import NOON, OCSP_SIGNING, TestCa, critical_unknown_extension
from sild.protocol.errors import (
    CannotCreateCertPath,
    CertValidation,
    IncorrectCertificate,
    IncorrectValidationInfo,
    InvalidCertPath,
    UnknownCertificationAuthority,
)
from sild.protocol.pki.ocsp import read_ocsp_response
from sild.protocol.pki.path import PathUse, verify_path
from sild.protocol.pki.trust import Trust

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
CA = TestCa.create()
BELOW = TestCa.create("Below", parent=CA)
SIGNER = CA.issue_sign().certificate
SERVER = BELOW.issue_auth().certificate
TRUST = CA.trust()


def said(*pairs, **wish):
    return [read_ocsp_response(ca.ocsp(certificate, **wish)) for ca, certificate in pairs]


def verify(leaf, *, ca=CA, trust=None, at=NOON):
    """A signature's path of one certificate below its CA, with a good response at the moment."""
    return verify_path(leaf, (), said((ca, leaf), this_update=at), trust or ca.trust(), at)


def consumer(leaf, extra, responses, *, trust=TRUST, at=NOON):
    return verify_path(leaf, extra, responses, trust, at, PathUse.CONSUMER_TLS)


def test_a_leaf_of_an_approved_ca_is_proved_until_its_response_is_stale():
    path = verify(SIGNER)
    assert path.certificates == (SIGNER,)
    assert path.anchor == CA.certificate
    assert path.valid_until == NOON + HOUR


def test_a_path_is_proved_no_longer_than_its_certificates_are_valid():
    leaf = CA.issue_sign(not_after=NOON + 60 * SECOND).certificate
    assert verify(leaf).valid_until == NOON + 60 * SECOND


def test_a_leaf_of_an_approved_intermediate_needs_only_its_own_response():
    leaf = BELOW.issue_sign().certificate
    trust = CA.trust(intermediates=(BELOW,))
    path = verify_path(leaf, (BELOW.certificate,), said((BELOW, leaf)), trust, NOON)
    assert path.anchor == BELOW.certificate
    assert path.certificates == (leaf,)


def test_a_leaf_whose_issuer_is_not_approved_is_refused():
    with pytest.raises(UnknownCertificationAuthority) as refused:
        verify(TestCa.create("Stranger").issue_sign().certificate, trust=TRUST)
    assert refused.value.staged_code == "cannot_create_cert_path.internal_error"


def test_an_intermediate_that_is_not_approved_does_not_anchor_a_signature():
    leaf = BELOW.issue_sign().certificate
    responses = said((BELOW, leaf), (CA, BELOW.certificate))
    with pytest.raises(UnknownCertificationAuthority):
        verify_path(leaf, (BELOW.certificate,), responses, TRUST, NOON)


def test_a_leaf_signed_by_another_key_of_the_ca_s_name_is_refused():
    impostor = TestCa.create(number=5)
    leaf = impostor.issue_sign().certificate
    with pytest.raises(CannotCreateCertPath, match="not signed by"):
        verify(leaf, ca=impostor, trust=TRUST)


@pytest.mark.parametrize(
    ("wish", "good"),
    [({"not_after": NOON}, NOON), ({"not_before": NOON}, NOON)],
    ids=["expired", "not yet valid"],
)
def test_a_leaf_is_valid_to_the_second(wish, good):
    leaf = CA.issue_sign(**wish).certificate
    assert verify(leaf, at=good)
    bad = good + SECOND if "not_after" in wish else good - SECOND
    with pytest.raises(InvalidCertPath, match="is valid from"):
        verify(leaf, at=bad)


def test_the_validity_of_the_anchor_is_the_global_configuration_s_business():
    ca = TestCa.create("Old CA", not_after=NOON - HOUR)
    assert verify(ca.issue_sign().certificate, ca=ca)


def test_an_authority_that_is_no_ca_is_refused():
    for wish in ({"is_ca": False}, {"key_cert_sign": False}):
        ca = TestCa.create("No CA", **wish)
        with pytest.raises(InvalidCertPath, match="may not issue"):
            verify(ca.issue_sign().certificate, ca=ca)


def test_a_critical_extension_that_is_not_understood_is_refused():
    leaf = CA.issue_sign(extensions=(critical_unknown_extension(),)).certificate
    with pytest.raises(InvalidCertPath, match="critical extension"):
        verify(leaf)
    name = x509.SubjectAlternativeName([x509.DNSName("ss1.test")])
    assert verify(CA.issue_sign(extensions=((name, True),)).certificate)


def test_a_signature_by_an_authentication_certificate_is_refused():
    leaf = CA.issue_auth().certificate
    with pytest.raises(IncorrectCertificate, match="no signing"):
        verify(leaf)


def test_a_tls_connection_with_a_signing_certificate_is_refused():
    for use in (PathUse.PROVIDER_TLS, PathUse.CONSUMER_TLS):
        with pytest.raises(IncorrectCertificate, match="no authentication"):
            verify_path(SIGNER, (), said((CA, SIGNER)), TRUST, NOON, use)


def test_a_ca_for_authentication_only_authenticates_but_does_not_sign():
    trust = CA.trust(authentication_only=True)
    with pytest.raises(CannotCreateCertPath, match="authentication only"):
        verify(SIGNER, trust=trust)
    leaf = CA.issue_auth().certificate
    responses = said((CA, leaf))
    assert verify_path(leaf, (), responses, trust, NOON, PathUse.PROVIDER_TLS)
    assert verify_path(leaf, (), responses, trust, NOON, PathUse.CONSUMER_TLS)


def test_a_leaf_without_a_response_is_refused():
    with pytest.raises(CertValidation, match="no OCSP response") as refused:
        verify_path(SIGNER, (), said((CA, CA.issue_sign().certificate)), TRUST, NOON)
    assert refused.value.staged_code == "invalid_cert_path.cert_validation"


@pytest.mark.parametrize(
    ("wish", "error"),
    [
        ({"status": "revoked"}, CertValidation),
        ({"status": "unknown"}, CertValidation),
        ({"this_update": NOON - HOUR - SECOND}, IncorrectValidationInfo),
        ({"next_update": NOON - SECOND}, IncorrectValidationInfo),
        ({"this_update": NOON + HOUR}, IncorrectValidationInfo),
    ],
)
def test_a_leaf_that_is_not_good_now_is_refused(wish, error):
    with pytest.raises(error) as refused:
        verify_path(SIGNER, (), said((CA, SIGNER), **wish), TRUST, NOON)
    assert refused.value.staged_code.startswith("invalid_cert_path.")


# A consumer sends its chain, whose last certificate is of an approved CA.

CHAIN = said((BELOW, SERVER), (CA, BELOW.certificate))


def test_a_consumer_s_chain_is_followed_to_the_issuer_of_its_last_certificate():
    path = consumer(SERVER, (BELOW.certificate,), CHAIN)
    assert path.certificates == (SERVER, BELOW.certificate)
    assert path.anchor == CA.certificate


def test_a_provider_s_chain_is_anchored_in_the_issuer_of_its_leaf():
    with pytest.raises(UnknownCertificationAuthority):
        verify_path(SERVER, (BELOW.certificate,), CHAIN, TRUST, NOON, PathUse.PROVIDER_TLS)
    trust = CA.trust(intermediates=(BELOW,))
    path = verify_path(SERVER, (BELOW.certificate,), CHAIN[:1], trust, NOON, PathUse.PROVIDER_TLS)
    assert path.certificates == (SERVER,)


def test_an_unknown_last_issuer_of_a_consumer_has_no_stage():
    stranger = TestCa.create("Stranger")
    leaf = stranger.issue_auth().certificate
    with pytest.raises(UnknownCertificationAuthority) as refused:
        consumer(leaf, (), said((stranger, leaf)))
    assert refused.value.staged_code == "internal_error"


def test_each_intermediate_of_a_consumer_needs_its_own_response():
    with pytest.raises(CertValidation, match="Below"):
        consumer(SERVER, (BELOW.certificate,), CHAIN[:1])


def test_a_revoked_intermediate_is_refused():
    revoked = said((CA, BELOW.certificate), status="revoked")
    with pytest.raises(CertValidation, match="revoked"):
        consumer(SERVER, (BELOW.certificate,), [CHAIN[0], *revoked])


def test_a_chain_that_ends_in_an_unrelated_certificate_is_refused():
    unrelated = CA.issue_auth().certificate
    with pytest.raises(CannotCreateCertPath, match="not signed by"):
        consumer(SERVER, (unrelated,), CHAIN)


def test_a_forged_intermediate_is_refused():
    forged = TestCa.create("Below", parent=TestCa.create(number=5))
    leaf = forged.issue_auth().certificate
    responses = said((forged, leaf), (CA, forged.certificate))
    with pytest.raises(CannotCreateCertPath, match="Below"):
        consumer(leaf, (forged.certificate,), responses)


def test_an_ordinary_certificate_may_not_issue_others():
    holder = CA.issue_auth("SS9")
    twin = TestCa("SS9", holder.certificate, holder.key)
    leaf = twin.issue_auth().certificate
    responses = said((twin, leaf), (CA, holder.certificate))
    with pytest.raises(InvalidCertPath, match="may not issue"):
        consumer(leaf, (holder.certificate,), responses)


def test_an_expired_intermediate_is_refused():
    expired = TestCa.create("Below", parent=CA, not_after=NOON - SECOND)
    leaf = expired.issue_auth().certificate
    responses = said((expired, leaf), (CA, expired.certificate))
    with pytest.raises(InvalidCertPath, match="Below"):
        consumer(leaf, (expired.certificate,), responses)


@pytest.mark.parametrize(("limit", "accepted"), [(0, False), (1, True), (None, True)])
def test_a_path_length_limit_is_kept(limit, accepted):
    root = TestCa.create("Limited", path_length=limit)
    middle = TestCa.create("Middle", parent=root)
    leaf = middle.issue_auth().certificate
    responses = said((middle, leaf), (root, middle.certificate))
    if accepted:
        assert consumer(leaf, (middle.certificate,), responses, trust=root.trust())
        return
    with pytest.raises(InvalidCertPath, match="CAs below"):
        consumer(leaf, (middle.certificate,), responses, trust=root.trust())


def test_a_chain_that_turns_in_circles_is_refused():
    one = TestCa.create("One")
    two = TestCa.create("Two", parent=one)
    back = TestCa.create("One", parent=two)
    leaf = two.issue_auth().certificate
    extra = (back.certificate, two.certificate)
    with pytest.raises((UnknownCertificationAuthority, CannotCreateCertPath)):
        consumer(leaf, extra, [])


def test_a_chain_that_is_too_long_is_refused():
    cas = [CA]
    for number in range(9):
        cas.append(TestCa.create(f"CA {number}", parent=cas[-1]))
    leaf = cas[-1].issue_auth().certificate
    extra = [ca.certificate for ca in cas[:0:-1]]
    with pytest.raises(CannotCreateCertPath, match="too long"):
        consumer(leaf, extra, [])
    with pytest.raises(CannotCreateCertPath, match="came beside"):
        consumer(leaf, extra * 2, [])


def test_responses_by_a_responder_of_the_intermediate_count():
    responder = BELOW.issue_ocsp_signer(usage=OCSP_SIGNING)
    responses = said((BELOW, SERVER), signer=responder) + CHAIN[1:]
    assert consumer(SERVER, (BELOW.certificate,), responses)


def test_a_renewed_ca_key_is_told_by_its_signature():
    renewed = TestCa.create(number=7)
    leaf = renewed.issue_sign().certificate
    trust = Trust("DEV", (renewed.approved(), CA.approved()))
    assert verify(leaf, ca=renewed, trust=trust).anchor == renewed.certificate
    assert verify(SIGNER, trust=replace(trust, cas=trust.cas[::-1])).anchor == CA.certificate
