"""Transport messages: one case list drives the writer and both readers."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sild.protocol.algorithms import DigestAlgorithm
from sild.protocol.errors import (
    InvalidContentType,
    InvalidMessage,
    Malformed,
    MimeParsingFailed,
    MissingRest,
    MissingSignature,
    MissingSoap,
    PeerFault,
    ProtocolError,
)
from sild.protocol.mime import MimeLimits, PartHeaders
from sild.protocol.soap.fault import read_fault, write_fault
from sild.protocol.soap.parts import (
    Attachment,
    AttachmentChunk,
    AttachmentEnd,
    AttachmentStart,
    SoapPart,
)
from sild.protocol.transport.events import (
    BodyChunk,
    BodyEnd,
    End,
    FaultPart,
    HashChain,
    HashChainResult,
    OcspPart,
    RestHeader,
    SignaturePart,
    SoapParts,
    TransportMessage,
)
from sild.protocol.transport.grammar import Direction, Part
from sild.protocol.transport.reader import Limits, TransportReader, read_events, read_whole
from sild.protocol.transport.writer import (
    TransportWriter,
    make_boundary,
    write_content_type,
    write_whole,
)

REQUEST, RESPONSE = Direction.REQUEST, Direction.RESPONSE
SHA512 = DigestAlgorithm.SHA512
NORMAL = Limits()
BOUNDARY = "xtopB"
TYPE = write_content_type(BOUNDARY)
FAULT_XML = write_fault("server.serverproxy.access_denied", "no", "id")


def sha512(data):
    return hashlib.sha512(data).digest()


def rest(part=b"GET\r\n/r1\r\n"):
    return RestHeader(part, sha512(part))


def body(*chunks):
    return [*map(BodyChunk, chunks), BodyEnd(sha512(b"".join(chunks)))]


def fault(xml=FAULT_XML):
    return FaultPart(read_fault(xml), xml)


SIGNED = [SignaturePart(b"<s/>")]
BATCH = [HashChainResult(b"<r/>"), HashChain(b"<c/>"), SignaturePart(b"<s/>")]
TEXT = "text/xml; charset=UTF-8"
NESTED = b"multipart/mixed; charset=UTF-8; boundary=xattB"


def soap(raw=b"<Envelope/>", content_type=TEXT, others=()):
    media_type = content_type.partition(";")[0]
    return SoapPart(raw, PartHeaders(media_type, content_type, others), sha512(raw))


def attachment(*chunks, content_type="image/png", others=()):
    start = AttachmentStart(PartHeaders(content_type, content_type, others))
    return [start, *map(AttachmentChunk, chunks), AttachmentEnd(sha512(b"".join(chunks)))]


SOAP = soap()
XOP = soap(
    b"<x/>",
    "application/xop+xml; type=text/xml",
    (("Content-Transfer-Encoding", "8bit"), ("Content-ID", "<rootpart>")),
)
DATA_BIN = attachment(b"aGVs", b"bG8=\r\n", others=(("Content-ID", "<data.bin>"),))

MESSAGES = {
    "request": (REQUEST, [OcspPart(b"1"), rest(), *SIGNED]),
    "request of a batch": (REQUEST, [OcspPart(b"1"), OcspPart(b"2"), rest(), *BATCH]),
    "request with a body": (REQUEST, [OcspPart(b"1"), rest(), *body(b"body"), *BATCH]),
    "request with a body without bytes": (REQUEST, [OcspPart(b"1"), rest(), *body(), *BATCH]),
    "SOAP request": (REQUEST, [OcspPart(b"1"), SOAP, *SIGNED]),
    "SOAP request with attachments": (
        REQUEST,
        [OcspPart(b"1"), SOAP, *attachment(b"\r\n--xatt", b"x"), *attachment(), *BATCH],
    ),
    "MTOM request": (REQUEST, [OcspPart(b"1"), XOP, *DATA_BIN, *BATCH]),
    "response": (RESPONSE, [rest(b"200\r\nOK\r\n"), *SIGNED]),
    "response with a body": (RESPONSE, [rest(), *body(b"\r\n--xtop"), *BATCH]),
    "SOAP response": (RESPONSE, [SOAP, *SIGNED]),
    "fault alone": (RESPONSE, [fault()]),
    "fault after the message": (RESPONSE, [rest(), fault()]),
    "fault after the body": (RESPONSE, [rest(), *body(b"x"), fault()]),
    "SOAP response with an attachment": (RESPONSE, [SOAP, *DATA_BIN, *SIGNED]),
    "fault after a SOAP message": (RESPONSE, [SOAP, fault()]),
    "fault after an attachment": (RESPONSE, [SOAP, *DATA_BIN, fault()]),
}


def comparable(events):
    """Events with chunks of one body joined, and faults by what they say."""
    found = []
    for event in events:
        is_chunk = isinstance(event, BodyChunk | AttachmentChunk)
        if is_chunk and found and isinstance(found[-1], type(event)):
            found[-1] = type(event)(found[-1].data + event.data)
        elif isinstance(event, FaultPart):
            found.append((event.fault.fault, event.fault.message, event.fault.detail, event.raw))
        else:
            found.append(event)
    return found


def stream(direction, data, size, *, content_type=TYPE, algorithm=SHA512, limits=NORMAL):
    reader = TransportReader(direction, content_type, algorithm, limits)
    events = []
    for start in range(0, len(data), size):
        events += reader.feed(data[start : start + size])
    events += reader.finish()
    return events


def whole(direction, data, *, content_type=TYPE, algorithm=SHA512, limits=NORMAL):
    return read_events(direction, content_type, data, algorithm, limits)


@pytest.mark.parametrize(("direction", "events"), MESSAGES.values(), ids=MESSAGES)
def test_what_is_written_is_read_back(direction, events):
    data = write_whole(direction, BOUNDARY, events)
    expected = comparable([*events, End()])
    assert comparable(whole(direction, data)) == expected
    for size in (1, 2, 7, 1000):
        assert comparable(stream(direction, data, size)) == expected
    assert comparable(stream(direction, data + b"trailing\r\n--xtopB\r\n", 5)) == expected
    assert comparable(whole(direction, data + b"trailing\r\n--xtopB\r\n")) == expected


@pytest.mark.parametrize(("direction", "events"), MESSAGES.values(), ids=MESSAGES)
def test_every_truncation_is_refused(direction, events):
    data = write_whole(direction, BOUNDARY, events)
    for length in range(0, len(data) - 2, 3):
        with pytest.raises(ProtocolError):
            whole(direction, data[:length])
        with pytest.raises(ProtocolError):
            stream(direction, data[:length], 50)


def test_a_fault_may_break_off_a_body_that_was_begun():
    events = [rest(), BodyChunk(b"begun"), fault(), End()]
    writer = TransportWriter(RESPONSE, BOUNDARY)
    read = whole(RESPONSE, b"".join([writer.write(event) for event in events]))
    assert comparable(read) == comparable([rest(), *body(b"begun"), fault(), End()])


def test_nothing_but_a_fault_breaks_off_a_body():
    for event in (SIGNED[0], *BATCH):
        writer = TransportWriter(RESPONSE, BOUNDARY)
        for before in (rest(), BodyChunk(b"begun")):
            writer.write(before)
        with pytest.raises(InvalidMessage):
            writer.write(event)


def test_a_message_has_exactly_these_bytes():
    data = write_whole(REQUEST, BOUNDARY, [OcspPart(b"\x30"), rest(), *body(b"{", b"}"), *BATCH])
    assert data == (
        b"--xtopB\r\ncontent-type: application/ocsp-response\r\n\r\n\x30\r\n"
        b"--xtopB\r\ncontent-type: application/x-road-rest-request\r\n\r\nGET\r\n/r1\r\n\r\n"
        b"--xtopB\r\ncontent-type: application/x-road-rest-body\r\n\r\n{}\r\n"
        b"--xtopB\r\ncontent-type: application/hash-chain-result\r\n\r\n<r/>\r\n"
        b"--xtopB\r\ncontent-type: application/hash-chain\r\n\r\n<c/>\r\n"
        b"--xtopB\r\ncontent-type: signature/bdoc-1.0/ts\r\n\r\n<s/>\r\n"
        b"--xtopB--\r\n"
    )
    data = write_whole(RESPONSE, BOUNDARY, [rest(), fault()])
    assert data.startswith(b"--xtopB\r\ncontent-type: application/x-road-rest-response\r\n\r\n")
    assert b"--xtopB\r\ncontent-type: text/xml; charset=UTF-8\r\n\r\n<?xml" in data
    data = write_whole(RESPONSE, BOUNDARY, [SOAP, *SIGNED])
    assert data.startswith(
        b"--xtopB\r\ncontent-type: text/xml; charset=UTF-8\r\n\r\n<Envelope/>\r\n"
    )


def test_a_message_with_attachments_has_exactly_these_bytes():
    data = write_whole(REQUEST, BOUNDARY, [OcspPart(b"1"), XOP, *DATA_BIN, *attachment(), *SIGNED])
    assert data == (
        b"--xtopB\r\ncontent-type: application/ocsp-response\r\n\r\n1\r\n"
        b"--xtopB\r\ncontent-type: application/xop+xml; type=text/xml\r\n"
        b"Content-Transfer-Encoding: 8bit\r\nContent-ID: <rootpart>\r\n\r\n<x/>\r\n"
        b"--xtopB\r\ncontent-type: multipart/mixed; charset=UTF-8; boundary=xattB\r\n\r\n\r\n"
        b"--xattB\r\ncontent-type: image/png\r\nContent-ID: <data.bin>\r\n\r\naGVsbG8=\r\n\r\n"
        b"--xattB\r\ncontent-type: image/png\r\n\r\n\r\n"
        b"--xattB--\r\n\r\n"
        b"--xtopB\r\ncontent-type: signature/bdoc-1.0/ts\r\n\r\n<s/>\r\n"
        b"--xtopB--\r\n"
    )


def test_a_fault_may_cut_an_attachment_short():
    writer = TransportWriter(RESPONSE, BOUNDARY)
    events = [SOAP, *DATA_BIN[:2], fault(), End()]
    data = b"".join(map(writer.write, events))
    assert b"aGVs\r\n--xattB--\r\n\r\n--xtopB\r\ncontent-type: text/xml" in data
    message = read_whole(RESPONSE, TYPE, data, SHA512)
    assert message.fault.raw == FAULT_XML
    with pytest.raises(PeerFault):
        message.get_soap()


def test_the_content_type_and_boundary_are_those_of_peers():
    boundary = make_boundary(bytes(range(226, 256)))
    assert len(boundary) == 34
    assert boundary.startswith("xtop")
    assert boundary.isascii()
    assert boundary.isalpha()
    assert write_content_type("xtopA") == "multipart/mixed; charset=UTF-8; boundary=xtopA"
    with pytest.raises(InvalidMessage):
        make_boundary(bytes(29))


def test_an_empty_body_part_is_not_a_missing_one():
    without = write_whole(RESPONSE, BOUNDARY, [rest(), *SIGNED])
    empty = write_whole(RESPONSE, BOUNDARY, [rest(), *body(), *SIGNED])
    assert without != empty
    assert write_whole(RESPONSE, BOUNDARY, [rest(), *body(b""), *SIGNED]) == empty
    message = read_whole(RESPONSE, TYPE, without, SHA512)
    assert (message.body, message.body_digest) == (None, None)
    assert message.get_rest().body_digest is None
    message = read_whole(RESPONSE, TYPE, empty, SHA512)
    assert (message.body, message.body_digest) == (b"", sha512(b""))
    assert message.get_rest().body_digest == sha512(b"")


def test_a_whole_message_has_its_parts():
    _, events = MESSAGES["request with a body"]
    message = read_whole(REQUEST, TYPE, write_whole(REQUEST, BOUNDARY, events), SHA512)
    assert message == TransportMessage(
        ocsp=(b"1",),
        header=rest(),
        body=b"body",
        body_digest=sha512(b"body"),
        hash_chain_result=b"<r/>",
        hash_chain=b"<c/>",
        signature=b"<s/>",
    )


def test_a_streamed_message_has_all_but_the_body():
    _, events = MESSAGES["request with a body"]
    data = write_whole(REQUEST, BOUNDARY, events)
    reader = TransportReader(REQUEST, TYPE, SHA512)
    reader.feed(data)
    reader.finish()
    assert reader.message.body is None
    assert reader.message.get_rest() == read_whole(REQUEST, TYPE, data, SHA512).get_rest()


def test_a_soap_message_has_its_parts():
    _, events = MESSAGES["SOAP request with attachments"]
    data = write_whole(REQUEST, BOUNDARY, events)
    image = PartHeaders("image/png", "image/png")
    expected = SoapParts(
        soap=SOAP,
        attachments=(
            Attachment(image, sha512(b"\r\n--xattx"), b"\r\n--xattx"),
            Attachment(image, sha512(b""), b""),
        ),
        hash_chain_result=b"<r/>",
        hash_chain=b"<c/>",
        signature=b"<s/>",
    )
    message = read_whole(REQUEST, TYPE, data, SHA512)
    assert message.get_soap() == expected
    reader = TransportReader(REQUEST, TYPE, SHA512)
    reader.feed(data)
    reader.finish()
    assert reader.message == message.without_bodies()
    assert [one.data for one in reader.message.attachments] == [None, None]
    assert [one.digest for one in reader.message.attachments] == [
        one.digest for one in expected.attachments
    ]


def test_a_large_attachment_passes_and_is_not_kept():
    reader, writer = TransportReader(RESPONSE, TYPE, SHA512), TransportWriter(RESPONSE, BOUNDARY)
    digest = hashlib.sha512()
    reader.feed(writer.write(SOAP) + writer.write(attachment()[0]))
    chunk = b"x" * 65_536
    for _ in range(64):
        digest.update(chunk)
        for event in reader.feed(writer.write(AttachmentChunk(chunk))):
            assert isinstance(event, AttachmentChunk | AttachmentStart)
        assert not reader._pieces
        assert len(reader._multipart._held) < 100
    events = [AttachmentEnd(digest.digest()), *SIGNED, End()]
    tail = reader.feed(b"".join(map(writer.write, events)))
    assert [event for event in tail if not isinstance(event, AttachmentChunk)] == events


def test_the_digest_of_an_attachment_is_over_its_encoded_bytes():
    _, events = MESSAGES["MTOM request"]
    message = read_whole(REQUEST, TYPE, write_whole(REQUEST, BOUNDARY, events), SHA512)
    assert message.attachments[0].digest == sha512(b"aGVsbG8=\r\n")


def test_a_large_body_passes_and_is_not_kept():
    reader, writer = TransportReader(RESPONSE, TYPE, SHA512), TransportWriter(RESPONSE, BOUNDARY)
    digest = hashlib.sha512()
    reader.feed(writer.write(rest()) + writer.write(BodyChunk(b"")))
    chunk = b"x" * 65_536
    for _ in range(64):
        digest.update(chunk)
        for event in reader.feed(writer.write(BodyChunk(chunk))):
            assert isinstance(event, BodyChunk)
        assert not reader._pieces
        assert len(reader._multipart._held) < 100
    events = [BodyEnd(digest.digest()), *SIGNED, End()]
    tail = reader.feed(b"".join(map(writer.write, events)))
    assert [event for event in tail if not isinstance(event, BodyChunk)] == events


@pytest.mark.parametrize(
    ("direction", "events", "missing"),
    [
        (REQUEST, [OcspPart(b"1")], MissingRest),
        (REQUEST, [OcspPart(b"1"), SOAP, *SIGNED], MissingRest),
        (REQUEST, [OcspPart(b"1"), rest()], MissingSignature),
        (REQUEST, [OcspPart(b"1"), rest(), *body(b"x"), HashChainResult(b"")], MissingSignature),
        (RESPONSE, [SOAP, *SIGNED], MissingRest),
        (RESPONSE, [rest()], MissingSignature),
    ],
)
def test_a_message_without_a_part_is_read_but_is_no_rest_message(direction, events, missing):
    writer = TransportWriter(direction, BOUNDARY)
    data = b"".join(map(writer.write, events)) + writer._multipart.close()
    message = read_whole(direction, TYPE, data, SHA512)
    with pytest.raises(missing):
        message.get_rest()
    assert TransportMessage.from_events(stream(direction, data, 3)) == message


@pytest.mark.parametrize(
    ("events", "missing"),
    [
        ([OcspPart(b"1")], MissingSoap),
        ([OcspPart(b"1"), rest(), *SIGNED], MissingSoap),
        ([OcspPart(b"1"), SOAP], MissingSignature),
        ([OcspPart(b"1"), SOAP, *DATA_BIN], MissingSignature),
    ],
)
def test_a_message_without_a_part_is_read_but_is_no_soap_message(events, missing):
    writer = TransportWriter(REQUEST, BOUNDARY)
    data = b"".join(map(writer.write, events))
    data += writer._close_nested() + writer._multipart.close()
    message = read_whole(REQUEST, TYPE, data, SHA512)
    with pytest.raises(missing):
        message.get_soap()
    assert TransportMessage.from_events(stream(REQUEST, data, 3)) == message


@pytest.mark.parametrize("name", [name for name in MESSAGES if "fault" in name])
def test_a_fault_is_raised_with_the_code_it_came_with(name):
    direction, events = MESSAGES[name]
    message = read_whole(direction, TYPE, write_whole(direction, BOUNDARY, events), SHA512)
    with pytest.raises(PeerFault) as raised:
        message.get_rest()
    assert raised.value.fault_code("server.clientproxy") == "server.serverproxy.access_denied"
    assert raised.value.detail == "id"
    assert message.fault.raw == FAULT_XML


@pytest.mark.parametrize("content_type", ["text/xml", "Text/XML; charset=UTF-8"])
def test_a_fault_may_be_a_whole_response(content_type):
    expected = comparable([fault(), End()])
    assert comparable(whole(RESPONSE, FAULT_XML, content_type=content_type)) == expected
    for size in (1, 10_000):
        found = stream(RESPONSE, FAULT_XML, size, content_type=content_type, algorithm=None)
        assert comparable(found) == expected


@pytest.mark.parametrize(
    ("direction", "content_type", "data", "error"),
    [
        (REQUEST, "text/xml", FAULT_XML, InvalidContentType),
        (RESPONSE, "text/xml", FAULT_XML.replace(b"Fault", b"Other"), InvalidMessage),
        (RESPONSE, "text/plain", FAULT_XML, InvalidContentType),
        (RESPONSE, "multipart/related; boundary=xtopB", b"", InvalidContentType),
        (RESPONSE, "multipart/mixed", b"", InvalidContentType),
        (RESPONSE, "", b"", InvalidContentType),
        (RESPONSE, "text/xml", b"", ProtocolError),
    ],
)
def test_other_whole_bodies_are_refused(direction, content_type, data, error):
    with pytest.raises(error):
        whole(direction, data, content_type=content_type)
    with pytest.raises(error):
        stream(direction, data, 10, content_type=content_type)


def test_a_soap_message_in_place_of_a_signature_is_refused():
    other = FAULT_XML.replace(b"SOAP-ENV:Fault", b"SOAP-ENV:Other")
    data = write_whole(RESPONSE, BOUNDARY, [rest(), FaultPart(PeerFault("a", "b"), other)])
    for read in (whole, lambda direction, data: stream(direction, data, 1)):
        with pytest.raises(InvalidContentType):
            read(RESPONSE, data)


def multipart(*parts):
    lines = [b"--xtopB\r\ncontent-type: %b\r\n\r\n%b\r\n" % part for part in parts]
    return b"".join(lines) + b"--xtopB--\r\n"


HEADER = (b"application/x-road-rest-response", b"200\r\nOK\r\n")
SIGNATURE = (b"signature/bdoc-1.0/ts", b"<s/>")
XML = (b"text/xml", b"<a/>")
EMPTY = b"\r\n--xattB--"


@pytest.mark.parametrize(
    ("parts", "error"),
    [
        ([HEADER, SIGNATURE, SIGNATURE], InvalidMessage),
        ([HEADER, SIGNATURE, (b"text/xml", FAULT_XML)], InvalidMessage),
        ([(b"text/xml", FAULT_XML), SIGNATURE], InvalidMessage),
        ([HEADER, (b"foo/bar", b"")], InvalidContentType),
        ([HEADER, (b"multipart/mixed; boundary=xatt", b"--xatt--"), SIGNATURE], InvalidContentType),
        ([XML, (b"multipart/mixed; boundary=x", b""), SIGNATURE], MimeParsingFailed),
        ([XML, (NESTED, b"--xattB\r\ncontent-type: a/b\r\n\r\nx"), SIGNATURE], MimeParsingFailed),
        ([XML, (NESTED, b"--xattB\r\nx: y\r\n\r\nx\r\n--xattB--"), SIGNATURE], InvalidContentType),
        ([XML, (b"multipart/mixed", b""), SIGNATURE], InvalidContentType),
        ([XML, (NESTED, EMPTY), (NESTED, EMPTY), SIGNATURE], InvalidContentType),
        ([(NESTED, EMPTY), SIGNATURE], InvalidContentType),
        ([HEADER, HEADER, SIGNATURE], InvalidContentType),
        ([(b"application/ocsp-response", b""), HEADER, SIGNATURE], InvalidContentType),
        ([(b"nonsense", b"")], InvalidContentType),
    ],
)
def test_parts_out_of_order_are_refused(parts, error):
    data = multipart(*parts)
    for read in (whole, lambda direction, data: stream(direction, data, 1)):
        with pytest.raises(error):
            read(RESPONSE, data)


def test_media_types_are_compared_without_case_and_parameters():
    data = multipart(
        (b"Application/X-Road-REST-Response; x=y", b""), (b"Signature/BDOC-1.0/ts", b"")
    )
    assert whole(RESPONSE, data) == stream(RESPONSE, data, 1)


def test_attachments_without_any_are_none():
    data = multipart(XML, (NESTED, EMPTY), SIGNATURE)
    message = read_whole(RESPONSE, TYPE, data, SHA512)
    assert message.get_soap().attachments == ()
    assert stream(RESPONSE, data, 1) == whole(RESPONSE, data)


def test_an_attachment_may_be_a_multipart_of_its_own_and_is_not_opened():
    inner = b"--i\r\nContent-Type: text/plain\r\n\r\nx\r\n--i--\r\n"
    events = [OcspPart(b"1"), SOAP, *attachment(inner, content_type="multipart/mixed; boundary=i")]
    data = write_whole(REQUEST, BOUNDARY, [*events, *SIGNED])
    (only,) = read_whole(REQUEST, TYPE, data, SHA512).attachments
    assert only.data == inner


def test_a_message_that_speaks_of_faults_is_no_fault():
    spoken = b"<b:Fault>Fault</b:Fault>" * 12_000
    talk = soap(FAULT_XML.split(b"<SOAP-ENV:Fault>")[0] + b"<a xmlns:b='urn:b'>" + spoken)
    talk = soap(talk.raw + b"</a></SOAP-ENV:Body></SOAP-ENV:Envelope>")
    data = write_whole(RESPONSE, BOUNDARY, [talk, *SIGNED])
    assert read_whole(RESPONSE, TYPE, data, SHA512).get_soap().soap == talk


SMALL = Limits(4, 2, 4, 4, 4, 4, 4, 1)


@pytest.mark.parametrize(
    ("direction", "events"),
    [
        (REQUEST, [OcspPart(b"12345")]),
        (REQUEST, [OcspPart(b"1")] * 3),
        (REQUEST, [OcspPart(b"1"), soap(b"<abc/>")]),
        (REQUEST, [OcspPart(b"1"), soap(b"<a/>"), *attachment(), *attachment(), *SIGNED]),
        (REQUEST, [OcspPart(b"1"), rest(b"12345")]),
        (REQUEST, [OcspPart(b"1"), rest(b"1"), HashChainResult(b"12345")]),
        (REQUEST, [OcspPart(b"1"), rest(b"1"), HashChainResult(b"1"), HashChain(b"12345")]),
        (REQUEST, [OcspPart(b"1"), rest(b"1"), SignaturePart(b"12345")]),
        (RESPONSE, [rest(b"1"), fault()]),
    ],
)
def test_each_part_but_the_body_is_limited(direction, events):
    writer = TransportWriter(direction, BOUNDARY)
    data = b"".join(map(writer.write, events)) + writer._multipart.close()
    whole(direction, data)
    with pytest.raises(InvalidMessage):
        whole(direction, data, limits=SMALL)
    for size in (1, 1000):
        with pytest.raises(InvalidMessage):
            stream(direction, data, size, limits=SMALL)


def test_a_part_at_its_limit_and_a_body_beyond_it_pass():
    events = [
        OcspPart(b"1234"),
        OcspPart(b"1"),
        rest(b"1234"),
        *body(b"12345"),
        SignaturePart(b"1234"),
    ]
    for sent in (events, [OcspPart(b"1"), soap(b"<a/>"), *attachment(b"12345"), *SIGNED]):
        data = write_whole(REQUEST, BOUNDARY, sent)
        assert whole(REQUEST, data, limits=SMALL) == stream(REQUEST, data, 1000, limits=SMALL)


def test_a_whole_fault_is_limited():
    with pytest.raises(InvalidMessage):
        whole(RESPONSE, FAULT_XML, content_type="text/xml", limits=SMALL)
    with pytest.raises(InvalidMessage):
        stream(RESPONSE, FAULT_XML, 10, content_type="text/xml", limits=SMALL)


def test_an_endless_part_is_refused_before_it_is_kept():
    reader = TransportReader(REQUEST, TYPE, SHA512)
    reader.feed(b"--xtopB\r\ncontent-type: application/ocsp-response\r\n\r\n")
    for _ in range(16):
        reader.feed(b"x" * 4096)
    with pytest.raises(InvalidMessage):
        reader.feed(b"x" * 4096)


def test_an_endless_header_is_refused():
    reader = TransportReader(REQUEST, TYPE, SHA512)
    reader.feed(b"--xtopB\r\n" + b"x: y\r\n" * 1000)
    with pytest.raises(MimeParsingFailed):
        reader.feed(b"x: y\r\n" * 1000)


def test_the_hash_algorithm_is_that_of_the_message():
    data = write_whole(RESPONSE, BOUNDARY, [rest(), *body(b"x"), *SIGNED])
    for algorithm in (DigestAlgorithm.SHA256, DigestAlgorithm.SHA384):
        events = whole(RESPONSE, data, algorithm=algorithm)
        assert events[0].digest == algorithm.digest(rest().part)
        assert events[2].digest == algorithm.digest(b"x")
        assert stream(RESPONSE, data, 1000, algorithm=algorithm) == events
    data = write_whole(RESPONSE, BOUNDARY, [SOAP, *DATA_BIN, *SIGNED])
    for algorithm in (DigestAlgorithm.SHA256, DigestAlgorithm.SHA384):
        events = whole(RESPONSE, data, algorithm=algorithm)
        assert events[0].digest == algorithm.digest(SOAP.raw)
        assert events[3].digest == algorithm.digest(b"aGVsbG8=\r\n")
        assert stream(RESPONSE, data, 1000, algorithm=algorithm) == events


def test_without_a_hash_algorithm_nothing_is_hashed():
    data = write_whole(RESPONSE, BOUNDARY, [rest(), *SIGNED])
    for read in (whole, lambda *args, **kw: stream(*args, 1, **kw)):
        with pytest.raises(Malformed) as raised:
            read(RESPONSE, data, algorithm=None)
        assert raised.value.code == "internal_error"
    data = write_whole(RESPONSE, BOUNDARY, [SOAP, *DATA_BIN, *SIGNED])
    for read in (whole, lambda *args, **kw: stream(*args, 1, **kw)):
        with pytest.raises(Malformed):
            read(RESPONSE, data, algorithm=None)


def test_a_soap_response_without_attachments_needs_no_hash_algorithm():
    data = write_whole(RESPONSE, BOUNDARY, [SOAP, *SIGNED])
    assert whole(RESPONSE, data, algorithm=None) == stream(RESPONSE, data, 1, algorithm=None)
    assert whole(RESPONSE, data, algorithm=None)[0] == SOAP


@pytest.mark.parametrize(
    ("direction", "events"),
    [
        (REQUEST, [rest(), *SIGNED]),
        (REQUEST, [OcspPart(b"1"), *SIGNED]),
        (REQUEST, [OcspPart(b"1"), rest()]),
        (REQUEST, [OcspPart(b"1"), fault()]),
        (REQUEST, [OcspPart(b"1"), rest(), fault()]),
        (REQUEST, [OcspPart(b"1"), rest(), HashChainResult(b""), *SIGNED]),
        (REQUEST, [OcspPart(b"1"), rest(), HashChain(b""), *SIGNED]),
        (RESPONSE, [OcspPart(b"1"), rest(), *SIGNED]),
        (RESPONSE, []),
        (RESPONSE, [rest(), BodyChunk(b"x"), *SIGNED]),
        (RESPONSE, [rest(), *body(b"x"), *body(b"y"), *SIGNED]),
        (RESPONSE, [*body(b"x"), *SIGNED]),
        (RESPONSE, [rest(), *SIGNED, *SIGNED]),
        (RESPONSE, [fault(), *SIGNED]),
        (RESPONSE, [rest(), *SIGNED, End()]),
        (REQUEST, [*DATA_BIN]),
        (REQUEST, [OcspPart(b"1"), SOAP, *DATA_BIN]),
        (REQUEST, [OcspPart(b"1"), SOAP, *DATA_BIN[:1], *SIGNED]),
        (REQUEST, [OcspPart(b"1"), SOAP, *DATA_BIN[1:], *SIGNED]),
        (REQUEST, [OcspPart(b"1"), SOAP, *DATA_BIN, AttachmentChunk(b"x"), *SIGNED]),
        (REQUEST, [OcspPart(b"1"), SOAP, AttachmentEnd(b""), *SIGNED]),
        (REQUEST, [OcspPart(b"1"), SOAP, DATA_BIN[0], *DATA_BIN, *SIGNED]),
        (REQUEST, [OcspPart(b"1"), SOAP, *BATCH[:2], *DATA_BIN, *SIGNED]),
        (REQUEST, [OcspPart(b"1"), SOAP, *DATA_BIN[:1], fault()]),
        (RESPONSE, [rest(), *DATA_BIN, *SIGNED]),
        (RESPONSE, [SOAP, *DATA_BIN, SOAP, *SIGNED]),
        (RESPONSE, [SOAP, *body(b"x"), *SIGNED]),
    ],
)
def test_what_may_not_be_sent_is_not_written(direction, events):
    with pytest.raises(InvalidMessage):
        write_whole(direction, BOUNDARY, events)


def test_the_writer_says_where_it_is():
    writer = TransportWriter(RESPONSE, BOUNDARY)
    assert writer.after is Part.START
    writer.write(rest())
    assert writer.after is Part.REST_HEADER


TOKENS = [
    b"\r\n", b"\n", b"--xtopB", b"\r\n--xtopB\r\n", b"--xtopB--", b"\r\n\r\n", b"-", b"x", b"\x00",
    b"content-type: text/xml\r\n\r\n", b"content-type: application/x-road-rest-body\r\n\r\n",
    b"content-type: signature/bdoc-1.0/ts\r\n\r\n", b"content-type: application/hash-chain-result\r\n\r\n",
    b"content-type: application/ocsp-response\r\n\r\n", FAULT_XML, b"<Fault/>",
    b"--xattB", b"\r\n--xattB\r\n", b"\r\n--xattB--", b"content-type: " + NESTED + b"\r\n\r\n",
]  # fmt: skip


@st.composite
def mutated(draw):
    direction, events = draw(st.sampled_from(list(MESSAGES.values())))
    data = write_whole(direction, BOUNDARY, events)
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        until = draw(st.integers(at, min(len(data), at + 60)))
        data = data[:at] + draw(st.sampled_from([b"", *TOKENS])) + data[until:]
    return direction, data


@settings(max_examples=max(300, settings.default.max_examples))
@given(
    mutated(),
    st.integers(1, 300),
    st.sampled_from([Limits(), SMALL, Limits(mime=MimeLimits(40, 50, 5))]),
)
def test_both_readers_agree_on_any_bytes(case, size, limits):
    direction, data = case
    outcomes = []
    for read in (whole, lambda *args, **kw: stream(*args, size, **kw)):
        try:
            outcomes.append(comparable(read(direction, data, limits=limits)))
        except ProtocolError:
            outcomes.append("refused")
    assert outcomes[0] == outcomes[1]
