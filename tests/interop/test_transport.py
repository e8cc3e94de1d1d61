"""Transport messages made by the reference implementation."""

import pytest

from sild.protocol.algorithms import DigestAlgorithm
from sild.protocol.errors import InvalidContentType
from sild.protocol.transport.events import End, FaultPart, OcspPart, SignaturePart, SoapPart
from sild.protocol.transport.grammar import Direction
from sild.protocol.transport.reader import TransportReader, read_events


def decode(vectors, name, boundary, direction=Direction.REQUEST):
    data = (vectors / "transport" / name).read_bytes()
    content_type = f"multipart/mixed; charset=UTF-8; boundary={boundary}"
    algorithm = DigestAlgorithm.SHA512
    for size in (1, 100, len(data)):
        reader = TransportReader(direction, content_type, algorithm)
        events = [
            event
            for start in range(0, len(data), size)
            for event in reader.feed(data[start : start + size])
        ]
        reader.finish()
        whole = read_events(direction, content_type, data, algorithm)
        assert list(map(type, events)) == list(map(type, whole))
    for event in whole:
        raw = next(
            (getattr(event, name) for name in ("raw", "der", "document") if hasattr(event, name)),
            b"",
        )
        assert raw in data
    return whole


def test_a_message_and_a_signature(vectors):
    soap, signature, end = decode(vectors, "normal.request", "xtop1357783211hcn1yiro")
    assert isinstance(soap, SoapPart)
    assert soap.content_type == "text/xml"
    assert soap.raw.startswith(b'<?xml version="1.0" encoding="utf-8"?>\n<SOAP-ENV:Envelope')
    assert soap.raw.endswith(b"</SOAP-ENV:Envelope>")
    assert isinstance(signature, SignaturePart)
    assert signature.document.endswith(b"</asic:XAdESSignatures>")
    assert end == End()


def test_an_ocsp_response_a_message_and_a_signature(vectors):
    ocsp, soap, signature, end = decode(vectors, "ocsp.request", "xtop1357783211hcn1yiro")
    assert isinstance(ocsp, OcspPart)
    # A DER sequence that says its own length.
    assert ocsp.der[:2] == b"\x30\x82"
    assert len(ocsp.der) == 4 + int.from_bytes(ocsp.der[2:4], "big")
    assert isinstance(soap, SoapPart)
    assert isinstance(signature, SignaturePart)
    assert end == End()


def test_a_fault_instead_of_a_signature(vectors):
    name, boundary = "fault-signature.request", "xtop1357783211hcn1yiro"
    soap, fault, end = decode(vectors, name, boundary, Direction.RESPONSE)
    assert isinstance(soap, SoapPart)
    assert isinstance(fault, FaultPart)
    found = fault.fault
    assert (found.fault, found.message, found.detail) == ("CODE", "STRING", "DETAIL")
    assert end == End()
    with pytest.raises(InvalidContentType):
        decode(vectors, name, boundary, Direction.REQUEST)


def test_another_content_type_instead_of_a_signature(vectors):
    name, boundary = "invalid-contenttype-signature.request", "xtop1357783211hcn1yiro"
    for direction in Direction:
        with pytest.raises(InvalidContentType) as raised:
            decode(vectors, name, boundary, direction)
        assert raised.value.code == "invalid_content_type"


def test_attachments_are_refused_cleanly(vectors):
    with pytest.raises(InvalidContentType):
        decode(vectors, "attachment.request", "xtop569125687hcu8vfma")
