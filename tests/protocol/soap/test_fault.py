"""SOAP 1.1 faults."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sild.protocol.errors import InvalidMessage, InvalidSoap, ProtocolError
from sild.protocol.soap.fault import find_fault, read_fault, write_fault

ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"


def envelope(body):
    return f'<s:Envelope xmlns:s="{ENVELOPE}"><s:Body>{body}</s:Body></s:Envelope>'.encode()


def test_a_fault_is_written_in_the_form_of_peers():
    assert write_fault("server.serverproxy.access_denied", "Request is not allowed", "id-1") == (
        b'<?xml version="1.0" encoding="UTF-8"?>'
        b'<SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/">'
        b"<SOAP-ENV:Body><SOAP-ENV:Fault>"
        b"<faultcode>server.serverproxy.access_denied</faultcode>"
        b"<faultstring>Request is not allowed</faultstring>"
        b"<faultactor></faultactor>"
        b'<detail><faultDetail xmlns="">id-1</faultDetail></detail>'
        b"</SOAP-ENV:Fault></SOAP-ENV:Body></SOAP-ENV:Envelope>"
    )


def test_a_fault_without_an_id_has_no_detail():
    assert b"detail" not in write_fault("a", "b")


def test_markup_in_a_message_is_escaped_as_peers_do():
    written = write_fault("a", "<&>\"' \x85\x9f\x7f\u00e4", "]]>")
    assert b"<faultstring>&lt;&amp;&gt;&quot;&apos; \xc2\x85&#159;&#127;\xc3\xa4<" in written
    assert read_fault(written).detail == "]]>"


@given(st.text(st.characters(), max_size=30), st.text(st.characters(), max_size=30))
def test_any_text_makes_a_fault_that_can_be_read(message, detail):
    fault = read_fault(write_fault("server.x", message, detail))
    assert fault.fault == "server.x"


@given(
    st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=30).filter(
        lambda text: "\ufffe" not in text and "\uffff" not in text
    )
)
def test_what_is_written_is_read_back(message):
    fault = read_fault(write_fault("a.b", message, "id"))
    assert (fault.fault, fault.message, fault.detail) == ("a.b", message, "id")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("<s:Fault><faultcode>C</faultcode></s:Fault>", ("C", "", "")),
        (
            (
                "<s:Fault>\n <faultcode> s:Server </faultcode>\n<faultstring xml:lang='en'>S</faultstring>"
                "<faultactor>A</faultactor><detail>\n<x:a xmlns:x='urn:x'>D<b>E</b></x:a><c>F</c></detail></s:Fault>"
            ),
            ("s:Server", "S", "DE"),
        ),
        ("<s:Fault><faultcode>C</faultcode><detail> text </detail></s:Fault>", ("C", "", "text")),
        (
            (
                f"<Fault xmlns='{ENVELOPE}'><faultcode>C</faultcode><faultstring>S</faultstring>"
                "<detail><a>D</a></detail></Fault>"
            ),
            ("C", "S", "D"),
        ),
        (
            "<s:Fault><faultcode>Server.ServerProxy.AccessDenied</faultcode></s:Fault>",
            ("Server.ServerProxy.AccessDenied", "", ""),
        ),
    ],
)
def test_any_soap_fault_is_read(body, expected):
    fault = read_fault(envelope(body))
    assert (fault.fault, fault.message, fault.detail) == expected
    assert fault.fault_code("server.clientproxy") == expected[0]


def test_an_ordinary_message_is_no_fault():
    assert find_fault(envelope("<a/>")) is None
    assert find_fault(envelope("")) is None
    with pytest.raises(InvalidMessage):
        read_fault(envelope("<a/>"))
    without_body = f'<s:Envelope xmlns:s="{ENVELOPE}"/>'.encode()
    assert find_fault(without_body) is None


@pytest.mark.parametrize(
    "data",
    [
        envelope("<s:Fault/>"),
        envelope("<s:Fault><faultcode> </faultcode></s:Fault>"),
    ],
)
def test_a_fault_without_a_code_is_refused(data):
    with pytest.raises(InvalidMessage):
        read_fault(data)


@pytest.mark.parametrize(
    "data",
    [
        b"<a/>",
        b'<Envelope xmlns="http://www.w3.org/2003/05/soap-envelope"/>',
        envelope("<s:Fault><faultcode>a</faultcode></s:Fault><s:Fault/>"),
        envelope("<s:Fault><faultcode>a</faultcode><detail/><detail/></s:Fault>"),
        envelope("<s:Fault><faultcode>a</faultcode><faultcode>b</faultcode></s:Fault>"),
        envelope("<s:Fault><faultcode>a<b/></faultcode></s:Fault>"),
        f'<s:Envelope xmlns:s="{ENVELOPE}"><s:Body/><s:Body/></s:Envelope>'.encode(),
    ],
)
def test_what_is_no_envelope_of_one_fault_is_refused(data):
    with pytest.raises(InvalidSoap):
        read_fault(data)


@pytest.mark.parametrize(
    "data", [b"", b"<a", b'<!DOCTYPE a [<!ENTITY b "c">]>' + envelope("<s:Fault/>"), b"\xff\xfe"]
)
def test_unsafe_or_broken_xml_is_refused(data):
    with pytest.raises(InvalidSoap):
        read_fault(data)


def test_a_large_fault_is_refused():
    with pytest.raises(InvalidSoap):
        read_fault(write_fault("a", "x" * 1_100_000))


@given(st.binary(max_size=60))
def test_any_bytes_give_a_fault_or_a_protocol_error(data):
    for document in (data, envelope(data.decode("latin-1"))):
        with contextlib.suppress(ProtocolError):
            find_fault(document)
