from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from sild.protocol.errors import IncorrectCertificate
from sild.protocol.pki.certificate import read_certificate
from sild.protocol.pki.selfsigned import prepare_self_signed

KEYS = [
    pytest.param(rsa.generate_private_key(65537, 2048), id="rsa"),
    pytest.param(ec.generate_private_key(ec.SECP256R1()), id="ec"),
]


def signed(key, unsigned):
    prehashed = utils.Prehashed(hashes.SHA512())
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(unsigned.digest_to_sign, padding.PKCS1v15(), prehashed)
    return key.sign(unsigned.digest_to_sign, ec.ECDSA(prehashed))


@pytest.mark.parametrize("key", KEYS)
def test_a_certificate_is_what_the_reference_makes(key):
    unsigned = prepare_self_signed("internalSigningKey", key.public_key())
    der = unsigned.finish(signed(key, unsigned))
    certificate = x509.load_der_x509_certificate(der)
    certificate.verify_directly_issued_by(certificate)
    assert certificate.subject.rfc4514_string() == "CN=internalSigningKey"
    assert certificate.serial_number == 1
    assert certificate.not_valid_before_utc == datetime(1970, 1, 1, tzinfo=UTC)
    assert certificate.not_valid_after_utc == datetime(2038, 1, 1, tzinfo=UTC)
    assert isinstance(certificate.signature_hash_algorithm, hashes.SHA512)
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert constraints.value == x509.BasicConstraints(ca=True, path_length=None)
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.content_commitment
    assert usage.value.key_cert_sign
    assert not usage.value.digital_signature
    assert not usage.value.crl_sign
    assert len(certificate.extensions) == 2


@pytest.mark.parametrize("key", KEYS)
def test_our_own_reader_takes_it(key):
    unsigned = prepare_self_signed("externalSigningKey", key.public_key())
    certificate = read_certificate(unsigned.finish(signed(key, unsigned)))
    assert certificate.public_key == key.public_key()


def test_a_blank_name_is_refused():
    with pytest.raises(IncorrectCertificate):
        prepare_self_signed(" ", KEYS[0].values[0].public_key())
