"""Multipart: one case list drives both readers, whole, byte by byte and with trailing bytes."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sild.protocol.errors import InvalidContentType, MimeParsingFailed, ProtocolError
from sild.protocol.mime import (
    End,
    MimeLimits,
    MultipartReader,
    MultipartWriter,
    NoParts,
    PartChunk,
    PartEnd,
    PartHeaders,
    PartStart,
    boundary_of,
    media_type_of,
    read_part_headers,
    split_parts,
)

NORMAL = MimeLimits()
XML = PartHeaders("text/xml", "text/xml; charset=UTF-8")
PLAIN = PartHeaders("text/plain", "")

WELL_FORMED = {
    "one part": (
        b"--B\r\ncontent-type: text/xml; charset=UTF-8\r\n\r\n<a/>\r\n--B--\r\n",
        [(XML, b"<a/>")],
    ),
    "two parts": (
        b"--B\r\ncontent-type: text/xml; charset=UTF-8\r\n\r\n1\r\n--B\r\n\r\n2\r\n--B--\r\n",
        [(XML, b"1"), (PLAIN, b"2")],
    ),
    "an empty part": (b"--B\r\n\r\n\r\n--B--\r\n", [(PLAIN, b"")]),
    "an empty part whose blank line ends it": (b"--B\r\n\r\n--B--\r\n", [(PLAIN, b"")]),
    "line feeds alone": (
        b"--B\nContent-Type: text/xml; charset=UTF-8\n\nx\n--B--\n",
        [(XML, b"x")],
    ),
    "content that ends with line ends": (b"--B\r\n\r\nx\r\n\n\r\r\n--B--", [(PLAIN, b"x\r\n\n\r")]),
    "content that is a carriage return": (b"--B\r\n\r\n\r\r\n--B--", [(PLAIN, b"\r")]),
    "content with what looks like a boundary": (
        b"--B\r\n\r\na--B\r\n--\r\n--Bx\r\n--C--\r\n--B--",
        [(PLAIN, b"a--B\r\n--\r\n--Bx\r\n--C--")],
    ),
    "no line end behind the end": (b"--B\r\n\r\nx\r\n--B--", [(PLAIN, b"x")]),
    "a preamble": (b"hello\r\n--B\r\n\r\nx\r\n--B--\r\n", [(PLAIN, b"x")]),
    "an empty preamble": (b"\r\n--B\r\n\r\nx\r\n--B--\r\n", [(PLAIN, b"x")]),
    "a preamble that looks like a boundary": (
        b"--Bx\r\n--B\r\n\r\nx\r\n--B--\r\n",
        [(PLAIN, b"x")],
    ),
    "an epilogue": (b"--B\r\n\r\nx\r\n--B--\r\n--B\r\n\r\ny\r\n--B--\r\n", [(PLAIN, b"x")]),
    "padding behind a boundary": (
        b"--B \t\r\n\r\nx\r\n--B  \r\n\r\n\r\n--B--",
        [(PLAIN, b"x"), (PLAIN, b"")],
    ),
    "other headers": (
        b"--B\r\nX-A:1\r\nContent-Type:text/xml; charset=UTF-8\r\nx-b: \xe4 \r\n\r\nx\r\n--B--",
        [(PartHeaders("text/xml", XML.content_type, (("X-A", "1"), ("x-b", "\xe4"))), b"x")],
    ),
    "a folded header": (
        b"--B\r\nContent-Type: text/xml;\r\n charset=UTF-8\r\n\r\nx\r\n--B--",
        [(XML, b"x")],
    ),
    "no part at all": (b"--B--\r\n", []),
}

REFUSED = {
    "nothing": b"",
    "no delimiter": b"hello",
    "no end": b"--B\r\n\r\nx",
    "a boundary cut short": b"--B\r\n\r\nx\r\n--",
    "half an end": b"--B\r\n\r\nx\r\n--B-",
    "an open delimiter at the end": b"--B\r\n\r\nx\r\n--B\r\n",
    "a header that does not end": b"--B\r\ncontent-type: text/xml\r\n--B--\r\n",
    "other text behind a boundary": b"--B\r\n\r\nx\r\n--B y\r\n\r\nz\r\n--B--\r\n",
    "one dash behind a boundary": b"--B\r\n\r\nx\r\n--B-y\r\n--B--\r\n",
    "a carriage return behind a boundary": b"--B\r\n\r\nx\r\n--B\ry\r\n--B--\r\n",
    "a header line without a colon": b"--B\r\nhello\r\n\r\nx\r\n--B--\r\n",
    "a header line with a space in its name": b"--B\r\nContent-Type : a/b\r\n\r\nx\r\n--B--\r\n",
    "a header line with a control character": b"--B\r\nx: a\x00b\r\n\r\nx\r\n--B--\r\n",
    "a folded line first": b"--B\r\n content-type: a/b\r\n\r\nx\r\n--B--\r\n",
    "two content types": b"--B\r\ncontent-type: a/b\r\nContent-Type: c/d\r\n\r\nx\r\n--B--\r\n",
    "a content type that is none": b"--B\r\ncontent-type: a\r\n\r\nx\r\n--B--\r\n",
    "a header line over the limit": b"--B\r\nx: " + b"y" * 1000 + b"\r\n\r\nx\r\n--B--\r\n",
    "a header over the limit": b"--B\r\n" + b"x: yyyyyyyyy\r\n" * 1000 + b"\r\nx\r\n--B--\r\n",
    "a header far over the limit": b"--B\r\n" + b"x: yyyyyyyyy\r\n" * 5000 + b"\r\nx\r\n--B--\r\n",
    "a preamble over the limit": b"p" * 10_001 + b"\r\n--B\r\n\r\nx\r\n--B--\r\n",
    "a delimiter line over the limit": b"--B" + b" " * 901 + b"\r\n\r\nx\r\n--B--\r\n",
}


def whole(data, limits=NORMAL):
    return [(headers, data[a:b]) for headers, a, b in split_parts(data, "B", limits)]


def streamed(data, size, limits=NORMAL):
    reader = MultipartReader("B", limits)
    parts, ends = [], 0
    for start in range(0, len(data), size):
        for event in reader.feed(data[start : start + size]):
            match event:
                case PartStart(headers):
                    parts.append((headers, []))
                case PartChunk(chunk):
                    assert chunk
                    parts[-1][1].append(chunk)
                case PartEnd():
                    ends += 1
                case End():
                    assert ends == len(parts)
    reader.finish()
    return [(headers, b"".join(chunks)) for headers, chunks in parts]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize(("data", "parts"), WELL_FORMED.values(), ids=WELL_FORMED)
def test_parts_come_out_exactly(data, parts, size):
    assert whole(data) == parts
    assert streamed(data, size) == parts


@pytest.mark.parametrize(("data", "parts"), WELL_FORMED.values(), ids=WELL_FORMED)
def test_what_follows_the_end_is_no_part(data, parts):
    trailing = data + b"\r\n--B\r\n\r\nmore\r\n--B--\r\n" + b"x" * 100
    assert whole(trailing) == parts
    assert streamed(trailing, 1) == streamed(trailing, 1000) == parts


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
def test_what_is_cut_short_or_ambiguous_is_refused(data):
    with pytest.raises(ProtocolError):
        whole(data)
    for size in (1, 5, 100_000):
        with pytest.raises(ProtocolError):
            streamed(data, size)


@pytest.mark.parametrize("name", REFUSED)
def test_that_no_part_begins_can_be_told_from_what_is_cut_short(name):
    data = REFUSED[name]
    for read in (whole, lambda data: streamed(data, 1)):
        with pytest.raises(ProtocolError) as refused:
            read(data)
        assert isinstance(refused.value, NoParts) == (name in {"nothing", "no delimiter"})


@pytest.mark.parametrize("data", WELL_FORMED.values(), ids=WELL_FORMED)
def test_every_truncation_is_refused(data):
    data, _ = data
    end = data.index(b"--B--") + len(b"--B--")
    for length in range(end):
        with pytest.raises(ProtocolError):
            whole(data[:length])
        with pytest.raises(ProtocolError):
            streamed(data[:length], 4)


def test_limits_are_what_they_say():
    line = b"x: " + b"y" * (1000 - 5) + b"\r\n"
    assert len(line) == 1000
    data = b"--B\r\n" + line + b"\r\n\r\n--B--"
    assert whole(data) == streamed(data, 1)
    data = b"--B\r\n" + (b"x: " + b"y" * 95 + b"\r\n") * 100 + b"\r\n\r\n--B--"
    assert whole(data) == streamed(data, 1)
    for limits in (MimeLimits(header=9_999), MimeLimits(line=99)):
        for read in (whole, lambda data, limits: streamed(data, 1, limits)):
            with pytest.raises(MimeParsingFailed):
                read(data, limits)
    preamble = b"p" * 10_000 + b"\r\n--B\r\n\r\nx\r\n--B--"
    assert whole(preamble) == streamed(preamble, 1) == streamed(preamble, 10_001)


def test_a_small_line_limit_also_holds_for_short_headers():
    with pytest.raises(MimeParsingFailed):
        read_part_headers(b"content-type: text/xml\r\n", MimeLimits(line=10))


def test_content_passes_without_a_copy_and_nothing_of_it_is_kept():
    reader = MultipartReader("B")
    reader.feed(b"--B\r\n\r\nx")
    reader.feed(b"y")
    big = b"z" * 100_000
    (event,) = reader.feed(big)
    assert event.data is big
    for _ in range(50):
        for event in reader.feed(b"\r\n--" * 1000):
            assert isinstance(event, PartChunk)
        assert len(reader._held) <= len(b"\r\n--B")


TOKENS = [
    b"\r\n", b"\n", b"\r", b"--B", b"--B--", b"-", b" ", b"\t", b"--", b"\r\n--B\r\n", b"\r\n\r\n",
    b"content-type: text/xml\r\n", b"x: y\r\n", b"a:", b"B", b"\x00", b"body", b"\n--B--",
]  # fmt: skip


@settings(max_examples=max(400, settings.default.max_examples))
@given(
    st.lists(st.sampled_from(TOKENS), max_size=25).map(b"".join),
    st.booleans(),
    st.integers(1, 12),
    st.sampled_from([MimeLimits(), MimeLimits(line=30, header=40, preamble=5)]),
)
def test_both_readers_agree_on_any_bytes(data, opened, size, limits):
    data = b"--B\r\n" + data if opened else data
    outcomes = []
    for read in (whole, lambda *rest: streamed(rest[0], size, rest[1])):
        try:
            outcomes.append(read(data, limits))
        except ProtocolError:
            outcomes.append("refused")
    assert outcomes[0] == outcomes[1]


PARTS = st.lists(
    st.tuples(st.sampled_from(["a/b", "text/xml; charset=UTF-8"]), st.binary(max_size=50)),
    max_size=4,
)


@given(PARTS, st.integers(1, 60))
def test_what_is_written_is_read_back(parts, size):
    writer = MultipartWriter("xtopB")
    data = b"".join(
        writer.start_part(content_type, (("content-id", "<1>"),)) + content
        for content_type, content in parts
    )
    data += writer.close()
    found = [(h.content_type, data[a:b]) for h, a, b in split_parts(data, "xtopB")]
    assert found == parts
    assert all(h.others == (("content-id", "<1>"),) for h, _, _ in split_parts(data, "xtopB"))


def test_parts_are_written_as_peers_write_them():
    writer = MultipartWriter("xtopB")
    assert writer.start_part("text/xml") == b"--xtopB\r\ncontent-type: text/xml\r\n\r\n"
    assert writer.start_part("a/b") == b"\r\n--xtopB\r\ncontent-type: a/b\r\n\r\n"
    assert writer.close() == b"\r\n--xtopB--\r\n"


@pytest.mark.parametrize("value", ["a/b\r\nx: y", "a/b\n", "a/b\r\n folded", "a\x00"])
def test_a_header_line_is_one_line(value):
    with pytest.raises(MimeParsingFailed):
        MultipartWriter("B").start_part(value)
    with pytest.raises(MimeParsingFailed):
        MultipartWriter("B").start_part("a/b", (("x", value),))


def test_a_boundary_that_breaks_the_content_type_is_refused():
    with pytest.raises(InvalidContentType):
        MultipartWriter("a\r\nb")


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/mixed; charset=UTF-8; boundary=xtopAB", "xtopAB"),
        ("multipart/mixed;boundary=xtopAB", "xtopAB"),
        ("Multipart/Mixed ; BOUNDARY=xtopAB ; x=y;", "xtopAB"),
        ('multipart/mixed; boundary="xtopAB"', "xtopAB"),
        (r'multipart/mixed; boundary="xtop\AB"', "xtopAB"),
        ('multipart/related; type="a; boundary=no"; boundary=yes', "yes"),
        ("multipart/mixed; boundary=----=_Part_1.2", "----=_Part_1.2"),
    ],
)
def test_boundaries_are_found(content_type, boundary):
    assert boundary_of(content_type) == boundary


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "multipart",
        "multipart/mixed",
        "multipart/mixed; boundary=",
        'multipart/mixed; boundary=""',
        "multipart/mixed; boundary=a; boundary=b",
        "multipart/mixed; boundary=a b",
        'multipart/mixed; boundary="a b"',
        'multipart/mixed; boundary="a',
        "multipart/mixed boundary=a",
        'multipart/mixed; type="a; boundary=no"',
        "multipart/mixed; boundary=" + "a" * 71,
        "multipart/mixed; boundary=a; x=" + "y" * 1000,
        "multipart/mixed; boundary=ä",
    ],
)
def test_a_content_type_without_a_usable_boundary_is_refused(content_type):
    with pytest.raises(InvalidContentType):
        boundary_of(content_type)


@given(st.text(max_size=60))
def test_any_content_type_gives_a_boundary_or_a_refusal(text):
    for content_type in (text, f"multipart/mixed; {text}"):
        with contextlib.suppress(InvalidContentType):
            assert boundary_of(content_type)


def test_media_types_are_compared_in_lower_case():
    assert media_type_of("Text/XML; charset=UTF-8") == "text/xml"
    assert media_type_of("signature/bdoc-1.0/ts") == "signature/bdoc-1.0/ts"
