from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pki_builder import NOON
from protocol.globalconf.publisher import signing_key
from sild.protocol.errors import MalformedAnchor
from sild.protocol.globalconf.anchor import Anchor, Source, read_anchor, write_anchor

FIRST, SECOND = (signing_key().certificate for _ in range(2))
ANCHOR = Anchor(
    "DEV",
    (
        Source("http://cs1/internalconf", (FIRST.der, SECOND.der)),
        Source("http://cs2:8080/internalconf", (SECOND.der,)),
    ),
    NOON,
)


def test_what_is_written_is_read_back():
    assert read_anchor(write_anchor(ANCHOR)) == ANCHOR
    undated = replace(ANCHOR, generated_at=None)
    assert read_anchor(write_anchor(undated)) == undated


def test_an_anchor_trusts_the_certificates_of_all_its_sources():
    assert set(ANCHOR.certificates) == {FIRST, SECOND}


def test_the_displayed_hash_is_that_of_the_document_as_it_came():
    document = write_anchor(ANCHOR)
    spaced = document.replace(b"<source>", b"\n  <source>")
    assert read_anchor(document).display_hash == ANCHOR.display_hash
    assert read_anchor(spaced).display_hash != ANCHOR.display_hash
    assert len(ANCHOR.display_hash.split(":")) == 28


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-15T12:00:00.702Z", datetime(2026, 1, 15, 12, 0, 0, 702000, UTC)),
        ("2026-01-15T14:00:00+02:00", NOON),
        ("2026-01-15T12:00:00", NOON),
    ],
)
def test_the_moment_of_generation_is_in_utc(text, moment):
    document = write_anchor(ANCHOR).replace(b"2026-01-15T12:00:00.000Z", text.encode())
    assert read_anchor(document).generated_at == moment


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"<instanceIdentifier>DEV</instanceIdentifier>", b""),
        (b">DEV<", b"> <"),
        (b"configurationAnchor", b"conf"),
        (b"downloadURL", b"downloadURI"),
        (b"http://cs1/internalconf", b"ftp://cs1/internalconf"),
        (b"http://cs1/internalconf", b"file:///etc/passwd"),
        (b"http://cs1/internalconf", b"http:///internalconf"),
        (b"http://cs1/internalconf", b"http://cs1:0x/internalconf"),
        (b"http://cs1/internalconf", b"http://[cs1/internalconf"),
        (b"http://cs1/internalconf", b"http://cs1/internal conf"),
        (b"<verificationCert>MII", b"<verificationCert>AAA"),
        (b"<verificationCert>MII", b"<verificationCert>?MII"),
        (b"2026-01-15T12", b"2026-13-15T12"),
        (b"2026-01-15T12:00:00.000Z", b"9999-12-31T23:59:59-14:00"),
        (b"<xroad:", b"<!DOCTYPE x><xroad:"),
        (b"http://x-road.eu/xsd/xroad.xsd", b"http://x-road.eu/xsd/other.xsd"),
    ],
)
def test_an_anchor_against_the_rules_is_refused(old, new):
    document = write_anchor(ANCHOR)
    assert old in document
    with pytest.raises(MalformedAnchor):
        read_anchor(document.replace(old, new))


def test_an_anchor_over_the_size_limit_is_refused():
    with pytest.raises(MalformedAnchor, match="over"):
        read_anchor(write_anchor(ANCHOR) + b" " * 2_000_000)


def test_an_anchor_that_nobody_could_read_is_not_written():
    with pytest.raises(MalformedAnchor):
        write_anchor(replace(ANCHOR, sources=()))


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(data):
    with pytest.raises(MalformedAnchor):
        read_anchor(data)
