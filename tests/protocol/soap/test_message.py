"""SOAP messages: the bytes, what they say, and what is no message."""

import contextlib
import hashlib
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.soap.envelopes import (
    CLIENT,
    FIELDS,
    NAMESPACES,
    REPRESENTATION,
    SERVICE,
    SOAP,
    TYPE,
    envelope,
    fields,
    message,
)
from sild.protocol.errors import (
    InconsistentHeaders,
    InconsistentResponse,
    InvalidBody,
    InvalidContentType,
    InvalidSoap,
    MissingBody,
    MissingHeader,
    PeerFault,
    ProtocolError,
)
from sild.protocol.safexml import XmlLimits
from sild.protocol.soap.fault import write_fault
from sild.protocol.soap.message import check_consistency, check_request_hash, read_soap

BOM = b"\xef\xbb\xbf"


def read(data, content_type=TYPE):
    return read_soap(data, content_type)


def test_a_message_keeps_its_bytes_beside_what_they_say():
    data = message()
    found = read(data)
    assert found.raw is data
    assert found.content_type == TYPE
    assert found.encoding == "UTF-8"
    assert found.body_name == "get"
    assert found.header.message_id == "message-1"


@pytest.mark.parametrize(
    ("name", "is_response"),
    [("get", False), ("getResponse", True), ("getMore", False), ("getResponses", False)],
)
def test_the_body_element_says_whether_it_is_a_response(name, is_response):
    found = read(message(body=f'<p:{name} xmlns:p="urn:p"><a/></p:{name}>'))
    assert found.body_name == name
    assert (found.is_response, found.is_request) == (is_response, not is_response)


@pytest.mark.parametrize("name", ["Get", "other", "ge", "xget"])
def test_the_body_element_begins_with_the_service_code(name):
    with pytest.raises(InconsistentHeaders) as raised:
        read(message(body=f"<{name}/>"))
    assert raised.value.code == "inconsistent_headers"


@pytest.mark.parametrize(
    ("body", "error", "code"),
    [
        (False, MissingBody, "missing_body"),
        ("", InvalidBody, "invalid_body"),
        ("text", InvalidBody, "invalid_body"),
        ("<!-- <get/> -->", InvalidBody, "invalid_body"),
        ("<get/><get/>", InvalidBody, "invalid_body"),
        ("<get/><other/>", InvalidBody, "invalid_body"),
    ],
)
def test_a_body_has_exactly_one_element(body, error, code):
    with pytest.raises(error) as raised:
        read(message(body=body))
    assert raised.value.code == code


def test_what_stands_around_the_body_element_does_not_matter():
    assert read(message(body="\n<!-- a -->text<get/><?b?>\n")).body_name == "get"


def test_a_message_has_a_header():
    with pytest.raises(MissingHeader) as raised:
        read(message(False))
    assert raised.value.code == "missing_header"


def test_a_fault_is_raised_with_or_without_a_header():
    fault = "<s:Fault><faultcode>C</faultcode><faultstring>S</faultstring></s:Fault>"
    for header in (None, False, ""):
        with pytest.raises(PeerFault) as raised:
            read(message(header, fault))
        assert (raised.value.fault, raised.value.message) == ("C", "S")
    with pytest.raises(PeerFault):
        read(write_fault("a", "b"))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"text",
        b"<a/>",
        message()[:-1],
        message() + b"<a/>",
        message().replace(SOAP.encode(), b"http://www.w3.org/2003/05/soap-envelope"),
        message().replace(b"s:Envelope", b"s:Other"),
        message().replace(b"xmlns:id=", b"xmlns:other="),
        message().replace(b"message-1", b"&undefined;"),
        message().replace(b"message-1", b"\xff"),
        message(declaration='<?xml version="1.0" encoding="UTF-7"?>'),
    ],
)
def test_what_is_no_envelope_is_refused(data):
    with pytest.raises(InvalidSoap) as raised:
        read(data)
    assert raised.value.code == "invalid_soap"


@pytest.mark.parametrize("name", ["Header", "Body"])
def test_a_second_header_or_body_is_refused(name):
    for other in (f"<s:{name}/>", f"<s:{name}>{fields()}</s:{name}>"):
        data = envelope().replace("</s:Envelope>", f"{other}</s:Envelope>")
        with pytest.raises(InvalidSoap):
            read(data.encode())


@pytest.mark.parametrize(
    "declaration",
    [
        "<!DOCTYPE a>",
        '<!DOCTYPE a SYSTEM "file:///etc/passwd">',
        '<?xml version="1.0"?>\n<!-- x -->\n<!DOCTYPE a [<!ENTITY b SYSTEM "http://localhost/">]>',
        '<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;&b;&b;&b;&b;">]>',
    ],
)
def test_a_document_type_declaration_is_refused(declaration):
    with pytest.raises(InvalidSoap):
        read(message(declaration=declaration))


def test_size_depth_and_number_of_tags_are_limited():
    deep, wide = "<a>" * 40 + "</a>" * 40, "<a/>" * 200
    limits = XmlLimits(size=3000, depth=50, tags=300, attributes=100)
    read_soap(message(body=f"<get>{deep}</get>"), TYPE, limits)
    for body in (f"<get>{deep[:120]}{deep}{'</a>' * 40}</get>", f"<get>{wide}{wide}</get>"):
        with pytest.raises(InvalidSoap):
            read_soap(message(body=body), TYPE, limits)
    with pytest.raises(InvalidSoap):
        read_soap(message(body=f"<get>{'x' * 3000}</get>"), TYPE, limits)
    with pytest.raises(InvalidSoap):
        read(message(body=f"<get>{'<a>' * 300}{'</a>' * 300}</get>"))


def test_a_byte_order_mark_is_part_of_the_bytes():
    data = BOM + message()
    found = read(data)
    assert found.raw == data
    assert found.header == read(message()).header


@pytest.mark.parametrize("codec", ["utf-8", "iso-8859-1", "windows-1252", "utf-16", "utf-16-le"])
def test_the_document_says_its_encoding(codec):
    name = {"utf-16-le": "UTF-16LE"}.get(codec, codec.upper())
    declaration = f'<?xml version="1.0" encoding="{name}"?>\n'
    user = fields(userId="<x:userId>äõ</x:userId>")
    data = envelope(user, declaration=declaration).encode(codec)
    charset = "utf-16" if name.startswith("UTF-16") else "utf-8"
    for content_type in ("text/xml", f"text/xml; charset={name}", f"text/xml; charset={charset}"):
        found = read(data, content_type)
        assert found.header.user_id == "äõ"
        assert found.encoding == name
        assert found.raw == data


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
def test_a_byte_order_mark_alone_says_utf_16(codec):
    data = ("\ufeff" + envelope(fields(userId="<x:userId>äõ</x:userId>"), declaration="")).encode(
        codec
    )
    for content_type in ("text/xml", "text/xml; charset=UTF-16"):
        found = read(data, content_type)
        assert (found.encoding, found.header.user_id, found.raw) == ("UTF-16", "äõ", data)
    with pytest.raises(InvalidContentType):
        read(data, "text/xml; charset=UTF-8")


def test_a_fault_is_read_whatever_charset_is_said_of_it():
    fault = write_fault("code", "äõ").decode().replace("UTF-8", "UTF-16").encode("utf-16")
    with pytest.raises(PeerFault) as raised:
        read(fault, "text/xml; charset=UTF-8")
    assert (raised.value.fault, raised.value.raw) == ("code", fault)


@pytest.mark.parametrize(
    "content_type",
    ["text/xml", "Text/XML", 'application/xop+xml; charset=utf-8; type="text/xml"', 'text/xml; charset="utf-8"', "text/xml;charset="],
)  # fmt: skip
def test_these_content_types_are_of_soap(content_type):
    assert read(message(), content_type).content_type == content_type


@pytest.mark.parametrize(
    "content_type",
    [
        "", "blah", "text/plain", "application/soap+xml", "multipart/related; boundary=x",
        "text/xml; charset=utf-7", "text/xml; charset=IBM037", "text/xml; charset=utf-16",
        "text/xml; charset=utf-8; charset=iso-8859-1", "text/xml; charset",
    ],
)  # fmt: skip
def test_other_content_types_are_refused(content_type):
    with pytest.raises(InvalidContentType):
        read(message(), content_type)


def test_the_content_type_is_judged_before_the_document():
    with pytest.raises(InvalidContentType):
        read(b"", "blah")


def response(**changed):
    return read(message(fields(**changed), "<getResponse/>"))


REQUEST = read(message())


def test_a_response_repeats_the_header_of_its_request():
    check_consistency(REQUEST, response())


def test_the_security_server_and_the_minor_version_may_differ():
    server = SERVICE.replace("service", "securityServer").replace("SERVICE", "SERVER")
    server = server.replace("subsystemCode", "other").replace("serviceCode", "serverCode")
    server = server.replace("securityServerCode", "serverCode")
    check_consistency(
        REQUEST,
        response(
            securityServer=server, protocolVersion="<x:protocolVersion>4.1</x:protocolVersion>"
        ),
    )


@pytest.mark.parametrize(
    "changed",
    [
        {"client": CLIENT.replace("portal", "Portal")},
        {"service": SERVICE.replace("db", "db2")},
        {"service": SERVICE.replace("</x:s", "<id:serviceVersion/></x:s")},
        {"userId": "<x:userId/>"},
        {"userId": None},
        {"issue": None},
        {"issue": "<x:issue>42 </x:issue>"},
        {"id": "<x:id>message-2</x:id>"},
        {
            "party": (
                f'<r:representedParty xmlns:r="{REPRESENTATION}"><r:partyCode>1</r:partyCode>'
                "</r:representedParty>"
            )
        },
    ],
)
def test_a_response_that_says_something_else_is_refused(changed):
    with pytest.raises(InconsistentResponse):
        check_consistency(REQUEST, response(**changed))


def sha512(data):
    return hashlib.sha512(data).digest()


def with_hash(text):
    return response(requestHash=f"<x:requestHash>{text}</x:requestHash>")


def test_a_response_holds_the_hash_of_its_request():
    digest = sha512(REQUEST.raw)
    text = b64encode(digest).decode()
    check_request_hash(digest, with_hash(text))
    check_request_hash(digest, with_hash(f"\n  {text[:60]}\n  {text[60:]}\n"))


@pytest.mark.parametrize(
    "text",
    ["", "x", "AAAA", b64encode(sha512(b"other")).decode(), b64encode(sha512(REQUEST.raw)).decode()[:-4], "\u00e4"],
)  # fmt: skip
def test_a_response_with_another_hash_is_refused(text):
    with pytest.raises(InconsistentResponse):
        check_request_hash(sha512(REQUEST.raw), with_hash(text))


def test_a_response_without_a_hash_is_refused():
    with pytest.raises(InconsistentResponse):
        check_request_hash(sha512(REQUEST.raw), response())


PIECES = [
    *FIELDS.values(), f"<s:Envelope {NAMESPACES}>", "</s:Envelope>", "<s:Header>", "</s:Header>",
    "<s:Body>", "</s:Body>", "<get/>", "<s:Fault/>", "<!--", "-->", "<![CDATA[", "]]>", "<", ">",
    "</x:id>", "<x:id>", "&", "\x00", "ä", "<?xml version='1.0' encoding='x'?>",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join), st.integers(0, 2000))
def test_any_bytes_give_a_message_or_a_protocol_error(text, at):
    whole = envelope()
    for data in (text.encode(), (whole[:at] + text + whole[at:]).encode()):
        with contextlib.suppress(ProtocolError):
            read(data)


@given(st.binary(max_size=80), st.text(max_size=30))
def test_any_bytes_of_any_type_give_a_message_or_a_protocol_error(data, content_type):
    for content in (data, message()):
        with contextlib.suppress(ProtocolError):
            read(content, content_type)
