"""Faults that the reference comes upon later than we do, or says less of, get its codes."""

import base64
import hashlib
import re
from dataclasses import replace

import pytest

from evidence_builder import REQUEST, stamped, stamped_together
from pki_builder import MEMBER, TestCa, TestTsa
from signing_builder import ATTACHMENT, MESSAGE, TestSigner
from sild.protocol.asic.verify import verify_container
from sild.protocol.errors import ProtocolError
from sild.protocol.pki import der

SIGNER = TestSigner.create()
TSA = TestTsa.create()
TRUSTS = {"DEV": replace(SIGNER.trust, tsas=(TSA.approved(),))}
ONE = {MESSAGE: REQUEST}
TWO = {MESSAGE: REQUEST, ATTACHMENT: b"the body"}
VALUE = re.compile(rb'("signature-value">)([^<]*)')


def code_of(container):
    with pytest.raises(ProtocolError) as refused:
        verify_container(container, TRUSTS)
    return refused.value.staged_code


def changed(old, new, parts=ONE, stamp=stamped):
    """The code of a container in whose signature this is another."""
    (signed,) = SIGNER.sign(parts)
    container = stamp(signed, parts, tsa=TSA)
    assert old in container.signature
    return code_of(replace(container, signature=container.signature.replace(old, new, 1)))


# The signature

SIGNED_INFO = {
    "no base64": (b"<ds:DigestValue>", b"<ds:DigestValue>*"),
    "an unknown digest": (b"xmlenc#sha512", b"xmlenc#sha513"),
    "no UTF-8": (b'Type="http://uri.etsi', b'Type="http://\xffri.etsi'),
    "no reference to the properties": (b'URI="#signed-properties"', b'URI="#signed"'),
    "another transform": (b"REC-xml-c14n-20010315", b"REC-xml-c14n-20010316"),
    "no time in the properties": (b"<xades:SigningTime>", b"<xades:SigningTime>x"),
}


@pytest.mark.parametrize("change", SIGNED_INFO.values(), ids=SIGNED_INFO)
def test_what_is_signed_and_cannot_be_read_is_not_what_was_signed(change):
    assert changed(*change) == "invalid_signature_value"


UNSIGNED = {
    "no message": (b'URI="/message.xml"', b'URI="/massage.xml"'),
    "no value": (b'"signature-value">', b'"signature-value">*'),
    "an unknown algorithm": (b"#ecdsa-sha512", b"#ecdsa-sha513"),
    "no responses": (b"RevocationValues", b"RevocationV"),
    "no response in base64": (b'-response-1">', b'-response-1">*'),
}


@pytest.mark.parametrize("change", UNSIGNED.values(), ids=UNSIGNED)
def test_other_parts_that_cannot_be_read_make_it_malformed(change):
    old, new = change
    (signed,) = SIGNER.sign(ONE)
    container = stamped(signed, ONE, tsa=TSA)
    assert old in container.signature
    container = replace(container, signature=container.signature.replace(old, new))
    assert code_of(container) == "malformed_signature"


@pytest.mark.parametrize("change", [*SIGNED_INFO.values(), (b"<ds:Sig", b"<ds:S<ig")])
def test_whatever_is_wrong_with_it_the_hash_chain_of_the_time_stamp_tells_first(change):
    assert changed(*change, stamp=stamped_together) == "malformed_signature"


def test_a_document_that_is_no_xml_keeps_its_code():
    assert changed(b"<ds:Sig", b"<ds:S<ig") == "invalid_xml"


# The certificate


def test_a_changed_certificate_has_no_path():
    certificate = SIGNER.key.certificate.der
    # The last byte is of the signature of its CA.
    other = certificate[:-1] + bytes((certificate[-1] ^ 1,))
    code = changed(base64.b64encode(certificate), base64.b64encode(other))
    assert code == "cannot_create_cert_path.internal_error"


def test_a_certificate_of_another_key_does_not_fit_the_value():
    other = TestSigner.create(ca=SIGNER.ca, number=7).key.certificate.der
    code = changed(base64.b64encode(SIGNER.key.certificate.der), base64.b64encode(other))
    assert code == "invalid_signature_value"


def test_another_certificate_of_the_same_key_is_refused_though_the_reference_takes_it():
    thief = TestSigner.create(ca=SIGNER.ca, member=MEMBER.subsystem("S9"), number=0)
    (signed,) = thief.sign(ONE)
    own, other = (base64.b64encode(each.key.certificate.der) for each in (SIGNER, thief))
    forged = replace(signed, signature=signed.signature.replace(other, own))
    assert forged.signature != signed.signature
    assert code_of(stamped(forged, ONE, tsa=TSA)) == "malformed_signature"


def test_a_signer_whom_no_approved_ca_vouches_for_has_no_path():
    false = TestSigner.create(ca=TestCa.create(number=99))
    (signed,) = false.sign(ONE)
    container = stamped(signed, ONE, tsa=TSA)
    assert code_of(container) == "cannot_create_cert_path.internal_error"


# Its OCSP response


def with_response(change):
    (signed,) = SIGNER.sign(ONE)
    stated = re.search(rb'(-response-1">)([^<]*)', signed.signature)
    other = base64.b64encode(change(base64.b64decode(stated[2])))
    container = stamped(
        replace(signed, signature=signed.signature.replace(stated[2], other)), ONE, tsa=TSA
    )
    return code_of(container)


def test_a_response_that_is_no_value_at_all_makes_the_signature_malformed():
    assert with_response(lambda response: response[:-1]) == "malformed_signature"


def test_a_response_that_holds_no_value_breaks_the_path():
    code = with_response(lambda response: response.replace(b"\x18\x0f20", b"\x18\x7f20", 1))
    assert code == "invalid_cert_path.internal_error"


def test_a_response_with_a_value_that_means_nothing_is_not_what_was_signed():
    code = with_response(lambda response: re.sub(rb"(\x18\x0f20\d\d)\d", rb"\1x", response))
    assert code == "invalid_cert_path.incorrect_validation_info"


# The time-stamp


@pytest.mark.parametrize("make", [stamped, stamped_together])
def test_a_token_whose_signature_is_broken_is_not_borne_out_by_its_signer(make):
    class Broken:
        def token(self, data, **wish):
            token = TSA.token(data, **wish)
            return token[:-1] + bytes((token[-1] ^ 1,))

    (signed,) = SIGNER.sign(TWO)
    container = make(signed, TWO, tsa=Broken())
    assert code_of(container) == "mlog.timestamp_signer_verification_failed"


_SHA512 = bytes.fromhex("608648016503040203")


def token_with_hash(last, imprint_of=None):
    """The code of a token whose imprint is by another hash than its signer has signed."""

    class Renaming:
        def token(self, data, **wish):
            changed = TSA.token(data, **wish).replace(_SHA512, _SHA512[:-1] + bytes((last,)), 1)
            if imprint_of is not None:
                changed = changed.replace(hashlib.sha512(data).digest(), imprint_of(data), 1)
            return changed

    (signed,) = SIGNER.sign(ONE)
    return code_of(stamped(signed, ONE, tsa=Renaming()))


@pytest.mark.parametrize("last", [1, 8, 11, 12], ids=["sha256", "sha3", "shake128", "shake256"])
def test_a_token_with_an_imprint_by_another_hash_is_over_other_bytes(last):
    assert token_with_hash(last) == "malformed_signature"


def test_an_imprint_by_a_hash_of_any_length_is_taken_at_that_of_the_reference():
    code = token_with_hash(12, lambda data: hashlib.shake_256(data).digest(64))
    assert code == "mlog.timestamp_signer_verification_failed"


def test_an_imprint_by_a_hash_that_nobody_knows_is_an_internal_error():
    assert token_with_hash(0x43) == "internal_error"


def test_a_token_over_other_bytes_is_malformed_whatever_else_is_wrong_with_it():
    (signed,) = SIGNER.sign(TWO)
    container = stamped_together(signed, TWO, tsa=TSA)
    result = container.timestamp_hash_chain_result
    digest = next(
        digest
        for digest in (hashlib.new(name, result).digest() for name in ("sha512", "sha256"))
        if digest in container.timestamp
    )
    other = container.timestamp.replace(digest, bytes(len(digest)))
    assert code_of(replace(container, timestamp=other)) == "malformed_signature"


def test_a_token_with_a_broken_value_that_nobody_reads_is_refused():
    (signed,) = SIGNER.sign(TWO)
    container = stamped_together(signed, TWO, tsa=TSA)
    _, explicit = der.parts_of(container.timestamp)
    _, listed, *_ = der.parts_of(der.parts_of(explicit)[0])
    # An identifier that does not end; the signer has its own.
    broken = container.timestamp.replace(listed, listed[:14] + b"\x83" + listed[15:], 1)
    assert len(listed) == 17
    assert code_of(replace(container, timestamp=broken)) == "mlog.timestamper_failed"


# Hash chains


def with_chain(old, new, document="hash_chain"):
    (signed,) = SIGNER.sign(TWO)
    container = stamped(signed, TWO, tsa=TSA)
    data = getattr(container, document)
    assert old in data
    return code_of(replace(container, **{document: data.replace(old, new, 1)}))


@pytest.mark.parametrize("document", ["hash_chain", "hash_chain_result"])
def test_a_digest_that_nobody_knows_in_a_hash_chain_is_an_error_of_the_reference(document):
    assert with_chain(b"#sha512", b"#sha513", document) == "malformed_signature.internal_error"


@pytest.mark.parametrize("document", ["hash_chain", "hash_chain_result"])
@pytest.mark.parametrize("change", [(b"Algorithm=", b"AlgorIthm="), (b"<", b"<<")])
def test_a_hash_chain_that_does_not_fit_its_schema_keeps_its_code(document, change):
    code = with_chain(*change, document)
    assert code == "malformed_signature.malformed_hash_chain"


# The message

HEADERS = {
    "a name that no header has": (b"x-road-request-id:", b"x-road>request-id:"),
    "a control character": (b"id:1", b"id:\x01"),
    "no UTF-8": (b"id:1", b"id:\xff"),
    "no id": (b"x-road-id:", b"x-r0ad-id:"),
}


@pytest.mark.parametrize("change", HEADERS.values(), ids=HEADERS)
def test_a_message_that_no_server_would_take_is_first_of_all_not_what_was_signed(change):
    message = REQUEST.replace(*change)
    assert message != REQUEST
    for parts, code in (
        (ONE, "invalid_signature_value"),
        (TWO, "malformed_signature.invalid_hash_chain_ref"),
    ):
        (signed,) = SIGNER.sign(parts)
        assert code_of(replace(stamped(signed, parts, tsa=TSA), message=message)) == code


@pytest.mark.parametrize("change", HEADERS.values(), ids=HEADERS)
def test_signed_as_it_is_it_is_evidence(change):
    parts = {MESSAGE: REQUEST.replace(*change)}
    (signed,) = SIGNER.sign(parts)
    report = verify_container(stamped(signed, parts, tsa=TSA), TRUSTS)
    assert report.signer == MEMBER.subsystem("S1")


UNTOLD = {
    "no client": (b"GOV/M1/S1", b"GOV"),
    "a line that is no header": (b"x-road-id:", b"x-road-id"),
    "a header of one connection": (b"x-road-request-id:", b"connection:"),
    "no method": (b"GET", b"GAT"),
}


@pytest.mark.parametrize("change", UNTOLD.values(), ids=UNTOLD)
def test_a_message_whose_sender_the_reference_does_not_find_stops_it_at_once(change):
    (signed,) = SIGNER.sign(TWO)
    message = REQUEST.replace(*change)
    container = replace(stamped(signed, TWO, tsa=TSA), message=message)
    assert message != REQUEST
    assert code_of(container) == "internal_error"
