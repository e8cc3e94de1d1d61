import hashlib
import re
from dataclasses import replace
from datetime import timedelta

import pytest

import evidence_builder
from evidence_builder import REQUEST, STAMPED_AT
from pki_builder import MEMBER, NOON, TestCa, TestTsa
from signing_builder import ATTACHMENT, MESSAGE, TestSigner
from sild.protocol.asic.container import (
    Container,
    read_container,
    with_signature_timestamp,
    write_container,
)
from sild.protocol.asic.sender import get_sender, read_parties
from sild.protocol.asic.verify import Doubt, UnknownSender, verify_container
from sild.protocol.errors import (
    HashChainUnusedInputs,
    IncorrectCertificate,
    InvalidHashChainRef,
    InvalidMessage,
    InvalidReference,
    InvalidSignatureValue,
    MalformedSignature,
    ProtocolError,
    TspCertificateNotFound,
    UnknownCertificationAuthority,
)
from sild.protocol.ids import ClientId
from sild.protocol.soap.envelope import read_envelope

SUBSYSTEM = MEMBER.subsystem("S1")
SIGNER = TestSigner.create()
TSA = TestTsa.create()
TRUSTS = {"DEV": replace(SIGNER.trust, tsas=(TSA.approved(),))}


def stamped(signed, parts, *, tsa=TSA, **stamp):
    return evidence_builder.stamped(signed, parts, tsa=tsa, **stamp)


def stamped_together(signed, parts, *, tsa=TSA):
    return evidence_builder.stamped_together(signed, parts, tsa=tsa)


ONE = {MESSAGE: REQUEST}
TWO = {MESSAGE: REQUEST, ATTACHMENT: b"the body"}
STAMPS = [stamped, stamped_together]


@pytest.mark.parametrize("stamp", STAMPS)
@pytest.mark.parametrize("parts", [ONE, TWO])
def test_what_is_written_verifies(stamp, parts):
    (signed,) = SIGNER.sign(parts)
    container = read_container(write_container(stamp(signed, parts), NOON))
    report = verify_container(container, TRUSTS)
    assert report.signer == SUBSYSTEM
    assert report.certificate == SIGNER.key.certificate
    assert report.signed_at == NOON
    assert report.timestamped_at == STAMPED_AT
    assert report.tsa == TSA.approved()
    assert report.ocsp_produced_at == NOON
    assert report.unverified == ()
    assert [step.number for step in report.steps] == list(range(1, len(report.steps) + 1))


def test_a_message_of_a_batch_verifies():
    for parts, signed in zip([ONE, TWO], SIGNER.sign(ONE, TWO), strict=True):
        verify_container(stamped(signed, parts), TRUSTS)


def test_a_part_that_was_signed_and_is_not_held_is_reported():
    (signed,) = SIGNER.sign(TWO)
    report = verify_container(replace(stamped(signed, TWO), attachments={}), TRUSTS)
    assert [part.uri for part in report.unverified] == [ATTACHMENT]
    assert any("NOT VERIFIED: attachment1" in step.answer for step in report.steps)


def test_a_held_attachment_that_is_not_the_signed_one_is_reported():
    (signed,) = SIGNER.sign(TWO)
    container = replace(stamped(signed, TWO), attachments={ATTACHMENT: b"cut"})
    (part,) = verify_container(container, TRUSTS).unverified
    assert (part.uri, part.doubt) == (ATTACHMENT, Doubt.CHANGED)
    assert part.digest.value == hashlib.sha512(TWO[ATTACHMENT]).digest()


def test_a_changed_message_is_refused():
    (signed,) = SIGNER.sign(TWO)
    with pytest.raises(InvalidHashChainRef):
        verify_container(replace(stamped(signed, TWO), message=REQUEST + b"a:b\r\n"), TRUSTS)
    (signed,) = SIGNER.sign(ONE)
    with pytest.raises(InvalidSignatureValue):
        verify_container(replace(stamped(signed, ONE), message=REQUEST + b"a:b\r\n"), TRUSTS)


def test_a_changed_message_whose_headers_no_longer_say_who_sent_it_gets_the_same_code():
    parts = {MESSAGE: SOAP, ATTACHMENT: b"the body"}
    (signed,) = SIGNER.sign(parts)
    spoilt = SOAP.replace(b"x:client", b"x:cl1ent")
    with pytest.raises(InvalidHashChainRef):
        verify_container(replace(stamped(signed, parts), message=spoilt), TRUSTS)


@pytest.mark.parametrize("message", [b"no message", b"<a", b"<a/>", b"GET\r\n"])
def test_a_message_that_says_nothing_of_its_sender_is_refused_with_the_reference_s_code(message):
    (signed,) = SIGNER.sign({MESSAGE: message})
    with pytest.raises(UnknownSender) as refused:
        verify_container(stamped(signed, {MESSAGE: message}), TRUSTS)
    assert refused.value.staged_code == "internal_error"


def test_a_signed_message_without_the_headers_of_its_sender_is_refused():
    parts = {MESSAGE: SOAP.replace(b"x:client", b"x:cl1ent")}
    (signed,) = SIGNER.sign(parts)
    with pytest.raises(UnknownSender):
        verify_container(stamped(signed, parts), TRUSTS)


@pytest.mark.parametrize(
    ("parts", "error"), [(ONE, InvalidReference), (TWO, HashChainUnusedInputs)]
)
def test_an_attachment_that_was_not_signed_is_refused(parts, error):
    (signed,) = SIGNER.sign(parts)
    container = stamped(signed, parts)
    more = {**container.attachments, "/attachment2": b"more"}
    with pytest.raises(error):
        verify_container(replace(container, attachments=more), TRUSTS)


def test_a_chain_that_is_not_there_is_refused():
    (signed,) = SIGNER.sign(TWO)
    container = stamped(signed, TWO)
    with pytest.raises(InvalidReference):
        verify_container(replace(container, hash_chain=None, hash_chain_result=None), TRUSTS)


def test_the_result_of_another_batch_is_refused():
    mine, other = SIGNER.sign(TWO)[0], SIGNER.sign(ONE, TWO)[1]
    container = replace(
        stamped(mine, TWO), hash_chain_result=other.hash_chain_result, hash_chain=other.hash_chain
    )
    with pytest.raises(InvalidSignatureValue):
        verify_container(container, TRUSTS)


# Time-stamps


def test_a_container_without_a_time_stamp_is_refused():
    (signed,) = SIGNER.sign(ONE)
    with pytest.raises(MalformedSignature, match="0 time-stamps"):
        verify_container(Container(REQUEST, signed.signature), TRUSTS)


def test_a_container_with_two_time_stamps_inside_is_refused():
    (signed,) = SIGNER.sign(ONE)
    container = stamped(signed, ONE)
    twice = with_signature_timestamp(container.signature, b"x")
    with pytest.raises(MalformedSignature, match="2 time-stamps"):
        verify_container(replace(container, signature=twice), TRUSTS)


def test_a_time_stamp_over_something_else_is_refused():
    (signed,) = SIGNER.sign(ONE)
    other = with_signature_timestamp(signed.signature, TSA.token(b"another"))
    with pytest.raises(MalformedSignature):
        verify_container(Container(REQUEST, other), TRUSTS)
    together = stamped_together(signed, ONE)
    with pytest.raises(MalformedSignature):
        verify_container(replace(together, timestamp=TSA.token(b"another")), TRUSTS)


def test_a_time_stamp_chain_that_does_not_lead_to_the_signature_is_refused():
    mine, other = SIGNER.sign(ONE)[0], SIGNER.sign(TWO)[0]
    container = stamped_together(mine, ONE)
    for changed in (
        {"signature": other.signature},
        {"timestamp_hash_chain_result": b"no XML"},
        {"timestamp_hash_chain": container.timestamp_hash_chain.replace(b"META-INF", b"META-OUT")},
    ):
        with pytest.raises(MalformedSignature) as refused:
            verify_container(replace(container, **changed), TRUSTS)
        assert refused.value.code == "malformed_signature"


@pytest.mark.parametrize("stamp", STAMPS)
def test_a_time_stamp_by_nobody_who_is_approved_is_refused(stamp):
    (signed,) = SIGNER.sign(ONE)
    stranger = TestTsa.create("Other TSA", ca=TestCa.create("Other CA"))
    with pytest.raises(TspCertificateNotFound):
        verify_container(stamp(signed, ONE, tsa=stranger), TRUSTS)


def test_a_time_stamp_may_be_by_an_authority_of_another_instance():
    (signed,) = SIGNER.sign(ONE)
    trusts = {"DEV": replace(SIGNER.trust, tsas=()), "FI": replace(TRUSTS["DEV"], instance="FI")}
    assert verify_container(stamped(signed, ONE), trusts).tsa == TSA.approved()


def test_the_certificate_must_have_been_good_when_the_time_stamp_was_made():
    (signed,) = SIGNER.sign(ONE)
    late = stamped(signed, ONE, at=NOON + timedelta(hours=2))
    with pytest.raises(ProtocolError) as refused:
        verify_container(late, TRUSTS)
    assert refused.value.staged_code == "invalid_cert_path.incorrect_validation_info"


def test_what_is_no_time_stamp_is_refused():
    (signed,) = SIGNER.sign(ONE)
    container = Container(REQUEST, with_signature_timestamp(signed.signature, b"no token"))
    with pytest.raises(ProtocolError):
        verify_container(container, TRUSTS)


# The signer


def test_a_message_of_another_member_is_refused():
    parts = {MESSAGE: REQUEST.replace(b"GOV/M1", b"GOV/M9")}
    (signed,) = SIGNER.sign(parts)
    with pytest.raises(IncorrectCertificate):
        verify_container(stamped(signed, parts), TRUSTS)


def test_a_signature_value_by_another_key_is_refused():
    (signed,) = SIGNER.sign(ONE)
    (other,) = TestSigner.create(number=7).sign(ONE)
    value = re.compile(rb'("signature-value">)([^<]*)')
    forged = value.sub(rb"\g<1>" + value.search(other.signature)[2], signed.signature)
    container = stamped(replace(signed, signature=forged), ONE)
    with pytest.raises(InvalidSignatureValue):
        verify_container(container, TRUSTS)


def test_the_order_of_the_reference_decides_on_the_code():
    parts = {MESSAGE: REQUEST.replace(b"GOV/M1", b"GOV/M9")}
    (signed,) = SIGNER.sign(ONE)
    with pytest.raises(IncorrectCertificate):
        verify_container(stamped(signed, parts), TRUSTS)
    late = stamped(signed, {MESSAGE: REQUEST + b"a:b\r\n"}, at=NOON + timedelta(days=1))
    with pytest.raises(InvalidSignatureValue):
        verify_container(late, TRUSTS)


def test_a_member_of_an_unknown_instance_is_refused():
    (signed,) = SIGNER.sign(ONE)
    with pytest.raises(UnknownCertificationAuthority):
        verify_container(stamped(signed, ONE), {"FI": TRUSTS["DEV"]})


# Who sent a message


def test_the_parties_of_a_message_are_told():
    service = "SERVICE:DEV/GOV/M2/S2/service"
    assert str(read_parties(REQUEST)) == f"{SUBSYSTEM}, as a request to {service}, id DEV-1"
    answer = f"SUBSYSTEM:DEV/GOV/M2/S2, as the answer of {service} to {SUBSYSTEM}, id DEV-1"
    assert str(read_parties(RESPONSE)) == answer
    assert str(read_parties(SOAP)) == f"{SUBSYSTEM}, as a request to SERVICE:DEV/GOV/M2/get"


SOAP = b"""<?xml version="1.0" encoding="UTF-8"?>
<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"
  xmlns:x="http://x-road.eu/xsd/xroad.xsd" xmlns:id="http://x-road.eu/xsd/identifiers"><s:Header>
<x:client id:objectType="SUBSYSTEM"><id:xRoadInstance>DEV</id:xRoadInstance>
<id:memberClass>GOV</id:memberClass><id:memberCode>M1</id:memberCode>
<id:subsystemCode>S1</id:subsystemCode></x:client>
<x:service id:objectType="SERVICE"><id:xRoadInstance>DEV</id:xRoadInstance>
<id:memberClass>GOV</id:memberClass><id:memberCode>M2</id:memberCode>
<id:serviceCode>get</id:serviceCode></x:service>
</s:Header><s:Body><get/></s:Body></s:Envelope>"""
RESPONSE = (
    b"200\r\nOK\r\nx-road-id:DEV-1\r\nx-road-client:DEV/GOV/M1/S1\r\n"
    b"x-road-service:DEV/GOV/M2/S2/service\r\nx-road-request-id:1\r\nx-road-request-hash:"
    b"7zmQ9CwnVrEWzWnCyXbXkQYGR+A7/i6e61JgWMLaEI8Bj1QWdrUVGijBBdyDdhcgOpfY8Sid1RhvRbs+aFbOhw==\r\n"
)


def test_a_request_is_of_its_client_and_a_response_of_its_provider():
    assert get_sender(REQUEST) == get_sender(SOAP) == SUBSYSTEM
    assert get_sender(b"\xef\xbb\xbf" + SOAP) == SUBSYSTEM
    assert get_sender(RESPONSE) == ClientId("DEV", "GOV", "M2", "S2")
    assert get_sender(SOAP.replace(b"<get/>", b"<getResponse/>")) == ClientId("DEV", "GOV", "M2")


def test_a_message_as_large_as_live_messages_may_be_has_a_sender():
    large = SOAP.replace(b"<get/>", b"<get>" + b"<a/>" * 500_000 + b"x" * 12_000_000 + b"</get>")
    read_envelope(large)
    assert get_sender(large) == SUBSYSTEM


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"no message",
        b"<a/>",
        b"<a",
        SOAP.replace(b"<get/>", b""),
        SOAP.replace(b"<get/>", b"<get/><getResponse/>"),
        SOAP.replace(b"x:client", b"x:other"),
        SOAP.replace(b"?>", b"?><!DOCTYPE a>", 1),
        REQUEST.replace(b"X-Road-Client", b"X-Client"),
        RESPONSE.replace(b"x-road-service", b"x-service"),
    ],
)
def test_a_message_that_does_not_say_who_sent_it_is_refused(message):
    with pytest.raises(InvalidMessage):
        get_sender(message)
