"""What information systems post and answer: read, whole and streamed, and written back."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sild.protocol.algorithms import DigestAlgorithm
from sild.protocol.errors import (
    InvalidContentType,
    InvalidMessage,
    MimeParsingFailed,
    MissingSoap,
    ProtocolError,
)
from sild.protocol.mime import MimeLimits, PartHeaders
from sild.protocol.soap.package import PackageLimits, PackageReader, PackageWriter, read_package
from sild.protocol.soap.parts import AttachmentChunk, AttachmentEnd, AttachmentStart, SoapPart

NORMAL = PackageLimits()
XML = "text/xml; charset=UTF-8"
RELATED = 'multipart/related; type="text/xml"; start="<root>"; boundary="MIME_b"'
MTOM = 'multipart/related; type="application/xop+xml"; start="<root>"; start-info="text/xml"; boundary=MIME_b'
XOP = 'application/xop+xml; charset=UTF-8; type="text/xml"'
ENVELOPE = b"\r\n<Envelope/>\n"


def sha512(data):
    return hashlib.sha512(data).digest()


def soap(raw=ENVELOPE, content_type=XML, *others):
    media_type = content_type.partition(";")[0]
    return SoapPart(raw, PartHeaders(media_type, content_type, others), sha512(raw))


def attachment(data, content_type="image/png", *others):
    headers = PartHeaders(content_type, content_type, others)
    chunks = [AttachmentChunk(data)] if data else []
    return [AttachmentStart(headers), *chunks, AttachmentEnd(sha512(data))]


ROOT = (("Content-Transfer-Encoding", "8bit"), ("Content-ID", "<root>"))
DATA = (("Content-Transfer-Encoding", "base64"), ("Content-ID", "<data.bin>"))

PACKAGES = {
    "alone": (XML, [soap()]),
    "alone without bytes": ("text/xml", [soap(b"", "text/xml")]),
    "alone and binary optimised": (XOP, [soap(ENVELOPE, XOP)]),
    "a package of one": (RELATED, [soap(ENVELOPE, XML, *ROOT)]),
    "with attachments": (
        RELATED,
        [soap(ENVELOPE, XML, *ROOT), *attachment(b"\r\n--MIME_\r\n\xff"), *attachment(b"")],
    ),
    "binary optimised": (
        MTOM,
        [soap(ENVELOPE, XOP, *ROOT), *attachment(b"VGhpcw0K\r\n", "a/b", *DATA)],
    ),
    "without a start": (
        "Multipart/Related;boundary=MIME_b",
        [soap(), *attachment(b"x", "a/b", ("CONTENT-ID", "<root>"))],
    ),
}


def write(content_type, events):
    writer = PackageWriter(content_type, "UTF-8")
    return b"".join([*map(writer.write, events), writer.close()])


def comparable(events):
    """The events with chunks of one attachment joined."""
    found = []
    for event in events:
        if isinstance(event, AttachmentChunk) and isinstance(found[-1], AttachmentChunk):
            found[-1] = AttachmentChunk(found[-1].data + event.data)
        else:
            found.append(event)
    return found


def whole(content_type, data, limits=NORMAL):
    return read_package(content_type, data, limits=limits)


def stream(content_type, data, size, limits=NORMAL):
    reader = PackageReader(content_type, limits=limits)
    events = []
    for start in range(0, len(data), size):
        events += reader.feed(data[start : start + size])
    return comparable([*events, *reader.finish()])


BOTH = [whole, lambda *args: stream(*args[:2], 1, *args[2:]), lambda *args: stream(*args[:2], 1000, *args[2:])]  # fmt: skip


@pytest.mark.parametrize(("content_type", "events"), PACKAGES.values(), ids=PACKAGES)
def test_what_is_written_is_read_back(content_type, events):
    data = write(content_type, events)
    assert whole(content_type, data) == events
    for size in (1, 2, 7, 1000):
        assert stream(content_type, data, size) == events


def test_a_package_has_exactly_these_bytes():
    content_type, events = PACKAGES["binary optimised"]
    assert write(content_type, events) == (
        b'--MIME_b\r\ncontent-type: application/xop+xml; charset=UTF-8; type="text/xml"\r\n'
        b"Content-Transfer-Encoding: 8bit\r\nContent-ID: <root>\r\n\r\n" + ENVELOPE + b"\r\n"
        b"--MIME_b\r\ncontent-type: a/b\r\nContent-Transfer-Encoding: base64\r\n"
        b"Content-ID: <data.bin>\r\n\r\nVGhpcw0K\r\n\r\n--MIME_b--\r\n"
    )


def test_a_message_alone_has_its_own_bytes_and_names_its_encoding():
    assert write(XOP, [soap()]) == ENVELOPE
    assert PackageWriter("text/xml; charset=utf-8", "UTF-8").content_type == XML
    assert PackageWriter(XML, "ISO-8859-1").content_type == "text/xml; charset=ISO-8859-1"


def test_a_package_keeps_its_content_type():
    for content_type in (RELATED, MTOM):
        assert PackageWriter(content_type, "UTF-8").content_type == content_type


def test_the_soap_part_comes_before_the_attachments_are_there():
    content_type, events = PACKAGES["with attachments"]
    data = write(content_type, events)
    reader = PackageReader(content_type)
    assert reader.feed(data[: data.index(b"image/png")]) == events[:1]


def test_parts_are_hashed_with_the_given_algorithm():
    content_type, events = PACKAGES["with attachments"]
    found = read_package(content_type, write(content_type, events), DigestAlgorithm.SHA256)
    assert found[0].digest == hashlib.sha256(ENVELOPE).digest()
    assert found[3].digest == hashlib.sha256(b"\r\n--MIME_\r\n\xff").digest()
    reader = PackageReader(content_type, DigestAlgorithm.SHA256)
    assert reader.feed(write(content_type, events))[3].digest == found[3].digest


def test_a_large_attachment_passes_and_is_not_kept():
    content_type = "multipart/related; boundary=b"
    reader, writer = PackageReader(content_type), PackageWriter(content_type, "UTF-8")
    reader.feed(writer.write(soap()) + writer.write(attachment(b"")[0]))
    chunk = b"x" * 65_536
    for _ in range(32):
        for event in reader.feed(writer.write(AttachmentChunk(chunk))):
            assert isinstance(event, AttachmentChunk | AttachmentStart)
        assert not reader._pieces
        assert len(reader._multipart._held) < 100
    tail = reader.feed(writer.write(AttachmentEnd(b"")) + writer.close()) + reader.finish()
    assert tail[-1] == AttachmentEnd(sha512(chunk * 32))


def package(*parts, boundary=b"MIME_b"):
    lines = [b"--%b\n%b\n\n%b\n" % (boundary, *part) for part in parts]
    return b"".join(lines) + b"--%b--" % boundary


SOAP = (b"Content-Type: text/xml", b"<a/>")


@pytest.mark.parametrize("read", BOTH)
@pytest.mark.parametrize(
    "content_type", ["", "blah", "text/plain", "application/soap+xml", "multipart/mixed; boundary=x", "multipart/related", "text/xml; charset=utf-7"],
)  # fmt: skip
def test_other_content_types_are_refused(read, content_type):
    with pytest.raises(InvalidContentType):
        read(content_type, package(SOAP, boundary=b"x"))


@pytest.mark.parametrize("read", BOTH)
@pytest.mark.parametrize("data", [b"", b"--MIME_b--", b"\r\n--MIME_b--\r\n"])
def test_a_package_without_parts_has_no_soap_message(read, data):
    with pytest.raises(MissingSoap) as raised:
        read(RELATED, data)
    assert raised.value.code == "missing_soap"


@pytest.mark.parametrize("read", BOTH)
@pytest.mark.parametrize(
    "headers",
    [
        b"Content-Type: text/plain",
        b"Content-Type: multipart/mixed; boundary=a",
        b"Content-ID: <root>",
        b"Content-Type: text/xml\nContent-Transfer-Encoding: base64",
        b"Content-Type: text/xml\nCONTENT-TRANSFER-ENCODING: Quoted-Printable",
        b"Content-Type: text/xml; charset=utf-7",
    ],
)
def test_a_first_part_that_is_no_plain_soap_message_is_refused(read, headers):
    with pytest.raises(InvalidContentType):
        read(RELATED, package((headers, b"<a/>")))


@pytest.mark.parametrize("encoding", [b"8bit", b"7BIT", b"binary", b""])
def test_a_first_part_in_no_transfer_encoding_passes(encoding):
    headers = b"Content-Type: text/xml\nContent-Transfer-Encoding: " + encoding
    assert whole(RELATED, package((headers, b"<a/>")))[0].raw == b"<a/>"


@pytest.mark.parametrize("read", BOTH)
@pytest.mark.parametrize("name", [b"<root>", b"root", b" < root > "])
@pytest.mark.parametrize("start", ['"<root>"', "root", '" root"'])
def test_an_attachment_that_the_package_calls_its_message_is_refused(read, name, start):
    content_type = f"multipart/related; boundary=MIME_b; start={start}"
    other = (b"Content-Type: text/xml\nContent-ID: " + name, b"<b/>")
    with pytest.raises(InvalidContentType):
        read(content_type, package(SOAP, other))
    events = [soap(), *attachment(b"<b/>", "text/xml", ("Content-ID", name.decode()))]
    with pytest.raises(InvalidContentType):
        write(content_type, events)
    assert read(content_type, package(other)) == [
        soap(b"<b/>", "text/xml", ("Content-ID", name.decode().strip()))
    ]


@pytest.mark.parametrize("read", BOTH)
def test_two_starts_are_refused(read):
    with pytest.raises(InvalidContentType):
        read(f"{RELATED}; start=other", package(SOAP))


@pytest.mark.parametrize("read", BOTH)
def test_an_attachment_without_a_content_type_is_refused(read):
    with pytest.raises(InvalidContentType):
        read(RELATED, package(SOAP, (b"Cont-Type: text/plain", b"x")))


@pytest.mark.parametrize("read", BOTH)
def test_a_package_that_is_cut_short_is_refused(read):
    content_type, events = PACKAGES["with attachments"]
    data = write(content_type, events)
    for length in range(1, len(data) - 2, 7):
        with pytest.raises(MimeParsingFailed):
            read(content_type, data[:length])


@pytest.mark.parametrize("read", BOTH)
def test_the_size_of_the_message_and_the_number_of_attachments_are_limited(read):
    limits = PackageLimits(soap=4, attachments=1)
    attached = (b"Content-Type: a/b", b"12345")
    read(RELATED, package(SOAP, attached), limits)
    read("text/xml", b"<a/>", limits)
    for content_type, data in (
        (RELATED, package(SOAP, attached, attached)),
        (RELATED, package((SOAP[0], b"<a />"), attached)),
        ("text/xml", b"<a />"),
    ):
        with pytest.raises(InvalidMessage):
            read(content_type, data, limits)


@pytest.mark.parametrize(
    "content", [b"\n--MIME_b\r\n", b"--MIME_b--", b"x\r\n--MIME_b", b"\n--MIME_bc"]
)
def test_a_part_that_holds_the_boundary_is_not_written(content):
    """The other side would see parts that nobody has signed."""
    for size in (1, 3, 100):
        pieces = [content[start : start + size] for start in range(0, len(content), size)]
        start, end = attachment(b"")
        with pytest.raises(InvalidMessage):
            write(RELATED, [soap(), start, *map(AttachmentChunk, pieces), end])
    with pytest.raises(InvalidMessage):
        PackageWriter(RELATED, "UTF-8").write(soap(content))
    name = ("--MIME_b", "x")
    with pytest.raises(InvalidMessage):
        PackageWriter(RELATED, "UTF-8").write(soap(b"", XML, name))
    assert write("text/xml", [soap(content)]) == content


def test_what_only_resembles_the_boundary_is_written():
    for content in (b"x--MIME_b", b"\r\n--MIME_", b"--MIME_\nb", b"-\n-MIME_b"):
        data = write(RELATED, [soap(), *attachment(content)])
        assert whole(RELATED, data) == [soap(), *attachment(content)]


@pytest.mark.parametrize("content_type", ["", "text/plain", "multipart/mixed; boundary=b", "multipart/related"])  # fmt: skip
def test_a_message_of_another_type_is_not_written(content_type):
    with pytest.raises(InvalidContentType):
        PackageWriter(content_type, "UTF-8")


def test_a_first_part_that_is_no_plain_soap_message_is_not_written():
    for part in (
        soap(b"", "text/plain"),
        soap(b"", XML, ("content-transfer-encoding", "base64")),
    ):
        with pytest.raises(InvalidContentType):
            write(RELATED, [part])


def test_attachments_are_written_into_packages_only():
    with pytest.raises(InvalidContentType):
        write(XML, [soap(), *attachment(b"x")])


IMAGE = attachment(b"x")


@pytest.mark.parametrize(
    "events",
    [
        [], IMAGE, [soap(), soap()], [soap(), IMAGE[0]], [soap(), *IMAGE[1:]], [soap(), IMAGE[0], *IMAGE],
        [soap(), *IMAGE, IMAGE[2]], [soap(), *IMAGE, soap()], [soap(), IMAGE[0], soap()],
    ],
)  # fmt: skip
def test_parts_out_of_order_are_not_written(events):
    with pytest.raises(InvalidMessage):
        write(RELATED, events)


TOKENS = [
    b"\r\n", b"\n", b"--MIME_b", b"\r\n--MIME_b\r\n", b"--MIME_b--", b"\r\n\r\n", b"-", b"x", b"\x00", b"content-type: text/xml\r\n\r\n",
    b"content-type: a/b\r\nContent-ID: <root>\r\n\r\n", b"content-transfer-encoding: base64\r\n",
]  # fmt: skip


@st.composite
def mutated(draw):
    content_type, events = draw(st.sampled_from(list(PACKAGES.values())))
    data = write(content_type, events)
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        until = draw(st.integers(at, min(len(data), at + 40)))
        data = data[:at] + draw(st.sampled_from([b"", *TOKENS])) + data[until:]
    return content_type, data


@settings(max_examples=max(200, settings.default.max_examples))
@given(
    mutated(),
    st.integers(1, 200),
    st.sampled_from([NORMAL, PackageLimits(10, 1), PackageLimits(mime=MimeLimits(60, 90, 5))]),
)
def test_both_readers_agree_on_any_bytes(case, size, limits):
    content_type, data = case
    outcomes = []
    for read in (whole, lambda *args: stream(*args[:2], size, *args[2:])):
        try:
            outcomes.append(read(content_type, data, limits))
        except ProtocolError:
            outcomes.append("refused")
    assert outcomes[0] == outcomes[1]
