import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sild.protocol.errors import InvalidIdentifier
from sild.protocol.ids import (
    ClientId,
    GlobalGroupId,
    LocalGroupId,
    SecurityServerId,
    ServiceId,
    decode_segment,
    decode_segments,
    encode_segment,
    encode_segments,
)

MEMBER = ClientId("EE", "GOV", "123")
SUBSYSTEM = MEMBER.subsystem("sub")
TEXTS = st.text(min_size=1, max_size=20).filter(lambda text: text.isprintable())
PARTS = TEXTS.filter(lambda text: text.strip() and ":" not in text)


@given(PARTS, PARTS, PARTS, st.none() | PARTS)
def test_the_encoded_form_is_read_back(instance, member_class, code, subsystem):
    client = ClientId(instance, member_class, code, subsystem)
    assert ClientId.from_encoded(client.encoded) == client


@pytest.mark.parametrize("text", ["", "EE", "EE:GOV", "EE:GOV:1:s:x", "EE::1", "EE:GOV: ", ":::"])
def test_an_encoded_form_with_missing_or_too_many_parts_is_refused(text):
    with pytest.raises(InvalidIdentifier):
        ClientId.from_encoded(text)


def test_text_forms():
    assert str(MEMBER) == "MEMBER:EE/GOV/123"
    assert str(SUBSYSTEM) == "SUBSYSTEM:EE/GOV/123/sub"
    assert SUBSYSTEM.short == "EE/GOV/123/sub"
    assert SUBSYSTEM.encoded == "EE:GOV:123:sub"
    assert str(ServiceId(SUBSYSTEM, "get", "v1")) == "SERVICE:EE/GOV/123/sub/get/v1"
    assert ServiceId(MEMBER, "get").encoded == "EE:GOV:123:get"
    assert str(SecurityServerId(MEMBER, "SS1")) == "SERVER:EE/GOV/123/SS1"
    assert SecurityServerId(MEMBER, "SS1").encoded == "EE:GOV:123:SS1"
    assert str(GlobalGroupId("EE", "g")) == "GLOBALGROUP:EE/g"
    assert str(LocalGroupId("g")) == "LOCALGROUP:g"


def test_a_subsystem_belongs_to_its_member():
    assert SUBSYSTEM.member == MEMBER.member == MEMBER
    assert SUBSYSTEM.is_subsystem
    assert not MEMBER.is_subsystem
    assert ServiceId(SUBSYSTEM, "get").provider.member == MEMBER


def test_equality_is_exact():
    assert ClientId("EE", "GOV", "123", "sub") == SUBSYSTEM
    assert ClientId("ee", "GOV", "123") != MEMBER
    assert SUBSYSTEM != MEMBER
    assert ServiceId(MEMBER, "get") != ServiceId(MEMBER, "get", "v1")


@pytest.mark.parametrize("blank", ["", " ", "\t\n", "\u00a0", "x" * 256])
def test_a_blank_or_endless_part_is_refused(blank):
    refused = [
        lambda: ClientId(blank, "GOV", "1"),
        lambda: ClientId("EE", blank, "1"),
        lambda: ClientId("EE", "GOV", blank),
        lambda: ClientId("EE", "GOV", "1", blank),
        lambda: ServiceId(MEMBER, blank),
        lambda: SecurityServerId(MEMBER, blank),
        lambda: GlobalGroupId(blank, "g"),
        lambda: GlobalGroupId("EE", blank),
        lambda: LocalGroupId(blank),
    ]
    for make in refused:
        with pytest.raises(InvalidIdentifier):
            make()


def test_a_subsystem_owns_no_security_server():
    with pytest.raises(InvalidIdentifier, match="subsystem"):
        SecurityServerId(SUBSYSTEM, "SS1")


@given(st.text(max_size=30))
def test_any_text_is_encoded_and_decoded_again(text):
    try:
        encoded = encode_segment(text)
    except UnicodeEncodeError:
        return  # a lone surrogate, which no text that was read holds
    assert encoded.isascii()
    assert "/" not in encoded
    assert decode_segment(encoded) == text


@given(st.lists(TEXTS, min_size=1, max_size=5))
def test_parts_are_joined_by_slashes_that_they_do_not_hold(parts):
    assert decode_segments(encode_segments(tuple(parts))) == parts


@pytest.mark.parametrize(
    ("segment", "text"),
    [
        ("a%20b", "a b"),
        ("a%2Fb", "a/b"),
        ("a%2fb", "a/b"),
        ("%C3%B5", "õ"),
        ("a:b@c", "a:b@c"),
        ("!$&'()*+,;=-._~", "!$&'()*+,;=-._~"),
        ("%2520", "%20"),
        ("", ""),
    ],
)
def test_a_segment_is_decoded_once(segment, text):
    assert decode_segment(segment) == text


@pytest.mark.parametrize(
    "segment",
    ["a b", "a/b", "a?b", "a#b", "õ", "%", "%2", "a%2", "%zz", "%+1", "% 1", '"', "<", "%FF", "\\"],
)
def test_a_segment_that_no_path_can_hold_is_refused(segment):
    with pytest.raises(InvalidIdentifier):
        decode_segment(segment)


@given(st.text(max_size=30))
def test_any_text_is_a_segment_or_refused(text):
    with contextlib.suppress(InvalidIdentifier):
        decode_segment(text)
