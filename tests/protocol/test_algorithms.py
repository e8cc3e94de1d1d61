import contextlib

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, utils
from hypothesis import given
from hypothesis import strategies as st

from pki_builder import key_of
from sild.protocol.algorithms import (
    DigestAlgorithm,
    KeyFamily,
    SignatureAlgorithm,
    UnsupportedAlgorithm,
    ecdsa_der_from_raw,
    ecdsa_raw_from_der,
)
from sild.protocol.errors import InvalidSignatureValue

DATA = b"signed"
KEYS = {KeyFamily.RSA: "rsa", KeyFamily.RSA_PSS: "rsa", KeyFamily.EC: "ec"}


def sign(algorithm, data=DATA):
    key = key_of(KEYS[algorithm.family])
    digest = algorithm.digest_algorithm.primitive
    match algorithm.family:
        case KeyFamily.RSA:
            return key.sign(data, padding.PKCS1v15(), digest)
        case KeyFamily.RSA_PSS:
            scheme = padding.PSS(padding.MGF1(digest), digest.digest_size)
            return key.sign(data, scheme, digest)
        case KeyFamily.EC:
            return key.sign(data, ec.ECDSA(digest))


@pytest.mark.parametrize("algorithm", DigestAlgorithm)
def test_a_digest_algorithm_is_found_by_each_of_its_names(algorithm):
    assert DigestAlgorithm.from_uri(algorithm.uri) is algorithm
    assert DigestAlgorithm.from_text(algorithm.text) is algorithm
    assert DigestAlgorithm.from_text(algorithm.text.lower()) is algorithm


@pytest.mark.parametrize("algorithm", DigestAlgorithm)
def test_the_two_libraries_agree_on_a_digest(algorithm):
    other = hashes.Hash(algorithm.primitive)
    other.update(DATA)
    running = algorithm.new()
    running.update(DATA)
    digest = algorithm.digest(DATA)
    assert digest == other.finalize() == running.digest()
    assert len(digest) == algorithm.size


@pytest.mark.parametrize("name", ["", "MD5", "SHA512", "SHA-512 ", "http://x/#sha512"])
def test_an_unknown_digest_algorithm_is_refused(name):
    with pytest.raises(UnsupportedAlgorithm):
        DigestAlgorithm.from_text(name)
    with pytest.raises(UnsupportedAlgorithm):
        DigestAlgorithm.from_uri(name)


@pytest.mark.parametrize("algorithm", SignatureAlgorithm)
def test_a_signature_verifies_by_its_own_algorithm_and_data_only(algorithm):
    key = key_of(KEYS[algorithm.family]).public_key()
    signature = sign(algorithm)
    algorithm.verify(key, signature, DATA)
    with pytest.raises(InvalidSignatureValue):
        algorithm.verify(key, signature, DATA + b"!")
    for other in SignatureAlgorithm:
        if other is not algorithm:
            with pytest.raises(InvalidSignatureValue):
                other.verify(key, signature, DATA)


@pytest.mark.parametrize("algorithm", SignatureAlgorithm)
def test_a_signature_by_another_kind_of_key_is_refused(algorithm):
    other = key_of("ec" if algorithm.family is not KeyFamily.EC else "rsa").public_key()
    with pytest.raises(InvalidSignatureValue):
        algorithm.verify(other, sign(algorithm), DATA)


@pytest.mark.parametrize("signature", [b"", b"\x00" * 256, b"\x30\x06\x02\x01\x00\x02\x01\x00"])
@pytest.mark.parametrize("algorithm", SignatureAlgorithm)
def test_what_is_no_signature_is_refused(algorithm, signature):
    with pytest.raises(InvalidSignatureValue):
        algorithm.verify(key_of(KEYS[algorithm.family]).public_key(), signature, DATA)


@pytest.mark.parametrize("algorithm", SignatureAlgorithm)
def test_a_signature_algorithm_is_found_by_its_uri(algorithm):
    assert SignatureAlgorithm.from_uri(algorithm.uri) is algorithm


def test_an_unknown_signature_algorithm_is_refused():
    with pytest.raises(UnsupportedAlgorithm):
        SignatureAlgorithm.from_uri("http://www.w3.org/2000/09/xmldsig#hmac-sha1")


def test_a_key_signs_with_sha512_unless_said():
    assert SignatureAlgorithm.for_key(key_of("rsa").public_key()) is SignatureAlgorithm.RSA_SHA512
    sha256 = SignatureAlgorithm.for_key(key_of("ec").public_key(), DigestAlgorithm.SHA256)
    assert sha256 is SignatureAlgorithm.ECDSA_SHA256
    with pytest.raises(UnsupportedAlgorithm):
        SignatureAlgorithm.for_key(ed25519.Ed25519PrivateKey.generate().public_key())


def test_management_requests_name_algorithms_as_java_does():
    assert SignatureAlgorithm.RSA_SHA512.jca_name == "SHA512withRSA"
    assert SignatureAlgorithm.ECDSA_SHA256.jca_name == "SHA256withECDSA"
    assert SignatureAlgorithm.PSS_SHA384.jca_name == "SHA384withRSAandMGF1"


NUMBERS = st.integers(1, 2**384 - 1)


@given(NUMBERS, NUMBERS)
def test_an_ecdsa_value_goes_from_der_to_raw_and_back(r, s):
    der = utils.encode_dss_signature(r, s)
    raw = ecdsa_raw_from_der(der, 48)
    assert len(raw) == 96
    assert ecdsa_der_from_raw(raw) == der


@given(NUMBERS, NUMBERS)
def test_halves_may_be_as_narrow_as_the_longer_number(r, s):
    width = max((n.bit_length() + 7) // 8 for n in (r, s))
    raw = r.to_bytes(width, "big") + s.to_bytes(width, "big")
    assert utils.decode_dss_signature(ecdsa_der_from_raw(raw)) == (r, s)


@given(st.binary(max_size=150))
def test_any_bytes_are_a_raw_value_or_refused(raw):
    with contextlib.suppress(InvalidSignatureValue):
        ecdsa_der_from_raw(raw)
        assert 2 <= len(raw) <= 132
        assert not len(raw) % 2


@given(st.binary(max_size=80))
def test_any_bytes_are_a_der_value_or_refused(der):
    with contextlib.suppress(InvalidSignatureValue):
        ecdsa_raw_from_der(der, 32)


def test_a_der_value_that_is_wider_than_the_curve_is_refused():
    with pytest.raises(InvalidSignatureValue):
        ecdsa_raw_from_der(utils.encode_dss_signature(2**256, 1), 32)
