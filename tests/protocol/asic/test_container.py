import contextlib
import io
import struct
import zipfile
import zlib
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signing_builder import TestSigner, as_reference_writes
from sild.protocol.asic.container import (
    MIME_TYPE,
    Container,
    ContainerLimits,
    read_container,
    with_signature_timestamp,
    write_container,
)
from sild.protocol.errors import (
    AsicError,
    AsicHashChainNotFound,
    AsicHashChainResultNotFound,
    AsicInvalidMimeType,
    AsicManifestNotFound,
    AsicMessageNotFound,
    AsicMimeTypeNotFound,
    AsicSignatureNotFound,
    AsicTimestampNotFound,
    InvalidXml,
    MalformedSignature,
    ProtocolError,
)
from sild.protocol.safexml import read_xml
from sild.protocol.signature.signaturexml import parse_container_signature
from sild.protocol.signature.verify import verify_value

DATE = datetime(2026, 1, 15, 12, 30, 59, tzinfo=UTC)
SMALL = Container(b"message", b"signature")
FULL = Container(
    message=b"message",
    signature=b"signature",
    hash_chain_result=b"result",
    hash_chain=b"chain",
    timestamp=b"token",
    timestamp_hash_chain_result=b"ts result",
    timestamp_hash_chain=b"ts chain",
    attachments={"/attachment1": b"body", "/attachment2": b""},
)


def zipped(entries, comment=b"", **options):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, **options) as archive:
        for name, data in entries.items() if isinstance(entries, dict) else entries:
            archive.writestr(name, data)
        archive.comment = comment
    return out.getvalue()


def entries_of(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


BASIC = {"mimetype": MIME_TYPE, "message.xml": b"m", "META-INF/signatures.xml": b"s"}


@pytest.mark.parametrize("container", [SMALL, FULL])
def test_what_is_written_is_read(container):
    assert read_container(write_container(container, DATE)) == container


def test_entries_stand_in_the_order_of_the_reference_all_compressed():
    with zipfile.ZipFile(io.BytesIO(write_container(FULL, DATE))) as archive:
        assert archive.namelist() == [
            "mimetype", "message.xml", "META-INF/signatures.xml", "sig-hashchainresult.xml",
            "sig-hashchain.xml", "ts-hashchainresult.xml", "ts-hashchain.xml",
            "META-INF/manifest.xml", "META-INF/ASiCManifest.xml", "META-INF/timestamp.tst",
            "attachment1", "attachment2",
        ]  # fmt: skip
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_DEFLATED}
        assert archive.comment == b"mimetype=application/vnd.etsi.asic-e+zip"
        assert archive.testzip() is None


def test_the_same_container_and_date_give_the_same_bytes():
    written = write_container(FULL, DATE)
    assert write_container(FULL, DATE) == written
    assert write_container(FULL, DATE.astimezone(timezone(timedelta(hours=5)))) == written
    assert write_container(FULL, DATE + timedelta(minutes=1)) != written


def test_the_date_stands_in_every_entry():
    with zipfile.ZipFile(io.BytesIO(write_container(FULL, DATE))) as archive:
        for entry in archive.infolist():
            assert entry.date_time == (2026, 1, 15, 12, 30, 58)
            assert struct.unpack("<2sHBI", entry.extra)[3] == int(DATE.timestamp())


def test_the_manifest_lists_all_but_what_is_about_the_container():
    manifest = read_xml(entries_of(write_container(FULL, DATE))["META-INF/manifest.xml"])
    listed = {tuple(reversed(entry.attrib.values())) for entry in manifest}
    assert listed == {
        ("/", "application/vnd.etsi.asic-e+zip"),
        *((f"{n}.xml", "text/xml") for n in (
            "message", "sig-hashchainresult", "sig-hashchain", "ts-hashchainresult", "ts-hashchain"
        )),
        ("attachment1", "application/octet-stream"),
        ("attachment2", "application/octet-stream"),
    }  # fmt: skip


def test_only_a_time_stamp_over_several_messages_has_a_manifest():
    assert "META-INF/ASiCManifest.xml" not in entries_of(write_container(SMALL, DATE))
    manifest = entries_of(write_container(FULL, DATE))["META-INF/ASiCManifest.xml"]
    assert read_xml(manifest)[0].get("URI") == "META-INF/timestamp.tst"
    assert read_xml(manifest)[1].get("URI") == "ts-hashchainresult.xml"


MISSING = {
    "no zip": (b"not a zip", AsicMimeTypeNotFound),
    "nothing": (b"", AsicMimeTypeNotFound),
    "no entries": (zipped({}), AsicMimeTypeNotFound),
    "no mimetype": (zipped(BASIC | {"mimetype": b" "}), AsicMimeTypeNotFound),
    "another mimetype": (zipped(BASIC | {"mimetype": b"text/plain"}), AsicInvalidMimeType),
    "no message": (zipped(BASIC | {"message.xml": b""}), AsicMessageNotFound),
    "no signature": (zipped(BASIC | {"META-INF/signatures.xml": b"\n"}), AsicSignatureNotFound),
    "no chain": (zipped(BASIC | {"sig-hashchainresult.xml": b"r"}), AsicHashChainNotFound),
    "no result": (zipped(BASIC | {"sig-hashchain.xml": b"c"}), AsicHashChainResultNotFound),
    "no time-stamp chain": (
        zipped(BASIC | {"ts-hashchainresult.xml": b"r"}),
        AsicHashChainNotFound,
    ),
    "no time-stamp result": (
        zipped(BASIC | {"ts-hashchain.xml": b"c"}),
        AsicHashChainResultNotFound,
    ),
    "an empty token": (zipped(BASIC | {"META-INF/timestamp.tst": b""}), AsicTimestampNotFound),
    "an empty manifest": (zipped(BASIC | {"META-INF/manifest.xml": b""}), AsicManifestNotFound),
    "an empty ASiC manifest": (
        zipped(BASIC | {"META-INF/ASiCManifest.xml": b" "}),
        AsicManifestNotFound,
    ),
}


@pytest.mark.parametrize("name", MISSING)
def test_a_container_without_what_it_needs_is_refused(name):
    data, error = MISSING[name]
    with pytest.raises(error):
        read_container(data)


@pytest.mark.parametrize(
    "name",
    [
        "../message.xml",
        "/message.xml",
        "a/../b",
        "a//b",
        "a\\b",
        "C:x",
        "a\nb",
        ".hidden",
        "ä",
        "a/.",
    ],
)
def test_an_entry_with_a_name_of_tricks_is_refused(name):
    with pytest.raises(AsicError, match="name"):
        read_container(zipped(BASIC | {name: b"x"}))


def test_an_entry_with_two_readings_of_its_name_is_refused():
    data = zipped(BASIC | {"attachment1A": b"x"}).replace(b"attachment1A", b"attachment1\0")
    with pytest.raises(AsicError, match="name"):
        read_container(data)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_entries_of_one_name_are_refused():
    for twin in ("message.xml", "Message.XML"):
        with pytest.raises(AsicError, match="one name"):
            read_container(zipped([*BASIC.items(), (twin, b"another")]))


def test_more_entries_than_the_limit_are_refused():
    with pytest.raises(AsicError, match="4 entries"):
        read_container(zipped(BASIC | {"attachment1": b""}), ContainerLimits(entries=3))


def test_more_bytes_than_the_limit_are_refused():
    data = zipped(BASIC | {"attachment1": b"12345"})
    with pytest.raises(AsicError, match="more than 30"):
        read_container(data, ContainerLimits(size=30))


def test_a_bomb_is_refused():
    bomb = zipped(BASIC | {"attachment1": bytes(5_000_000)})
    with pytest.raises(AsicError, match="unpack"):
        read_container(bomb)
    read_container(bomb, ContainerLimits(ratio=2000))


def test_an_entry_that_understates_its_size_is_refused():
    data = zipped(BASIC | {"attachment1": b"x" * 1000})
    size = struct.pack("<I", 1000)
    with pytest.raises(AsicError):
        read_container(data.replace(size, struct.pack("<I", 10)))


def test_an_entry_that_overstates_its_size_is_refused():
    data = zipped(BASIC | {"attachment1": b"x" * 1000})
    with pytest.raises(AsicError, match="another size"):
        read_container(data.replace(struct.pack("<I", 1000), struct.pack("<I", 1001)))


def test_a_changed_byte_of_an_entry_is_refused():
    stored = zipfile.ZipInfo("attachment1")
    data = zipped([*BASIC.items(), (stored, b"the body")])
    with pytest.raises(AsicError):
        read_container(data.replace(b"the body", b"a body!!"))


def test_an_encrypted_entry_is_refused():
    data = bytearray(zipped(BASIC))
    data[data.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(AsicError, match="encrypted"):
        read_container(bytes(data))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compression_is_refused(method):
    odd = zipfile.ZipInfo("attachment1")
    odd.compress_type = method
    with pytest.raises(AsicError, match="method"):
        read_container(zipped([*BASIC.items(), (odd, b"x")]))


def test_entries_that_only_some_readers_see_are_refused():
    """A second archive before the first: readers without the directory see its entries."""
    hidden = zipped({"message.xml": b"another"})
    body = hidden[: hidden.index(b"PK\x01\x02")]
    with pytest.raises(AsicError):
        read_container(body + zipped(BASIC))
    with pytest.raises(AsicError):
        read_container(hidden + zipped(BASIC))


def test_bytes_before_the_directory_are_refused():
    data = zipped(BASIC)
    start = data.index(b"PK\x01\x02")
    moved = struct.pack("<I", start + 100)
    tail = data[start:].replace(struct.pack("<I", start), moved)
    with pytest.raises(AsicError, match="before its directory"):
        read_container(data[:start] + bytes(100) + tail)


def test_entries_that_overlap_are_refused():
    data = bytearray(zipped(BASIC))
    # Let the last entry of the directory point to the place of the first.
    last = data.rindex(b"PK\x01\x02")
    data[last + 42 : last + 46] = bytes(4)
    with pytest.raises(AsicError):
        read_container(bytes(data))


def test_folders_and_unknown_entries_are_passed_over():
    data = zipped(BASIC | {"META-INF/": b"", "other.txt": b"x", "attachmentX": b"y"})
    assert read_container(data) == Container(b"m", b"s")


def test_an_attachment_of_another_name_is_refused():
    with pytest.raises(AsicError):
        Container(b"m", b"s", attachments={"/attachment0": b""})


def test_a_container_to_be_written_needs_both_documents_of_a_chain():
    with pytest.raises(AsicHashChainNotFound):
        Container(b"m", b"s", hash_chain_result=b"r")


@given(st.data())
def test_any_change_of_bytes_gives_a_container_or_an_error_of_ours(data):
    document = bytearray(data.draw(st.sampled_from(WRITTEN)))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(document) - 1))
        document[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    with contextlib.suppress(AsicError):
        read_container(bytes(document))


WRITTEN = [write_container(SMALL, DATE), write_container(FULL, DATE)]


@given(st.binary(max_size=300))
def test_any_bytes_are_a_container_or_an_error_of_ours(data):
    with pytest.raises(AsicError):
        read_container(data)


# The time-stamp inside of the signature


@pytest.mark.parametrize("shape", [bytes, as_reference_writes])
def test_a_time_stamp_goes_into_the_signature_as_its_first_unsigned_property(shape):
    signer = TestSigner.create("rsa", depth=1)
    document = signer.document()
    if shape is as_reference_writes:
        document = signer.resign(as_reference_writes(document))
    stamped = with_signature_timestamp(document, b"token")
    found = parse_container_signature(stamped)
    assert found.timestamps == (b"token",)
    verify_value(found)
    properties = read_xml(stamped).find(".//{*}UnsignedSignatureProperties")
    assert properties[0].tag == "{http://uri.etsi.org/01903/v1.3.2#}SignatureTimeStamp"
    assert b"<xades:SignatureTimeStamp><xades:EncapsulatedTimeStamp>dG9rZW4=<" in stamped
    before = parse_container_signature(document)
    assert (found.signed_info, found.signed_properties) == (
        before.signed_info,
        before.signed_properties,
    )


def test_a_document_without_a_place_for_it_gets_no_time_stamp():
    with pytest.raises(InvalidXml):
        with_signature_timestamp(b"", b"token")
    document = TestSigner.create().document()
    for broken in (b"<a/>", document.replace(b"UnsignedSignatureProperties", b"Other")):
        with pytest.raises(MalformedSignature):
            with_signature_timestamp(broken, b"token")


def test_errors_have_the_codes_that_are_documented():
    assert {error.code for _, error in MISSING.values()} == {
        "asic_mime_type_not_found", "asic_invalid_mime_type", "asic_message_not_found",
        "asic_signature_not_found", "asic_hash_chain_not_found",
        "asic_hash_chain_result_not_found", "asic_timestamp_not_found", "asic_manifest_not_found",
    }  # fmt: skip
    assert all(issubclass(error, ProtocolError) for _, error in MISSING.values())


# What an entry says of itself, and what the directory says of it


def with_descriptors(entries):
    """As writers do that cannot go back: sizes and checksum stand behind each entry."""

    class Pipe(io.BytesIO):
        def seekable(self):
            return False

        def seek(self, *_):
            raise io.UnsupportedOperation

        def tell(self):
            raise io.UnsupportedOperation

    out = Pipe()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return out.getvalue()


@pytest.mark.parametrize("write", [zipped, with_descriptors])
def test_entries_with_and_without_descriptors_are_read(write):
    assert read_container(write(BASIC)) == Container(b"m", b"s")


LOCAL = {
    "flags": (6, 8),
    "encryption": (6, 1),
    "method": (8, 8),
    "checksum": (14, 1),
    "packed size": (18, 1),
    "size": (22, 1),
    "size of the name": (26, 1),
    "name": (31, 1),
}


@pytest.mark.parametrize("change", LOCAL.values(), ids=LOCAL)
def test_an_entry_that_says_another_thing_than_the_directory_is_refused(change):
    """Who reads from the front, as the reference does, would see another entry."""
    place, bit = change
    data = bytearray(zipped(BASIC | {"attachment1": b"x" * 50}))
    data[data.rindex(b"PK\x03\x04") + place] ^= bit
    with pytest.raises(AsicError, match=r"one thing and another|than is listed|overlap|before its"):
        read_container(bytes(data))


@pytest.mark.parametrize("place", range(-16, 0))
def test_a_descriptor_that_says_another_thing_than_the_directory_is_refused(place):
    data = bytearray(with_descriptors(BASIC | {"attachment1": b"x" * 50}))
    data[data.index(b"PK\x01\x02") + place] ^= 1
    with pytest.raises(AsicError, match="than is listed"):
        read_container(bytes(data))


def test_bytes_behind_the_packed_data_of_an_entry_are_refused():
    raw = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    packed = raw.compress(b"x" * 50) + raw.flush()
    data = zipped(BASIC | {"attachment1": b"x" * 50})
    assert packed in data
    start = data.rindex(b"PK\x05\x06")
    longer = data[:start].replace(packed, packed + b"\0")
    size = struct.pack("<II", len(packed), 50)
    assert longer.count(size) == 2
    longer = longer.replace(size, struct.pack("<II", len(packed) + 1, 50))
    end = bytearray(data[start:])
    end[16:20] = struct.pack("<I", struct.unpack("<I", end[16:20])[0] + 1)
    with pytest.raises(AsicError, match="another size"):
        read_container(longer + bytes(end))


NAMED = {
    b"mimetype": AsicMimeTypeNotFound,
    b"message.xml": AsicMessageNotFound,
    b"META-INF/signatures.xml": AsicSignatureNotFound,
    b"sig-hashchain.xml": AsicHashChainNotFound,
    b"ts-hashchainresult.xml": AsicHashChainResultNotFound,
}


@pytest.mark.parametrize("name", NAMED)
def test_an_entry_that_calls_itself_otherwise_is_missed_as_the_reference_misses_it(name):
    data = write_container(FULL, DATE)
    with pytest.raises(NAMED[name]):
        read_container(data.replace(name, name[:-1] + b"#", 1))
