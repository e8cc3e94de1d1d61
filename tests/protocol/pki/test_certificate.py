import contextlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from pki_builder import CA, NOTHING, TestCa, name_of
from sild.protocol.errors import IncorrectCertificate, InvalidSignatureValue
from sild.protocol.ids import ClientId
from sild.protocol.pki.certificate import read_certificate
from sild.protocol.pki.signed import Strength

ROOT = TestCa.create()
SIGNER = ROOT.issue_sign().certificate


def test_der_and_pem_give_the_same_certificate():
    pem = SIGNER.x509.public_bytes(Encoding.PEM)
    assert read_certificate(pem) == read_certificate(SIGNER.der) == SIGNER
    assert hash(read_certificate(pem)) == hash(SIGNER)
    assert ROOT.certificate != SIGNER


def test_reading_the_same_bytes_again_gives_the_same_object():
    assert read_certificate(bytes(SIGNER.der)) is read_certificate(SIGNER.der)


def test_names_stand_as_java_prints_them():
    assert SIGNER.subject_text == "CN=M1,O=GOV,C=DEV"
    assert SIGNER.issuer_text == "CN=Test CA,O=Tests,C=EE"


def test_an_instance_in_the_place_of_the_country_is_no_error():
    member = ClientId("A-LONG-INSTANCE", "GOV", "M1")
    assert ROOT.issue_sign(member).certificate.subject_text == "CN=M1,O=GOV,C=A-LONG-INSTANCE"


@pytest.mark.parametrize("kind", ["ec", "ec384", "rsa"])
def test_the_key_hash_is_the_one_that_key_identifiers_use(kind):
    certificate = ROOT.issue_sign(kind=kind).certificate
    expected = x509.SubjectKeyIdentifier.from_public_key(certificate.x509.public_key()).digest
    assert certificate.key_sha1 == expected


def test_usage_follows_key_usage():
    auth = ROOT.issue_auth(extended=(ExtendedKeyUsageOID.SERVER_AUTH,)).certificate
    assert auth.is_authentication
    assert not auth.is_signing
    assert SIGNER.is_signing
    assert not SIGNER.is_authentication


def test_client_auth_alone_makes_an_authentication_certificate():
    extended = (ExtendedKeyUsageOID.CLIENT_AUTH,)
    assert ROOT.issue_auth(usage=NOTHING, extended=extended).certificate.is_authentication
    assert ROOT.issue_sign(extended=extended).certificate.is_authentication


def test_a_certificate_without_key_usage_is_for_nothing():
    certificate = ROOT.issue_sign(usage=NOTHING).certificate
    assert not certificate.is_signing
    assert not certificate.is_authentication


def test_only_a_ca_certificate_is_a_ca():
    assert ROOT.certificate.is_ca
    assert ROOT.certificate.is_self_signed
    assert not SIGNER.is_ca
    assert not TestCa.create(is_ca=False).certificate.is_ca
    assert not TestCa.create(key_cert_sign=False).certificate.is_ca
    assert TestCa.create(is_ca=True, usage=NOTHING).certificate.is_ca


def test_ocsp_addresses_are_read():
    location = x509.UniformResourceIdentifier("http://ocsp.test/a ")
    access = x509.AuthorityInformationAccess(
        [x509.AccessDescription(AuthorityInformationAccessOID.OCSP, location)]
    )
    certificate = ROOT.issue_sign(extensions=((access, False),)).certificate
    assert certificate.ocsp_urls == ("http://ocsp.test/a",)
    assert SIGNER.ocsp_urls == ()


@pytest.mark.parametrize("data", [b"", b"\x30\x00", b"-----BEGIN CERTIFICATE-----", b"x" * 100_000])
def test_what_is_no_certificate_is_refused(data):
    with pytest.raises(IncorrectCertificate):
        read_certificate(data)


@given(st.integers(0, len(SIGNER.der) - 1), st.integers(0, 255))
def test_any_damaged_certificate_is_a_value_or_refused(position, byte):
    data = bytearray(SIGNER.der)
    data[position] = byte
    with contextlib.suppress(IncorrectCertificate):
        read_certificate(bytes(data))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_refused(data):
    with pytest.raises(IncorrectCertificate):
        read_certificate(data)


@pytest.mark.parametrize(
    ("kind", "wish"),
    [("ec", {}), ("rsa", {}), ("rsa", {"pss": True}), ("ec384", {"digest": hashes.SHA384()})],
)
def test_a_certificate_of_its_issuer_is_accepted(kind, wish):
    ca = TestCa.create(kind=kind)
    ca.issue_sign(**wish).certificate.check_issued_by(ca.certificate, Strength.CURRENT)


def test_a_certificate_signed_by_another_key_of_the_same_name_is_refused():
    other = TestCa.create(number=9)
    with pytest.raises(InvalidSignatureValue):
        SIGNER.check_issued_by(other.certificate, Strength.CURRENT)


def test_a_certificate_of_another_name_is_refused_even_if_the_key_signed_it():
    renamed = ROOT.issue(name_of(CN="Another"), usage=CA, is_ca=True)
    twin = TestCa("Another", renamed.certificate, renamed.key)
    signed = twin.issue_sign().certificate
    with pytest.raises(InvalidSignatureValue, match="not issued by"):
        signed.check_issued_by(ROOT.certificate, Strength.CURRENT)


def test_sha1_and_short_keys_are_only_accepted_for_history():
    ca = TestCa.create(kind="rsa1024")
    for wish in ({"digest": hashes.SHA1()}, {"digest": hashes.SHA256()}):
        certificate = ca.issue_sign(**wish).certificate
        certificate.check_issued_by(ca.certificate, Strength.HISTORIC)
        with pytest.raises(InvalidSignatureValue):
            certificate.check_issued_by(ca.certificate, Strength.CURRENT)
    strong = TestCa.create(kind="rsa")
    sha1 = strong.issue_sign(digest=hashes.SHA1()).certificate
    with pytest.raises(InvalidSignatureValue, match="sha1"):
        sha1.check_issued_by(strong.certificate, Strength.CURRENT)


@pytest.mark.parametrize("strength", Strength)
@pytest.mark.parametrize("name", ["md5", "shake128", "whirlpool"])
def test_other_hashes_are_never_accepted(strength, name):
    with pytest.raises(InvalidSignatureValue):
        strength.check_hash(name)
