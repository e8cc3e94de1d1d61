"""REST error bodies."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sild.protocol.rest.error import error_header, write_rest_error
from sild.protocol.safexml import child_text, read_xml


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (None, "application/json"),
        ("", "application/json"),
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        ("application/json, text/xml;q=0.1", "text/xml"),
        ("application/xml", "application/xml"),
        ("Text/XML", "text/xml"),
        ("text/*", "text/xml"),
        ("text/html, application/xml ;q=0.9, text/*", "application/xml"),
        ("text/xml+x", "application/json"),
    ],
)
def test_the_accept_header_chooses_the_form(accept, content_type):
    found, _ = write_rest_error("a", "b", "c", accept)
    assert found.partition(";")[0] == content_type
    assert ("charset" in found) is (content_type != "application/json")


def test_json_is_exactly_this():
    _, body = write_rest_error("server.x", 'not "ä"\n', "id", None)
    assert body == '{"type":"server.x","message":"not \\"ä\\"\\n","detail":"id"}'.encode()


def test_xml_is_exactly_this():
    _, body = write_rest_error("server.x", "a<b>&\"'\r\x00\ufffe", "id", "text/xml")
    assert body == (
        b'<?xml version="1.0" encoding="UTF-8" standalone="no"?><error><type>server.x</type>'
        b"<message>a&lt;b&gt;&amp;\"'&#13;</message><detail>id</detail></error>"
    )


@given(st.text(st.characters(), max_size=30))
def test_any_text_makes_a_body_that_can_be_read(text):
    _, body = write_rest_error(text, text, text, None)
    assert set(json.loads(body)) == {"type", "message", "detail"}
    _, body = write_rest_error("code", text, text, "text/xml")
    assert child_text(read_xml(body), "type") == "code"


def test_the_error_header_is_one_line():
    assert error_header("Server.ServerProxy.AccessDenied") == (
        b"X-Road-Error",
        b"Server.ServerProxy.AccessDenied",
    )
    assert error_header("a\r\nSet-Cookie: b\x00ä") == (b"X-Road-Error", b"a Set-Cookie: b ")
    assert len(error_header("a" * 10_000)[1]) == 500
