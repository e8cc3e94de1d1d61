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
    PeerFault,
    ProtocolError,
)
from sild.protocol.mime import MimeLimits
from sild.protocol.soap.fault import read_fault, write_fault
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
    SoapPart,
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
SOAP = SoapPart(b"<Envelope/>", "text/xml; charset=UTF-8")

MESSAGES = {
    "request": (REQUEST, [OcspPart(b"1"), rest(), *SIGNED]),
    "request of a batch": (REQUEST, [OcspPart(b"1"), OcspPart(b"2"), rest(), *BATCH]),
    "request with a body": (REQUEST, [OcspPart(b"1"), rest(), *body(b"body"), *BATCH]),
    "request with a body without bytes": (REQUEST, [OcspPart(b"1"), rest(), *body(), *BATCH]),
    "SOAP request": (REQUEST, [OcspPart(b"1"), SOAP, *SIGNED]),
    "response": (RESPONSE, [rest(b"200\r\nOK\r\n"), *SIGNED]),
    "response with a body": (RESPONSE, [rest(), *body(b"\r\n--xtop"), *BATCH]),
    "SOAP response": (RESPONSE, [SOAP, *SIGNED]),
    "fault alone": (RESPONSE, [fault()]),
    "fault after the message": (RESPONSE, [rest(), fault()]),
    "fault after the body": (RESPONSE, [rest(), *body(b"x"), fault()]),
    "fault after a SOAP message": (RESPONSE, [SOAP, fault()]),
}


def comparable(events):
    """Events with chunks of one body joined, and faults by what they say."""
    found = []
    for event in events:
        if isinstance(event, BodyChunk) and found and isinstance(found[-1], BodyChunk):
            found[-1] = BodyChunk(found[-1].data + event.data)
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


@pytest.mark.parametrize(
    ("parts", "error"),
    [
        ([HEADER, SIGNATURE, SIGNATURE], InvalidMessage),
        ([HEADER, SIGNATURE, (b"text/xml", FAULT_XML)], InvalidMessage),
        ([(b"text/xml", FAULT_XML), SIGNATURE], InvalidMessage),
        ([HEADER, (b"foo/bar", b"")], InvalidContentType),
        ([HEADER, (b"multipart/mixed; boundary=xatt", b"--xatt--"), SIGNATURE], InvalidContentType),
        (
            [(b"text/xml", b"<a/>"), (b"multipart/mixed; boundary=x", b""), SIGNATURE],
            InvalidContentType,
        ),
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


SMALL = Limits(4, 2, 4, 4, 4, 4, 4)


@pytest.mark.parametrize(
    ("direction", "events"),
    [
        (REQUEST, [OcspPart(b"12345")]),
        (REQUEST, [OcspPart(b"1")] * 3),
        (REQUEST, [OcspPart(b"1"), SoapPart(b"<abc/>", "text/xml")]),
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
    data = write_whole(REQUEST, BOUNDARY, events)
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


def test_without_a_hash_algorithm_nothing_is_hashed():
    data = write_whole(RESPONSE, BOUNDARY, [rest(), *SIGNED])
    for read in (whole, lambda *args, **kw: stream(*args, 1, **kw)):
        with pytest.raises(Malformed) as raised:
            read(RESPONSE, data, algorithm=None)
        assert raised.value.code == "internal_error"
    data = write_whole(RESPONSE, BOUNDARY, [SOAP, *SIGNED])
    assert whole(RESPONSE, data, algorithm=None) == stream(RESPONSE, data, 1, algorithm=None)


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
