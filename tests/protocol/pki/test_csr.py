import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import Encoding

from pki_builder import key_of, sign_with
from sild.protocol.errors import IncorrectCertificate
from sild.protocol.pki.csr import CertificateUse, csr_pem, prepare_csr
from sild.protocol.pki.names import write_name

SUBJECT = write_name([("C", "EE"), ("O", "COM"), ("CN", "222")])


def request(kind="ec", use=CertificateUse.SIGNING, dns_name=None):
    key = key_of(kind)
    unsigned = prepare_csr(SUBJECT, key.public_key(), use, dns_name)
    signature = sign_with(key, unsigned.tbs, hashes.SHA256())
    return x509.load_der_x509_csr(unsigned.finish(signature))


def usages(csr):
    usage = csr.extensions.get_extension_for_class(x509.KeyUsage)
    assert not usage.critical
    names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment")
    names += ("key_agreement", "key_cert_sign", "crl_sign")
    return {name for name in names if getattr(usage.value, name)}


@pytest.mark.parametrize("kind", ["ec", "ec384", "rsa"])
def test_a_finished_request_is_signed_with_sha256_by_its_own_key(kind):
    csr = request(kind)
    assert csr.is_signature_valid
    assert csr.signature_hash_algorithm.name == "sha256"
    assert csr.subject.public_bytes() == SUBJECT


def test_the_key_usages_are_those_of_the_reference():
    assert usages(request()) == {"content_commitment", "key_cert_sign"}
    assert usages(request(use=CertificateUse.AUTHENTICATION)) == {
        "digital_signature",
        "key_encipherment",
        "data_encipherment",
    }


def test_a_dns_name_becomes_the_only_alternative_name():
    csr = request(use=CertificateUse.AUTHENTICATION, dns_name="ss1.test")
    names = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names.value.get_values_for_type(x509.DNSName) == ["ss1.test"]
    assert not names.critical
    with pytest.raises(x509.ExtensionNotFound):
        request().extensions.get_extension_for_class(x509.SubjectAlternativeName)


@pytest.mark.parametrize("dns_name", ["õun.test", "x" * 254])
def test_what_is_no_dns_name_is_refused(dns_name):
    with pytest.raises(IncorrectCertificate):
        request(dns_name=dns_name)


def test_the_digest_to_sign_is_that_of_the_request():
    unsigned = prepare_csr(SUBJECT, key_of().public_key(), CertificateUse.SIGNING)
    assert unsigned.digest_to_sign == unsigned.algorithm.digest_algorithm.digest(unsigned.tbs)


def test_a_request_of_an_rsa_key_may_be_signed_by_pss():
    key = key_of("rsa")
    unsigned = prepare_csr(SUBJECT, key.public_key(), CertificateUse.SIGNING, pss=True)
    scheme = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    csr = x509.load_der_x509_csr(unsigned.finish(key.sign(unsigned.tbs, scheme, hashes.SHA256())))
    assert csr.is_signature_valid
    assert unsigned.algorithm.name == "PSS_SHA256"


def test_an_ec_key_signs_as_ever():
    unsigned = prepare_csr(SUBJECT, key_of("ec").public_key(), CertificateUse.SIGNING, pss=True)
    assert unsigned.algorithm.name == "ECDSA_SHA256"


def test_a_request_in_pem_is_the_same_request():
    key = key_of("rsa")
    unsigned = prepare_csr(SUBJECT, key.public_key(), CertificateUse.SIGNING)
    der = unsigned.finish(sign_with(key, unsigned.tbs, hashes.SHA256()))
    pem = csr_pem(der)
    assert x509.load_pem_x509_csr(pem).public_bytes(Encoding.DER) == der
    assert max(map(len, pem.splitlines())) <= 64
