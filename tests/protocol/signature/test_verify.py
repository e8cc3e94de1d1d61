"""Each signed part, the signature, the chain, the signer and the OCSP responses, refused in turn."""

import base64
import re
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from hypothesis import given
from hypothesis import strategies as st

from pki_builder import AUTHENTICATION, MEMBER, NOON, TestCa
from signing_builder import (
    ATTACHMENT,
    MESSAGE,
    PARTS,
    TestSigner,
    as_reference_writes,
    digests_of,
    leaf_of,
    signed_parts,
)
from sild.protocol.algorithms import SignatureAlgorithm
from sild.protocol.errors import (
    CertValidation,
    HashChainUnusedInputs,
    IncorrectCertificate,
    IncorrectValidationInfo,
    InvalidCertPath,
    InvalidHashChain,
    InvalidReference,
    InvalidSignatureValue,
    MalformedHashChain,
    MalformedSignature,
    ProtocolError,
    UnknownCertificationAuthority,
)
from sild.protocol.ids import ClientId
from sild.protocol.signature.batch import SignatureBatch
from sild.protocol.signature.verify import (
    SignedParts,
    read_signature,
    verify_parts,
    verify_signature,
    verify_signer,
    verify_value,
)

SUBSYSTEM = MEMBER.subsystem("S1")
ONE = {MESSAGE: PARTS[MESSAGE]}
KINDS = ["rsa", "ec", "ec384"]


@pytest.fixture(scope="module")
def signer():
    return TestSigner.create()


def verify(signer, signed, parts, *, signature=None, sender=SUBSYSTEM, at=NOON, trust=None):
    return verify_signature(
        signature or signed.signature,
        signed_parts(parts, signed),
        sender,
        trust or signer.trust,
        at,
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("depth", [0, 1, 2])
def test_what_we_sign_verifies(kind, depth):
    signer = TestSigner.create(kind, depth=depth)
    messages = [ONE, PARTS, {MESSAGE: b"3"}, {MESSAGE: b"4", ATTACHMENT: b""}, {MESSAGE: b"5"}]
    for together in ([ONE], [PARTS], messages):
        for parts, signed in zip(together, signer.sign(*together), strict=True):
            verified = verify(signer, signed, parts)
            assert verified.signer.member == MEMBER
            assert verified.signer.certificate == signer.key.certificate
            assert verified.digests == digests_of(parts)
            assert verified.signer.valid_until == NOON + timedelta(hours=1)


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_reference_would_write_verifies(kind):
    signer = TestSigner.create(kind, depth=1)
    (signed,) = signer.sign(PARTS)
    verify(signer, signed, PARTS, signature=signer.resign(as_reference_writes(signed.signature)))


def test_a_key_in_a_device_may_sign_by_pss():
    signer = TestSigner.create("rsa")
    identity = replace(signer.identity, algorithm=SignatureAlgorithm.PSS_SHA512)
    batch = SignatureBatch([leaf_of(PARTS)], identity, NOON)
    scheme = padding.PSS(padding.MGF1(hashes.SHA512()), 64)
    (signed,) = batch.finish(signer.key.key.sign(batch.to_sign, scheme, hashes.SHA512()))
    verify(signer, signed, PARTS)
    (plain,) = batch.finish(signer.key.sign(batch.to_sign))
    with pytest.raises(InvalidSignatureValue):
        verify(signer, plain, PARTS)


# Parts


@pytest.mark.parametrize("name", PARTS)
def test_each_changed_part_behind_a_chain_is_refused(signer, name):
    (signed,) = signer.sign(PARTS)
    with pytest.raises(InvalidHashChain):
        verify(signer, signed, PARTS | {name: b"changed"})


def test_a_changed_message_is_refused(signer):
    (signed,) = signer.sign(ONE)
    with pytest.raises(InvalidSignatureValue):
        verify(signer, signed, {MESSAGE: b"changed"})


def test_an_attachment_that_was_not_signed_is_refused(signer):
    (signed,) = signer.sign(ONE)
    with pytest.raises(InvalidReference):
        verify(signer, signed, PARTS)
    first, _ = signer.sign(ONE, PARTS)
    with pytest.raises(HashChainUnusedInputs):
        verify(signer, first, PARTS)


def test_an_attachment_that_was_dropped_is_refused(signer):
    (signed,) = signer.sign(PARTS)
    with pytest.raises(InvalidReference):
        verify(signer, signed, ONE)


def test_a_message_without_parts_is_refused(signer):
    (signed,) = signer.sign(ONE)
    with pytest.raises(InvalidReference):
        verify(signer, signed, {})


def test_swapped_parts_are_refused(signer):
    (signed,) = signer.sign(PARTS)
    with pytest.raises(InvalidHashChain):
        verify(signer, signed, {MESSAGE: PARTS[ATTACHMENT], ATTACHMENT: PARTS[MESSAGE]})


def test_parts_signed_directly_are_all_needed_and_no_others(signer):
    """As some newer peers sign attachments, without a chain."""
    alone = signer.sign({MESSAGE: b"1"})[0].signature
    reference = re.search(rb'<ds:Reference Id="signature-reference-0".*?</ds:Reference>', alone)[0]
    more = b"".join(
        re.sub(rb"(<ds:DigestValue>)[^<]*", rb"\g<1>" + base64.b64encode(digest), reference)
        .replace(b"/message.xml", name.encode())
        .replace(b"reference-0", b"reference-%d" % number)
        for number, (name, digest) in enumerate(
            digests_of({ATTACHMENT: b"2", "/attachment2": b"3"}).items(), 2
        )
    )
    signature = signer.resign(alone.replace(reference, reference + more))
    parts = {MESSAGE: b"1", ATTACHMENT: b"2", "/attachment2": b"3"}

    def check(parts):
        verify_signature(
            signature, SignedParts(None, None, digests_of(parts)), MEMBER, signer.trust, NOON
        )

    check(parts)
    with pytest.raises(InvalidSignatureValue):
        check(parts | {"/attachment2": b"changed"})
    with pytest.raises(InvalidReference):
        check({MESSAGE: b"1", ATTACHMENT: b"2"})
    with pytest.raises(InvalidReference):
        check(parts | {"/attachment3": b""})


def test_a_message_signed_by_another_digest_is_refused(signer):
    """Only the SHA-512 of parts is at hand, so another cannot be compared."""
    document = signer.document()
    reference = re.search(rb'<ds:Reference Id="signature-reference-0".*?</ds:Reference>', document)[
        0
    ]
    other = reference.replace(b"xmlenc#sha512", b"xmlenc#sha256")
    other = re.sub(rb"(<ds:DigestValue>)[^<]*", rb"\g<1>" + base64.b64encode(bytes(32)), other)
    with pytest.raises(InvalidReference, match="SHA-256"):
        verify_parts(
            read_signature(document.replace(reference, other)), None, None, digests_of(ONE)
        )


# The chain and its result


def test_the_signature_of_another_message_is_refused(signer):
    first, second = signer.sign(ONE)[0], signer.sign({MESSAGE: b"2"})[0]
    with pytest.raises(InvalidSignatureValue):
        verify(signer, first, ONE, signature=second.signature)


def test_the_chain_of_a_batch_mate_is_refused(signer):
    _, second = signer.sign(ONE, {MESSAGE: b"2"})
    with pytest.raises(InvalidHashChain):
        verify(signer, second, ONE)


def test_a_chain_to_a_result_that_was_not_signed_is_refused(signer):
    signed, other = signer.sign(PARTS)[0], signer.sign(ONE, PARTS)[1]
    with pytest.raises(InvalidSignatureValue):
        verify(signer, other, PARTS, signature=signed.signature)


@pytest.mark.parametrize("missing", ["hash_chain", "hash_chain_result"])
def test_a_chained_signature_without_its_chain_is_refused(signer, missing):
    (signed,) = signer.sign(PARTS)
    documents = {
        "hash_chain": signed.hash_chain,
        "hash_chain_result": signed.hash_chain_result,
        missing: None,
    }
    parts = SignedParts(**documents, digests=digests_of(PARTS))
    with pytest.raises(InvalidReference):
        verify_signature(signed.signature, parts, MEMBER, signer.trust, NOON)


def test_a_chain_that_the_signature_does_not_refer_to_is_refused(signer):
    (direct,) = signer.sign(ONE)
    chained, _ = signer.sign(ONE, ONE)
    with pytest.raises(InvalidReference):
        verify(signer, chained, ONE, signature=direct.signature)


def test_a_weaker_chain_is_refused(signer):
    (signed,) = signer.sign(PARTS)
    weak = signed.hash_chain.replace(b"2001/04/xmlenc#sha512", b"2000/09/xmldsig#sha1")
    with pytest.raises(MalformedHashChain):
        verify_parts(
            read_signature(signed.signature), signed.hash_chain_result, weak, digests_of(PARTS)
        )


def test_a_result_of_one_byte_more_is_refused(signer):
    (signed,) = signer.sign(PARTS)
    with pytest.raises(InvalidSignatureValue):
        verify_parts(
            read_signature(signed.signature),
            signed.hash_chain_result + b"\n",
            signed.hash_chain,
            digests_of(PARTS),
        )


# The value and the properties


@pytest.mark.parametrize("kind", KINDS)
def test_a_value_by_another_key_is_refused(kind):
    signer, other = TestSigner.create(kind), TestSigner.create(kind, number=7)
    forged = re.search(rb'"signature-value">([^<]*)', other.document())[1]
    document = re.sub(rb'("signature-value">)[^<]*', rb"\g<1>" + forged, signer.document())
    with pytest.raises(InvalidSignatureValue):
        verify_value(read_signature(document))


@pytest.mark.parametrize("value", [b"", b"AAAA", base64.b64encode(bytes(64)), b"A" * 1000])
@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_a_value_of_nothing_is_refused(kind, value):
    document = TestSigner.create(kind).document()
    document = re.sub(rb'("signature-value">)[^<]*', rb"\g<1>" + value, document)
    with pytest.raises(InvalidSignatureValue):
        verify_value(read_signature(document))


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"2026-01-15", b"2016-01-15"), (b"text/xml", b"application/hash-chain-result")],
)
def test_changed_properties_are_refused(signer, old, new):
    with pytest.raises(InvalidSignatureValue):
        verify_value(read_signature(signer.document().replace(old, new)))


def test_another_algorithm_than_the_key_signs_by_is_refused(signer):
    for other in (b"rsa-sha512", b"ecdsa-sha256"):
        document = signer.document().replace(b"ecdsa-sha512", other)
        with pytest.raises(InvalidSignatureValue):
            verify_value(read_signature(document))


def test_another_certificate_of_the_same_key_is_refused(signer):
    """Else a signature could be moved to another holder of the key, or another status."""
    twin = signer.ca.issue_sign(MEMBER)
    assert twin.key is signer.key.key
    own, other = (base64.b64encode(c.der) for c in (signer.key.certificate, twin.certificate))
    document = signer.document().replace(own, other)
    with pytest.raises(MalformedSignature, match="signed properties"):
        verify_value(read_signature(document))


# The signer


def test_a_signer_of_another_name_is_refused(signer):
    (signed,) = signer.sign(ONE)
    for other in (
        ClientId("DEV", "GOV", "M2"),
        ClientId("DEV", "COM", "M1"),
        ClientId("FI", "GOV", "M1"),
    ):
        with pytest.raises(IncorrectCertificate):
            verify(signer, signed, ONE, sender=other)


def test_another_member_of_the_same_authority_is_refused(signer):
    other = TestSigner.create(ca=signer.ca, member=ClientId("DEV", "GOV", "M2"), number=5)
    (signed,) = other.sign(ONE)
    with pytest.raises(IncorrectCertificate):
        verify(signer, signed, ONE)


def test_a_signer_of_an_unknown_authority_is_refused(signer):
    (signed,) = TestSigner.create(name="Unknown CA").sign(ONE)
    with pytest.raises(UnknownCertificationAuthority):
        verify(signer, signed, ONE)


def test_a_signer_of_a_false_authority_is_refused(signer):
    """It has the name of the approved one, and another key."""
    false = TestSigner.create(ca=TestCa.create(number=99))
    (signed,) = false.sign(ONE)
    with pytest.raises(ProtocolError) as refused:
        verify(signer, signed, ONE)
    assert refused.value.staged_code == "cannot_create_cert_path"


def test_a_certificate_that_is_not_for_signing_is_refused():
    signer = TestSigner.create(usage=AUTHENTICATION)
    (signed,) = signer.sign(ONE)
    with pytest.raises(MalformedSignature, match="signing certificate"):
        verify(signer, signed, ONE)


def test_a_certificate_out_of_its_time_is_refused():
    for wish in ({"not_after": NOON - timedelta(days=1)}, {"not_before": NOON + timedelta(days=1)}):
        signer = TestSigner.create(**wish)
        (signed,) = signer.sign(ONE)
        with pytest.raises(InvalidCertPath):
            verify(signer, signed, ONE)


def test_the_order_of_the_reference_decides_on_the_code(signer):
    (signed,) = signer.sign(ONE)
    stranger = ClientId("DEV", "GOV", "M2")
    with pytest.raises(IncorrectCertificate):
        verify(signer, signed, {MESSAGE: b"changed"}, sender=stranger)
    (chained,) = signer.sign(PARTS)
    with pytest.raises(InvalidHashChain):
        verify(signer, chained, PARTS | {MESSAGE: b"changed"}, sender=stranger)
    late = NOON + timedelta(days=1)
    with pytest.raises(InvalidSignatureValue):
        verify(signer, signed, {MESSAGE: b"changed"}, at=late)


# OCSP responses


def test_a_stale_response_is_refused(signer):
    (signed,) = signer.sign(ONE)
    with pytest.raises(IncorrectValidationInfo) as refused:
        verify(signer, signed, ONE, at=NOON + timedelta(hours=1, seconds=1))
    assert refused.value.staged_code == "invalid_cert_path.incorrect_validation_info"


@pytest.mark.parametrize("status", ["revoked", "unknown"])
def test_a_certificate_that_is_not_good_is_refused(status):
    ca = TestCa.create()
    certificate = ca.issue_sign().certificate
    signer = TestSigner.create(ca=ca)
    bad = ca.ocsp(signer.key.certificate, status=status)
    good = base64.b64encode(signer.identity.ocsp)
    document = signer.document().replace(good, base64.b64encode(bad))
    with pytest.raises(CertValidation):
        verify_signer(read_signature(document), MEMBER, signer.trust, NOON)
    other = signer.document().replace(good, base64.b64encode(ca.ocsp(certificate)))
    with pytest.raises(CertValidation, match="no OCSP response"):
        verify_signer(read_signature(other), MEMBER, signer.trust, NOON)


def test_a_response_by_nobody_who_may_is_refused():
    stub = b"to be replaced"
    signer = TestSigner.create(ocsp=stub)
    stranger = TestCa.create("Stranger", number=3)
    forged = signer.ca.ocsp(signer.key.certificate, signer=stranger.as_responder)
    document = signer.document().replace(base64.b64encode(stub), base64.b64encode(forged))
    with pytest.raises(IncorrectValidationInfo):
        verify_signer(read_signature(document), MEMBER, signer.trust, NOON)


def test_a_response_that_is_none_is_refused():
    document = TestSigner.create(ocsp=b"no response").document()
    signer = TestSigner.create()
    with pytest.raises(MalformedSignature, match="OCSP"):
        verify_signer(read_signature(document), MEMBER, signer.trust, NOON)


# Remembering


def test_a_verified_document_may_be_kept_and_compared(signer):
    document = signer.document()
    assert read_signature(document) == read_signature(document)


@given(
    st.dictionaries(st.sampled_from([MESSAGE, ATTACHMENT, "/attachment2"]), st.binary(max_size=64))
)
def test_no_other_parts_than_those_signed_pass(parts):
    signer = TestSigner.create()
    (signed,) = signer.sign(PARTS)
    document = read_signature(signed.signature)
    try:
        verify_parts(document, signed.hash_chain_result, signed.hash_chain, parts)
    except ProtocolError:
        assert parts != digests_of(PARTS)
    else:
        assert parts == digests_of(PARTS)
