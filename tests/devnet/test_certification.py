from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from pki_builder import key_of, sign_with
from sild.devnet.certificates import WARNING
from sild.devnet.certification import CaSettings, CertificationAuthority
from sild.devnet.credentials import CredentialStore
from sild.devnet.declared import request_fields
from sild.devnet.errors import DevnetError
from sild.devnet.topology import DEMO, HEALTH_SERVER, POLICE, CertificateProfile
from sild.model.tokens import KeyAlgorithm, KeyUsage
from sild.protocol.pki.certificate import read_certificate
from sild.protocol.pki.csr import CertificateUse, prepare_csr
from sild.protocol.pki.names import write_name
from sild.protocol.pki.profiles import Applicant, dns_name, get_profile, subject_name
from sild.protocol.pki.signed import Strength
from sild.runtime.clock import TurnedClock


@pytest.fixture
def ca(clock):
    return CertificationAuthority(CaSettings(), clock)


def test_every_name_of_the_authority_says_that_it_is_for_development_only(clock):
    ca = CertificationAuthority(CaSettings(has_intermediate=True), clock)
    for level in ca.levels:
        for credential in (level.credential, level.ocsp_signer):
            assert WARNING in credential.certificate.subject_text.replace("\\", "")


def test_a_signing_certificate_is_for_signing_whatever_the_request_wished(ca, request_for):
    wished = request_for(use=CertificateUse.AUTHENTICATION)
    certificate = ca.sign_request(wished, CertificateUse.SIGNING)
    assert certificate.is_signing
    assert not certificate.is_authentication
    assert not certificate.is_ca
    assert not certificate.key_usage.usage.key_cert_sign


def test_an_authentication_certificate_is_for_both_ends_of_a_connection(ca, request_for):
    certificate = ca.sign_request(
        request_for(dns_name="ss1.example.org"), CertificateUse.AUTHENTICATION
    )
    assert certificate.is_authentication
    assert not certificate.is_signing
    usage = certificate.key_usage.usage
    assert usage.digital_signature
    assert usage.key_encipherment
    assert certificate.key_usage.extended == {
        ExtendedKeyUsageOID.CLIENT_AUTH,
        ExtendedKeyUsageOID.SERVER_AUTH,
    }
    names = certificate.x509.extensions.get_extension_for_oid(
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME
    ).value
    assert names.get_values_for_type(x509.DNSName) == ["ss1.example.org"]


@pytest.mark.parametrize("has_intermediate", [False, True])
def test_what_is_issued_leads_to_the_root(clock, request_for, has_intermediate):
    ca = CertificationAuthority(CaSettings(has_intermediate=has_intermediate), clock)
    certificate = ca.sign_request(request_for(), CertificateUse.SIGNING)
    certificate.check_issued_by(ca.issuer.credential.certificate, Strength.CURRENT)
    ca.issuer.credential.certificate.check_issued_by(
        ca.root.credential.certificate, Strength.CURRENT
    )
    assert ca.root.credential.certificate.is_ca
    assert ca.root.credential.certificate.path_length == int(has_intermediate)
    assert certificate.is_valid_at(clock.now())


def test_an_rsa_authority_serves_rsa_and_ec_keys(clock, request_for):
    ca = CertificationAuthority(CaSettings(key_algorithm=KeyAlgorithm.RSA_2048), clock)
    assert isinstance(ca.root.credential.key, rsa.RSAPrivateKey)
    certificate = ca.sign_request(request_for(), CertificateUse.SIGNING)
    certificate.check_issued_by(ca.root.credential.certificate, Strength.CURRENT)
    key = key_of("rsa")
    unsigned = prepare_csr(write_name((("CN", "x"),)), key.public_key(), CertificateUse.SIGNING)
    digest = unsigned.algorithm.digest_algorithm.primitive
    request = unsigned.finish(sign_with(key, unsigned.tbs, digest))
    assert ca.sign_request(request, CertificateUse.SIGNING).public_key == key.public_key()


@pytest.mark.parametrize("profile", CertificateProfile)
def test_a_signing_certificate_names_its_member_by_every_profile(ca, request_for, profile):
    topology = replace(DEMO, profile=profile)
    server = topology.get_server(HEALTH_SERVER)
    applicant = Applicant(server.id, POLICE, topology.get_member(POLICE).name)
    known = get_profile(profile.value)
    for usage, fields in (
        (KeyUsage.SIGNING, known.sign_subject(applicant)),
        (KeyUsage.AUTHENTICATION, known.auth_subject(applicant)),
    ):
        open_fields = request_fields(topology, server, usage)
        values = {each.keyword: open_fields.get(each.keyword, each.value) for each in fields}
        assert not open_fields.keys() - values.keys()
        request = request_for(subject_name(values), dns_name=dns_name(values))
        certificate = ca.sign_request(request, CertificateUse[usage.name])
        assert certificate.subject_der == subject_name(values)
        if usage is KeyUsage.SIGNING:
            assert known.member_of(certificate, "DEV") == POLICE


def test_a_request_that_another_key_signed_is_not_granted(ca):
    key, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    unsigned = prepare_csr(write_name((("CN", "x"),)), key.public_key(), CertificateUse.SIGNING)
    digest = unsigned.algorithm.digest_algorithm.primitive
    with pytest.raises(DevnetError, match="own key"):
        ca.sign_request(
            unsigned.finish(sign_with(other, unsigned.tbs, digest)), CertificateUse.SIGNING
        )


@pytest.mark.parametrize("request_", [b"", b"no request", b"-----BEGIN NOTHING-----", b"\x30\x00"])
def test_what_is_no_request_is_not_granted(ca, request_):
    with pytest.raises(DevnetError, match="cannot be read"):
        ca.sign_request(request_, CertificateUse.SIGNING)


def test_an_unknown_serial_number_cannot_be_revoked(ca):
    with pytest.raises(DevnetError, match="no certificate"):
        ca.revoke(12345)


def test_state_is_read_again(tmp_path, clock, request_for):
    def open_ca():
        store = CredentialStore(tmp_path / "ca")
        return CertificationAuthority(CaSettings(has_intermediate=True), clock, store)

    first = open_ca()
    kept, revoked = (first.sign_request(request_for(), CertificateUse.SIGNING) for _ in range(2))
    first.revoke(revoked.serial)
    again = open_ca()
    assert again.levels == first.levels
    assert again.issued == first.issued
    assert again.find(kept.serial).revoked_at is None
    assert again.find(revoked.serial).revoked_at is not None
    assert (tmp_path / "ca" / "root.pem").stat().st_mode & 0o077 == 0


def test_state_that_cannot_be_used_is_refused(tmp_path, clock):
    CertificationAuthority(CaSettings(), clock, CredentialStore(tmp_path))
    late = TurnedClock(timedelta(days=365 * 11))
    with pytest.raises(DevnetError, match="remove the directory"):
        CertificationAuthority(CaSettings(), late, CredentialStore(tmp_path))
    (tmp_path / "root.pem").write_bytes(b"spoilt")
    with pytest.raises(DevnetError, match="cannot be read"):
        CertificationAuthority(CaSettings(), clock, CredentialStore(tmp_path))
    (tmp_path / "root.pem").unlink()
    (tmp_path / "issued.json").write_bytes(b"[{}]")
    with pytest.raises(DevnetError, match="register"):
        CertificationAuthority(CaSettings(), clock, CredentialStore(tmp_path))


def test_certificates_follow_the_clock(clock, request_for):
    clock.turn(timedelta(days=-1000))
    ca = CertificationAuthority(CaSettings(), clock)
    certificate = ca.sign_request(request_for(), CertificateUse.SIGNING, timedelta(days=1))
    assert certificate.is_valid_at(clock.now())
    assert not certificate.is_valid_at(clock.now() + timedelta(days=2))
    assert read_certificate(certificate.der) == certificate
