import base64
import re
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pki_builder import NOON
from protocol.globalconf.publisher import signing_key
from sild.protocol.algorithms import DigestAlgorithm, SignatureAlgorithm
from sild.protocol.errors import (
    GlobalConfExpiredDirectory,
    GlobalConfMissingExpirationDate,
    GlobalConfMissingSignature,
    GlobalConfMissingVerificationCert,
    GlobalConfSignatureFailure,
    MalformedGlobalConf,
    ProtocolError,
)
from sild.protocol.globalconf.directory import (
    Boundaries,
    DirectoryContents,
    Part,
    PartKind,
    check_location,
    prepare_directory,
    read_directory,
    verify_directory,
)

KEY = signing_key("Directory key")
BOUNDARIES = Boundaries("envelope", "contents")
EXPIRES = NOON + timedelta(minutes=10)
SHARED = Part(
    "SHARED-PARAMETERS", "DEV", "/V6/1/shared-params.xml", DigestAlgorithm.SHA512, b"\7" * 64
)
FOO = Part("FOO", "DEV", "/foo.xml", DigestAlgorithm.SHA256, b"\7" * 32)
CONTENTS = DirectoryContents(6, EXPIRES, (SHARED, FOO))


def written(contents=CONTENTS, key=KEY, change=lambda signed: signed):
    algorithm = SignatureAlgorithm.for_key(key.certificate.public_key)
    unsigned = prepare_directory(contents, key.certificate, algorithm, BOUNDARIES)
    unsigned = replace(unsigned, to_sign=change(unsigned.to_sign))
    return unsigned.finish(key.sign(unsigned.to_sign))


def exchange(old, new):
    """A change of the signed bytes, made before they are signed."""
    return lambda signed: signed.replace(old, new, 1)


# One for the generated tests: ECDSA signs differently each time.
WRITTEN = written()


def verified(data, *keys, at=NOON):
    return verify_directory(read_directory(data), [k.certificate for k in keys or (KEY,)], at)


@pytest.mark.parametrize("kind", ["ec", "ec384", "rsa"])
def test_what_is_written_and_signed_is_read_back(kind):
    key = signing_key(f"Key {kind}", kind=kind)
    directory = verified(written(key=key), key)
    assert (directory.version, directory.expires, directory.parts) == (6, EXPIRES, (SHARED, FOO))
    assert directory.signer == key.certificate
    assert [part.kind for part in directory.parts] == [PartKind.SHARED_PARAMETERS, None]


def test_the_digest_to_sign_is_that_of_the_signature_algorithm():
    unsigned = prepare_directory(
        CONTENTS, KEY.certificate, SignatureAlgorithm.ECDSA_SHA512, BOUNDARIES
    )
    assert unsigned.digest_to_sign == DigestAlgorithm.SHA512.digest(unsigned.to_sign)


def test_the_signature_covers_the_body_with_its_last_line_end():
    data = written()
    signed = read_directory(data).signed
    assert signed.startswith(b"--contents\r\nExpire-date: 2026-01-15T12:10:00Z\r\nVersion: 6\r\n")
    assert signed.endswith(b"\r\n--contents--\r\n")
    assert signed in data


def test_every_changed_byte_of_the_signed_range_is_noticed():
    data = written()
    signed = read_directory(data).signed
    start = data.index(signed)
    for offset in range(0, len(signed), 7):
        changed = bytearray(data)
        changed[start + offset] ^= 1
        with pytest.raises(ProtocolError):
            verified(bytes(changed))


def test_a_certificate_that_is_not_trusted_is_refused():
    with pytest.raises(GlobalConfMissingVerificationCert):
        verified(written(), signing_key("Another"))


def test_a_signature_by_another_key_than_the_named_certificate_is_refused():
    other = signing_key("Impostor")
    impostor = replace(other, certificate=KEY.certificate)
    with pytest.raises(GlobalConfSignatureFailure):
        verified(written(key=impostor))


def test_a_directory_is_valid_to_the_very_moment_of_its_expiry():
    assert verified(written(), at=EXPIRES).expires == EXPIRES


def test_an_expired_directory_is_refused():
    with pytest.raises(GlobalConfExpiredDirectory) as refused:
        verified(written(), at=EXPIRES + timedelta(microseconds=1))
    assert refused.value.code == "global_conf_outdated"


def test_the_signature_is_checked_before_the_expiry():
    data = written().replace(b"2026-01-15T12:10:00Z", b"2016-01-15T12:10:00Z")
    with pytest.raises(GlobalConfSignatureFailure):
        verified(data)


def test_an_unsigned_directory_has_no_known_expiry():
    data = written()
    unsigned = data[: data.index(b"\r\n--envelope\r\nContent-Type: application")]
    with pytest.raises(GlobalConfMissingExpirationDate):
        read_directory(unsigned)


def test_an_empty_signature_is_refused():
    data = written()
    emptied = re.sub(rb'(sha512"\r\n\r\n)[^\r]*', rb"\1", data)
    with pytest.raises(GlobalConfMissingSignature):
        read_directory(emptied)


@pytest.mark.parametrize("end", [b"\r\n--envelope--\r\n", b"--\r\n", b"-\r\n"])
def test_a_directory_cut_short_is_refused(end):
    assert written().endswith(end)
    with pytest.raises(MalformedGlobalConf):
        read_directory(written().removesuffix(end))


def test_a_third_part_is_refused():
    data = written().removesuffix(b"--\r\n") + b"\r\n\r\nmore\r\n--envelope--\r\n"
    with pytest.raises(MalformedGlobalConf):
        read_directory(data)


def test_a_directory_over_the_size_limit_is_refused():
    with pytest.raises(MalformedGlobalConf, match="over"):
        read_directory(written() + b" " * 2_000_000)


def test_a_directory_of_too_many_parts_is_refused():
    many = tuple(replace(FOO, location=f"/{number}") for number in range(1001))
    with pytest.raises(MalformedGlobalConf, match="1002 parts"):
        verified(written(replace(CONTENTS, parts=many)))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Expire-date: 2026-01-15T12:10:00Z\r\n", b""),
        (b"Expire-date: 2026-01-15T12:10:00Z\r\n", b"Expire-date: \r\n"),
    ],
)
def test_a_directory_without_a_date_of_expiry_is_refused(old, new):
    with pytest.raises(GlobalConfMissingExpirationDate):
        verified(written(change=exchange(old, new)))


@pytest.mark.parametrize(
    "moment",
    ["2026-13-01T00:00:00Z", "2026-W01", "tomorrow", "2026-01-15 12:10:00Z", "2026-01-15T12:10:00"],
)
def test_a_date_of_expiry_that_is_no_moment_is_refused(moment):
    change = exchange(b"2026-01-15T12:10:00Z", moment.encode())
    with pytest.raises(MalformedGlobalConf, match="moment"):
        verified(written(change=change))


def test_a_configuration_proxy_writes_milliseconds():
    change = exchange(b"12:10:00Z", b"12:10:00.123Z")
    expected = datetime(2026, 1, 15, 12, 10, 0, 123000, UTC)
    assert verified(written(change=change)).expires == expected


@pytest.mark.parametrize("version", ["1", "7", "six", "", "06", "٦"])
def test_a_version_that_is_not_supported_is_refused(version):
    change = exchange(b"Version: 6", f"Version: {version}".encode())
    with pytest.raises(MalformedGlobalConf, match="version"):
        verified(written(change=change))


def test_a_directory_without_a_version_is_of_version_2():
    change = exchange(b"Version: 6\r\n", b"")
    assert verified(written(change=change)).version == 2


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Content-type: application/octet-stream", b"Content-type: text/xml"),
        (b"Content-transfer-encoding: base64", b"Content-transfer-encoding: binary"),
        (b"Content-location: /V6/1/shared-params.xml\r\n", b""),
        (b"xmlenc#sha512", b"xmlenc#sha1024"),
        (b"http://www.w3.org/2001/04/xmlenc#sha512", b"http://www.w3.org/2000/09/xmldsig#sha1"),
        (b"; instance='DEV'\r\nContent-location: /V6", b"\r\nContent-location: /V6"),
        (b"instance='DEV'", b"instance=''"),
        (b"BwcHBwcH", b"BwcH!!"),
        (b"BwcHBwcH", b""),
        (b"Version: 6", b"Version: 6\r\nVersion: 5"),
        (b"Version: 6", b"Version"),
        (b"FOO; instance='DEV'", b"SHARED-PARAMETERS; instance='DEV'"),
    ],
)
def test_a_directory_against_the_rules_is_refused(old, new):
    assert old in read_directory(written()).signed
    with pytest.raises(MalformedGlobalConf):
        verified(written(change=exchange(old, new)))


@pytest.mark.parametrize("instance", ['"DEV"', "'DEV'", "DEV", '"DEV" '])
def test_the_instance_may_stand_in_any_quotes(instance):
    change = exchange(b"'DEV'", instance.encode())
    assert {part.instance for part in verified(written(change=change)).parts} == {"DEV"}


def test_older_sources_write_line_feeds_and_leave_out_the_last_delimiter():
    def change(signed):
        return signed.removesuffix(b"\r\n--contents--\r\n").replace(b"\r\n", b"\n")

    assert verified(written(change=change)).parts == (SHARED, FOO)


@pytest.mark.parametrize(
    "location",
    [
        "/V6/../../etc/passwd",
        "../shared-params.xml",
        "/V6/%2e%2e/x",
        "/V6/.%2E/x",
        "/V6/a%2fb",
        "/V6/a%5cb",
        "/V6/a\\b",
        "/V6/a%00b",
        "/V6//b",
        "//evil.test/x",
        "http://evil.test/x",
        "file:///etc/passwd",
        "x:y",
        "/x?y",
        "/x#y",
        "/x y",
        "/x\ty",
        "/",
        "",
        ".",
        "/./x",
        "/x/",
        "/" + "x" * 1024,
    ],
)
def test_a_location_that_leaves_the_directory_is_refused(location):
    with pytest.raises(MalformedGlobalConf):
        check_location(location)


def test_a_signed_location_that_leaves_the_directory_is_refused():
    change = exchange(b"/V6/1/shared", b"/V6/../shared")
    with pytest.raises(MalformedGlobalConf, match="leaves"):
        verified(written(change=change))


@pytest.mark.parametrize("location", ["/V6/2025/shared-params.xml", "shared.xml", "/a/%C3%A4.xml"])
def test_a_plain_path_is_a_location(location):
    check_location(location)


@pytest.mark.parametrize(
    "part",
    [
        replace(SHARED, instance="D'; x='"),
        replace(SHARED, instance="D\r\nExpire-date: 2099-01-01T00:00:00Z"),
        replace(SHARED, location="/../x"),
        replace(FOO, identifier="FOO\nBAR"),
    ],
)
def test_a_part_that_would_break_out_of_its_header_is_not_written(part):
    with pytest.raises(MalformedGlobalConf):
        written(replace(CONTENTS, parts=(part,)))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"more#ecdsa-sha512", b"more#ecdsa-sha1"),
        (b"more#ecdsa-sha512", b"more#nonsense"),
        (b'; hash-algorithm-id="http://www.w3.org/2001/04/xmlenc#sha512"', b""),
        (b'hash-algorithm-id="http://www.w3.org/2001/04/xmlenc#sha512"', b"hash-algorithm-id=x"),
        (b"Content-Transfer-Encoding: base64", b"Content-Transfer-Encoding: 8bit"),
        (b"Content-Type: multipart/related", b"Content-Type: multipart/mixed"),
        (b"boundary=envelope\r\n", b"\r\n"),
    ],
)
def test_an_envelope_against_the_rules_is_refused(old, new):
    data = written()
    assert old in data
    with pytest.raises(MalformedGlobalConf):
        read_directory(data.replace(old, new))


def test_a_digest_of_the_certificate_without_quotes_is_read():
    data = written()
    unquoted = re.sub(rb'hash-algorithm-id="([^"]*)"', rb"hash-algorithm-id=\1", data)
    assert unquoted != data
    assert verified(unquoted).version == 6


def test_a_folded_header_is_read():
    folded = written().replace(b"; hash-algorithm-id=", b";\r\n    hash-algorithm-id=")
    assert verified(folded).version == 6


def test_a_weak_digest_of_the_certificate_is_refused():
    data = written()
    digest = base64.b64encode(KEY.certificate.sha1)
    data = re.sub(rb"certificate-hash: [^;]*", lambda _: b"certificate-hash: " + digest, data)
    data = data.replace(
        b'id="http://www.w3.org/2001/04/xmlenc#sha512"',
        b'id="http://www.w3.org/2000/09/xmldsig#sha1"',
    )
    with pytest.raises(MalformedGlobalConf, match="SHA-1"):
        read_directory(data)


@given(st.binary(max_size=400))
def test_any_bytes_are_refused_or_read(data):
    with pytest.raises(ProtocolError):
        verified(data)


@given(st.data())
def test_a_directory_with_bytes_exchanged_is_refused_or_read(data):
    whole = bytearray(WRITTEN)
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(whole) - 1))
        whole[position : position + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    with suppress(ProtocolError):
        assert verified(bytes(whole)).parts == (SHARED, FOO)


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_any_signed_bytes_are_refused_or_read(head, part):
    signed = b"--contents\r\n" + head + b"\r\n--contents\r\n" + part + b"\r\n--contents--\r\n"
    with suppress(ProtocolError):
        verified(written(change=lambda _: signed))
