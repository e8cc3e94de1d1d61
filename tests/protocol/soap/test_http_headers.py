"""Content types and SOAPActions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sild.protocol.errors import InvalidContentType, InvalidSoapAction
from sild.protocol.soap.http_headers import (
    check_charset,
    check_soap_action,
    check_soap_type,
    write_soap_type,
)


@pytest.mark.parametrize(
    "value",
    [
        None, b"", b'""', b'"urn:x"', b'"http://example.org/a/b?c=d#e"', b'"getState"', b'"a b"'.replace(b" ", b"%20"),
        b'"/a:b"', b'"?a:b"', b'"#a"', b'"mailto:a@b"', b'"http://[::1]/"', b'"\xe4"',
    ],
)  # fmt: skip
def test_a_soap_action_may_be_absent_empty_or_a_quoted_uri(value):
    check_soap_action(value)


@pytest.mark.parametrize(
    "value",
    [
        b"urn:x", b'"', b'"urn:x', b'urn:x"', b"'urn:x'", b'"a b"', b'"a"b"', b'"a\rb"', b'"a\nb"', b'"a\x00"', b'"a\x85"',
        b'"\xa0"', b'"%"', b'"%4"', b'"%zz"', b'"a#b#c"', b'":a"', b'"1a:b"', b'"a:"', b'"a:#b"', b'"a|b"', b'"a{b}"', b'"<a>"',
        b'"\\"', b" ", b' "urn:x"', b'"' + b"a" * 5000 + b'"',
    ],
)  # fmt: skip
def test_other_soap_actions_are_refused(value):
    with pytest.raises(InvalidSoapAction) as raised:
        check_soap_action(value)
    assert raised.value.code == "invalid_soap_action"


@given(st.binary(max_size=20))
def test_what_is_accepted_holds_no_line_end(value):
    for action in (value, b'"%b"' % value):
        try:
            check_soap_action(action)
        except InvalidSoapAction:
            continue
        assert not {0, 10, 13} & set(action)


def test_the_content_type_names_the_encoding_of_the_document():
    assert write_soap_type("UTF-8") == "text/xml; charset=UTF-8"
    for encoding in ("UTF-8", "ISO-8859-1", "UTF-16", "UTF-16LE"):
        check_charset(write_soap_type(encoding), encoding)


def test_one_byte_encodings_may_be_called_each_other_but_not_utf_16():
    check_charset("text/xml; charset=iso-8859-1", "UTF-8")
    check_charset("application/xop+xml; charset=UTF-8", "WINDOWS-1252")
    for said, encoding in (("UTF-8", "UTF-16"), ("utf-16", "UTF-8")):
        with pytest.raises(InvalidContentType):
            check_charset(f"text/xml; charset={said}", encoding)


@given(st.text(max_size=30))
def test_any_text_is_a_soap_type_or_refused_as_none(text):
    for content_type in (text, f"text/xml;{text}"):
        try:
            check_soap_type(content_type)
        except InvalidContentType as error:
            assert error.code == "invalid_content_type"  # noqa: PT017 - text/xml may be accepted
