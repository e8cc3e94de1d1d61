"""XRDDEV-3262: a part of a message that grows without end is refused before it has been read.

Memory is bounded because nothing but bodies and attachments is kept for longer than its limit, and
those are handed on as they come.
"""

import tracemalloc

import pytest

from pki_builder import TestCa
from signing_builder import TestSigner
from sild.protocol.algorithms import DigestAlgorithm
from sild.protocol.errors import (
    IncorrectCertificate,
    IncorrectValidationInfo,
    InvalidMessage,
    InvalidXml,
    MalformedHashChain,
    MalformedSignature,
    MimeParsingFailed,
    TimestampRefused,
)
from sild.protocol.pki.certificate import read_certificate
from sild.protocol.pki.ocsp import read_ocsp_response
from sild.protocol.pki.timestamp import read_timestamp_response, read_timestamp_token
from sild.protocol.signature.chaindocuments import read_chain, read_result
from sild.protocol.signature.verify import read_signature
from sild.protocol.transport.grammar import Direction
from sild.protocol.transport.ocsp_exchange import read_ocsp_answer
from sild.protocol.transport.reader import Limits, TransportReader, read_whole
from sild.protocol.transport.writer import write_content_type

REQUEST, RESPONSE = Direction.REQUEST, Direction.RESPONSE
BOUNDARY = "xtopB"
TYPE = write_content_type(BOUNDARY)
SHA512 = DigestAlgorithm.SHA512
LIMITS = Limits()
PIECE = 1 << 16


def part(kind, data=b"x"):
    return b"\r\n--%b\r\ncontent-type: %b\r\n\r\n%b" % (BOUNDARY.encode(), kind, data)


OCSP = b"application/ocsp-response"
REST = b"application/x-road-rest-request"
REST_ANSWER = b"application/x-road-rest-response"
BODY = b"application/x-road-rest-body"
RESULT, CHAIN = b"application/hash-chain-result", b"application/hash-chain"
SIGNATURE = b"signature/bdoc-1.0/ts"
SOAP = b"text/xml"

OPENED = part(OCSP) + part(REST)
ENDLESS = {
    "OCSP response": (REQUEST, part(OCSP, b""), LIMITS.ocsp),
    "SOAP message": (REQUEST, part(OCSP) + part(SOAP, b""), LIMITS.soap),
    "REST message": (REQUEST, part(OCSP) + part(REST, b""), LIMITS.rest_header),
    "REST message of an answer": (RESPONSE, part(REST_ANSWER, b""), LIMITS.rest_header),
    "hash chain result": (REQUEST, OPENED + part(RESULT, b""), LIMITS.hash_chain),
    "hash chain": (REQUEST, OPENED + part(RESULT) + part(CHAIN, b""), LIMITS.hash_chain),
    "signature": (REQUEST, OPENED + part(SIGNATURE, b""), LIMITS.signature),
    "signature of an answer": (
        RESPONSE,
        part(REST_ANSWER) + part(BODY) + part(SIGNATURE, b""),
        LIMITS.signature,
    ),
    "fault": (RESPONSE, part(REST_ANSWER) + part(SOAP, b""), LIMITS.fault),
}


@pytest.mark.parametrize(("direction", "begun", "limit"), ENDLESS.values(), ids=ENDLESS)
def test_xrddev_3262_a_part_without_an_end_is_refused_at_its_limit(direction, begun, limit):
    reader = TransportReader(direction, TYPE, SHA512)
    reader.feed(begun)
    for _ in range(limit // PIECE):
        assert reader.feed(b"x" * PIECE) == []
    with pytest.raises(InvalidMessage, match="longer than"):
        reader.feed(b"x" * PIECE)


@pytest.mark.parametrize(("direction", "begun", "limit"), ENDLESS.values(), ids=ENDLESS)
def test_xrddev_3262_a_part_over_its_limit_is_refused_in_memory_too(direction, begun, limit):
    data = begun + b"x" * (limit + 1) + b"\r\n--xtopB--\r\n"
    with pytest.raises(InvalidMessage, match="longer than"):
        read_whole(direction, TYPE, data, SHA512)


def test_xrddev_3262_an_answer_that_is_one_fault_is_refused_at_its_limit():
    reader = TransportReader(RESPONSE, "text/xml", SHA512)
    for _ in range(LIMITS.fault // PIECE):
        reader.feed(b"x" * PIECE)
    with pytest.raises(InvalidMessage):
        reader.feed(b"x" * PIECE)
    with pytest.raises(InvalidMessage):
        read_whole(RESPONSE, "text/xml", b"x" * (LIMITS.fault + 1), SHA512)


HEADERS = {
    "preamble": b"x" * 1000,
    "one line": b"--xtopB\r\ncontent-type: " + b"x" * 1000,
    "many lines": b"--xtopB\r\n" + b"name: value\r\n" * 100,
    "padding behind a boundary": b"--xtopB" + b" " * 1000,
}


@pytest.mark.parametrize("begun", HEADERS.values(), ids=HEADERS)
def test_xrddev_3262_what_stands_around_parts_is_limited_too(begun):
    more = begun[-12:] if b"\r\n" in begun[-3:] else begun[-1:] * 12
    with pytest.raises(MimeParsingFailed):
        feed_all([begun, *[more * 100] * 10])


def feed_all(pieces):
    reader = TransportReader(REQUEST, TYPE, SHA512)
    for piece in pieces:
        reader.feed(piece)


def test_xrddev_3262_parts_are_counted():
    many = part(OCSP) * (LIMITS.ocsp_parts + 1) + part(REST)
    with pytest.raises(InvalidMessage, match="OCSP"):
        TransportReader(REQUEST, TYPE, SHA512).feed(many)
    nested = part(b"multipart/mixed; boundary=a", b"--a")
    nested += b"\r\ncontent-type: a/b\r\n\r\n\r\n--a" * (LIMITS.attachments + 2)
    with pytest.raises(InvalidMessage, match="attachments"):
        TransportReader(REQUEST, TYPE, SHA512).feed(part(OCSP) + part(SOAP) + nested)


def test_xrddev_3262_the_body_may_be_large_because_it_is_not_kept():
    reader = TransportReader(REQUEST, TYPE, SHA512)
    reader.feed(OPENED + part(BODY, b""))
    tracemalloc.start()
    try:
        for _ in range(512):
            (chunk,) = reader.feed(b"x" * PIECE)
            assert len(chunk.data) == PIECE
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Of 512 pieces; other threads of this process may need some memory, too.
    assert peak < 128 * PIECE


# What is inside a part, or comes by another way


def test_xrddev_3262_the_answer_of_an_ocsp_exchange_is_limited():
    content_type = "multipart/related; boundary=xtopB"
    data = part(OCSP, b"x" * (64 * 1024 + 1)) + b"\r\n--xtopB--\r\n"
    with pytest.raises(InvalidMessage, match="longer"):
        read_ocsp_answer(content_type, data, 1)


READERS = {
    "OCSP response": (read_ocsp_response, 128 * 1024, IncorrectValidationInfo),
    "certificate": (read_certificate, 64 * 1024, IncorrectCertificate),
    "time-stamp response": (read_timestamp_response, 256 * 1024, TimestampRefused),
    "time-stamp token": (read_timestamp_token, 256 * 1024, TimestampRefused),
    "hash chain": (read_chain, 1_000_000, MalformedHashChain),
    "hash chain result": (read_result, 1_000_000, MalformedHashChain),
    "signature": (read_signature, 1_000_000, InvalidXml),
}


@pytest.mark.parametrize(("read", "limit", "error"), READERS.values(), ids=READERS)
def test_xrddev_3262_each_document_has_a_limit_of_its_own(read, limit, error):
    """So that an OCSP response or certificate inside of a signature has one as well."""
    # A DER sequence as long as it says, and for XML nothing that ends early.
    data = b"\x30\x84" + limit.to_bytes(4, "big") + b"\0" * limit
    with pytest.raises(error, match=r"too long|over the limit"):
        read(data)


def test_xrddev_3262_a_signature_holds_a_limited_number_of_ocsp_responses():
    ca = TestCa.create()
    document = TestSigner.create(ca=ca).document()
    head, response, tail = _ocsp_values(document)
    many = b"".join(
        response.replace(b"ocsp-response-1", b"ocsp-response-%d" % n) for n in range(1, 102)
    )
    with pytest.raises(MalformedSignature, match="101 OCSP"):
        read_signature(head + many + tail)


def _ocsp_values(document):
    start = document.index(b"<xades:EncapsulatedOCSPValue")
    end = document.index(b"</xades:OCSPValues>")
    return document[:start], document[start:end], document[end:]
