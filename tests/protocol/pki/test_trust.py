from dataclasses import replace

import pytest

from pki_builder import TestCa, TestTsa
from sild.protocol.errors import UnknownCertificationAuthority
from sild.protocol.pki.trust import Trust

CA = TestCa.create()
OTHER = TestCa.create("Other CA")
SIGNER = CA.issue_sign().certificate
TRUST = Trust("DEV", (CA.approved(), OTHER.approved(authentication_only=True)))


def test_the_ca_of_a_certificate_is_found_by_the_name_of_its_issuer():
    assert TRUST.get_ca_of(SIGNER).name == "Test CA"
    assert TRUST.find_ca_cert(SIGNER.issuer_key).certificate == CA.certificate
    assert TRUST.find_ca_cert(SIGNER.issuer_der).certificate == CA.certificate
    assert TRUST.find_issuer(SIGNER).certificate == CA.certificate


def test_a_certificate_of_nobody_approved_has_no_ca():
    stranger = TestCa.create("Stranger").issue_sign().certificate
    assert TRUST.find_ca_cert(stranger.issuer_key) is None
    with pytest.raises(UnknownCertificationAuthority, match="M1"):
        TRUST.get_ca_of(stranger)


def test_of_two_keys_of_one_name_the_one_that_signed_is_the_issuer():
    renewed = TestCa.create(number=7)
    for cas in ((CA, renewed), (renewed, CA)):
        trust = Trust("DEV", tuple(ca.approved() for ca in cas))
        assert trust.find_issuer(SIGNER).certificate == CA.certificate
        assert trust.find_issuer(renewed.issue_sign().certificate).certificate != CA.certificate


def test_intermediate_certificates_are_approved_too():
    below = TestCa.create("Below", parent=CA)
    trust = CA.trust(intermediates=(below,))
    assert trust.get_ca_of(below.issue_sign().certificate).name == "Test CA"
    assert set(trust.all_ca_certificates) == {CA.certificate, below.certificate}


def test_a_ca_for_authentication_only_may_not_issue_signing_certificates():
    assert TRUST.may_issue_signing(CA.certificate)
    assert not TRUST.may_issue_signing(OTHER.certificate)
    assert not TRUST.may_issue_signing(SIGNER)


def test_a_ca_listed_both_ways_counts_as_the_service_that_signs():
    both = replace(TRUST, cas=(CA.approved(profile="signs"), CA.approved(authentication_only=True)))
    assert both.may_issue_signing(CA.certificate)
    assert both.get_ca_of(SIGNER).profile == "signs"


def test_responders_are_those_listed_for_the_ca():
    responder = CA.issue_ocsp_signer().certificate
    trust = Trust("DEV", (CA.approved(responders=(responder,)), OTHER.approved()))
    assert trust.ocsp_signers_for(CA.certificate) == {responder}
    assert trust.ocsp_signers_for(OTHER.certificate) == frozenset()
    assert trust.all_ocsp_signers == {responder}
    assert CA.trust(responders=(None,)).all_ocsp_signers == frozenset()


def test_trust_is_a_value():
    tsa = TestTsa.create()
    assert CA.trust(tsas=(tsa,)) == CA.trust(tsas=(tsa,))
    assert hash(CA.trust()) == hash(CA.trust())
    assert CA.trust() != OTHER.trust()
