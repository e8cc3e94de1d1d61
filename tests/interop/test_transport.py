"""Transport messages made by the reference implementation."""

import hashlib
import re

import pytest

from sild.protocol.algorithms import DigestAlgorithm
from sild.protocol.errors import InvalidContentType, ProtocolError
from sild.protocol.soap.message import read_soap
from sild.protocol.soap.parts import AttachmentChunk, AttachmentEnd, AttachmentStart, SoapPart
from sild.protocol.transport.events import End, FaultPart, OcspPart, SignaturePart, TransportMessage
from sild.protocol.transport.grammar import Direction
from sild.protocol.transport.reader import TransportReader, read_events
from sild.protocol.transport.writer import write_whole

BOUNDARY = "xtop1357783211hcn1yiro"


def joined(events):
    """The types of events, of several chunks the first."""
    kinds = [type(event) for event in events]
    return [
        kind
        for place, kind in enumerate(kinds)
        if kind is not AttachmentChunk or kinds[place - 1] is not kind
    ]


def decode(vectors, name, boundary, direction=Direction.REQUEST):
    data = (vectors / "transport" / name).read_bytes()
    content_type = f"multipart/mixed; charset=UTF-8; boundary={boundary}"
    algorithm = DigestAlgorithm.SHA512
    whole = read_events(direction, content_type, data, algorithm)
    for size in (1, 100, len(data)):
        reader = TransportReader(direction, content_type, algorithm)
        events = [
            event
            for start in range(0, len(data), size)
            for event in reader.feed(data[start : start + size])
        ]
        reader.finish()
        assert joined(events) == joined(whole)
        assert reader.message.attachments == TransportMessage.from_events(whole).without_bodies().attachments  # fmt: skip
    for event in whole:
        raw = next(
            (getattr(event, name) for name in ("raw", "der", "document") if hasattr(event, name)),
            b"",
        )
        assert raw in data
    return whole


KINDS = {
    "message": [SoapPart],
    "signature": [SignaturePart],
    "ocsp": [OcspPart],
    "attachment": [AttachmentStart, AttachmentChunk, AttachmentEnd],
}


def test_every_transport_message_decodes_as_listed(vectors):
    rows = [line.split("\t") for line in (vectors / "INDEX.tsv").read_text().splitlines()]
    listed = {row[1]: row[2] for row in rows if row[0] == "transport"}
    assert len(listed) == 5
    for path, expected in listed.items():
        found = re.search(r"boundary (\w+)", expected)
        name, boundary = path.removeprefix("transport/"), found[1] if found else BOUNDARY
        if expected == "invalid_content_type":
            with pytest.raises(ProtocolError) as raised:
                decode(vectors, name, boundary)
            assert raised.value.code == expected
            continue
        if "fault" in expected:
            events = decode(vectors, name, boundary, Direction.RESPONSE)
            kinds = [SoapPart, FaultPart]
        else:
            events = decode(vectors, name, boundary)
            kinds = [kind for part in expected.partition(",")[0].split("+") for kind in KINDS[part]]
        assert [type(event) for event in events] == [*kinds, End]


def test_a_message_and_a_signature(vectors):
    soap, signature, end = decode(vectors, "normal.request", BOUNDARY)
    assert isinstance(soap, SoapPart)
    assert soap.content_type == "text/xml"
    assert soap.raw.startswith(b'<?xml version="1.0" encoding="utf-8"?>\n<SOAP-ENV:Envelope')
    assert soap.raw.endswith(b"</SOAP-ENV:Envelope>")
    assert soap.digest == hashlib.sha512(soap.raw).digest()
    assert isinstance(signature, SignaturePart)
    assert signature.document.endswith(b"</asic:XAdESSignatures>")
    assert end == End()


def test_an_ocsp_response_a_message_and_a_signature(vectors):
    ocsp, soap, signature, end = decode(vectors, "ocsp.request", BOUNDARY)
    assert isinstance(ocsp, OcspPart)
    # A DER sequence that says its own length.
    assert ocsp.der[:2] == b"\x30\x82"
    assert len(ocsp.der) == 4 + int.from_bytes(ocsp.der[2:4], "big")
    assert isinstance(soap, SoapPart)
    assert isinstance(signature, SignaturePart)
    assert end == End()


def test_a_message_an_attachment_and_a_signature(vectors):
    events = decode(vectors, "attachment.request", "xtop569125687hcu8vfma")
    soap, start, chunk, finish, signature, end = events
    assert isinstance(soap, SoapPart)
    assert start.headers.content_type == "text/plain"
    assert chunk == AttachmentChunk(b"blaah")
    assert finish == AttachmentEnd(hashlib.sha512(b"blaah").digest())
    assert isinstance(signature, SignaturePart)
    assert end == End()
    # Apart from line ends and the case of names, it is written as the reference wrote it.
    written = write_whole(Direction.REQUEST, "xtop569125687hcu8vfma", [OcspPart(b""), *events[:-1]])
    data = (vectors / "transport/attachment.request").read_bytes()
    middle = written[written.index(b"--xtop569125687hcu8vfma", 10) :].replace(b"\r\n", b"\n")
    assert middle.replace(b"content-type", b"Content-Type").strip() == data.strip()


@pytest.mark.parametrize(
    ("name", "boundary"),
    [
        ("normal.request", BOUNDARY),
        ("ocsp.request", BOUNDARY),
        ("attachment.request", "xtop569125687hcu8vfma"),
    ],
)
def test_the_messages_inside_can_be_read(vectors, name, boundary):
    parts = TransportMessage.from_events(decode(vectors, name, boundary)).get_soap()
    found = read_soap(parts.soap.raw, parts.soap.content_type)
    assert found.header.service.service_code == found.body_name
    assert found.header.client.short == "EE/BUSINESS/consumer"


def test_a_fault_instead_of_a_signature(vectors):
    name = "fault-signature.request"
    soap, fault, end = decode(vectors, name, BOUNDARY, Direction.RESPONSE)
    assert isinstance(soap, SoapPart)
    assert isinstance(fault, FaultPart)
    found = fault.fault
    assert (found.fault, found.message, found.detail) == ("CODE", "STRING", "DETAIL")
    assert end == End()
    with pytest.raises(InvalidContentType):
        decode(vectors, name, BOUNDARY, Direction.REQUEST)


def test_another_content_type_instead_of_a_signature(vectors):
    name = "invalid-contenttype-signature.request"
    for direction in Direction:
        with pytest.raises(InvalidContentType) as raised:
            decode(vectors, name, BOUNDARY, direction)
        assert raised.value.code == "invalid_content_type"
