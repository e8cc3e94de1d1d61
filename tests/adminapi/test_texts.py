from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from sild.adminapi.texts import check_host, check_identifier, check_plain, identifiers_are


@pytest.mark.parametrize("text", ["", "a", "Jõe & sild", "\U0001f600", "a\u00a0b"])
def test_a_plain_text_may_be_nearly_anything(text):
    assert check_plain(text) == text


@pytest.mark.parametrize("character", "\0\t\n\r\x1f\x7f\x80\x9f\u200b\ufeff")
def test_control_characters_are_refused(character):
    with pytest.raises(PydanticCustomError) as refused:
        check_plain(f"a{character}b")
    assert refused.value.type == "NoControlChars"
    with identifiers_are(strict=False), pytest.raises(PydanticCustomError):
        check_identifier(f"a{character}b")


def test_identifiers_have_letters_digits_and_few_signs():
    text = "azAZ09'()+,-.=?"
    assert check_identifier(text) == text


@pytest.mark.parametrize("character", 'õ !"#$%&*/:;<>@[\\]^_`{|}~٣\n')
def test_identifiers_have_nothing_else(character):
    with pytest.raises(PydanticCustomError) as refused:
        check_identifier(f"a{character}")
    assert refused.value.type == "IdentifierChars"


def test_outside_of_strict_checks_only_separators_are_refused():
    with identifiers_are(strict=False):
        assert check_identifier("õ & _~") == "õ & _~"
        for character in ":;/\\%":
            with pytest.raises(PydanticCustomError):
                check_identifier(f"a{character}b")
    with pytest.raises(PydanticCustomError):
        check_identifier("õ")


@pytest.mark.parametrize("host", ["a", "cs.example.org", "192.0.2.1", "a-b.c1", "x.", "1a.ee"])
def test_hosts_are_names_and_addresses(host):
    assert check_host(host) == host


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("", "ValidHostAddress"),
        (".", "ValidHostAddress"),
        ("a..b", "ValidHostAddress"),
        ("-a.b", "ValidHostAddress"),
        ("a-.b", "ValidHostAddress"),
        ("1.2.3", "ValidHostAddress"),
        ("1.2.3.256", "ValidHostAddress"),
        ("a." * 130 + "b", "ValidHostAddress"),
        ("a" * 64 + ".b", "ValidHostAddress"),
        ("a b", "OnlyAddressChars"),
        ("a_b", "OnlyAddressChars"),
        ("::1", "OnlyAddressChars"),
        ("http://a", "OnlyAddressChars"),
        ("õ.ee", "OnlyAddressChars"),
        ("a\n", "OnlyAddressChars"),
    ],
)
def test_what_is_no_host_is_refused(host, code):
    with pytest.raises(PydanticCustomError) as refused:
        check_host(host)
    assert refused.value.type == code


@given(st.text())
def test_any_text_is_taken_or_refused(text):
    for check in (check_plain, check_identifier, check_host):
        with suppress(PydanticCustomError):
            assert check(text) == text
