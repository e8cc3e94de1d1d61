"""The OCSP response retrieval request and its answer."""

import contextlib
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sild.protocol.algorithms import DigestAlgorithm
from sild.protocol.errors import InvalidMessage, InvalidRequest, MimeParsingFailed, ProtocolError
from sild.protocol.mime import InvalidContentType
from sild.protocol.transport.ocsp_exchange import (
    CertificateHash,
    OcspLimits,
    read_ocsp_answer,
    read_ocsp_target,
    write_ocsp_answer,
    write_ocsp_target,
)

SHA1, SHA256 = DigestAlgorithm.SHA1, DigestAlgorithm.SHA256


def test_both_hashes_of_each_certificate_are_sent():
    a1, b1 = (hashlib.sha1(der).hexdigest() for der in (b"a", b"b"))
    a2, b2 = (hashlib.sha256(der).hexdigest() for der in (b"a", b"b"))
    target = write_ocsp_target([b"a", b"b"])
    assert target == f"/?cert={a1}&cert={b1}&cert_hash={a2}&cert_hash={b2}"
    assert read_ocsp_target(target.encode()) == (
        CertificateHash(SHA1, SHA1.digest(b"a")),
        CertificateHash(SHA1, SHA1.digest(b"b")),
    )


def test_the_path_and_other_parameters_do_not_matter():
    target = b"/any?x=y&cert=" + b"AB" * 20 + b"&z"
    assert read_ocsp_target(target) == (CertificateHash(SHA1, b"\xab" * 20),)


def test_sha_256_alone_is_enough():
    target = b"/?cert_hash=" + b"ab" * 32
    assert read_ocsp_target(target) == (CertificateHash(SHA256, b"\xab" * 32),)


@pytest.mark.parametrize(
    "target",
    [
        b"",
        b"/",
        b"/?",
        b"/?cert",
        b"/?cert=",
        b"/?cert=ab",
        b"/?cert=" + b"ab" * 32,
        b"/?cert=" + b"xy" * 20,
        b"/?cert_hash=" + b"ab" * 20,
        b"/?cert=" + b"ab" * 20 + b"&cert_hash=x",
        b"/?" + b"&".join([b"cert=" + b"ab" * 20] * 17),
        b"/?cert=" + b"ab" * 20 + b"&" * 8192,
        b"/?cert=" + b"\xff" * 40,
    ],
)
def test_a_request_without_readable_hashes_is_refused(target):
    with pytest.raises(InvalidRequest):
        read_ocsp_target(target)


def test_an_answer_has_exactly_these_bytes():
    content_type, body = write_ocsp_answer([b"\x30\x01", b"\x30\x02"], "jettyA")
    assert content_type == (
        'multipart/related; type="application/ocsp-response"; charset=UTF-8; boundary=jettyA'
    )
    assert body == (
        b"--jettyA\r\ncontent-type: application/ocsp-response\r\n\r\n\x30\x01\r\n"
        b"--jettyA\r\ncontent-type: application/ocsp-response\r\n\r\n\x30\x02\r\n--jettyA--\r\n"
    )
    assert read_ocsp_answer(content_type, body, 2) == (b"\x30\x01", b"\x30\x02")


def test_an_answer_of_a_peer_is_read():
    body = (
        b"--jettyA\r\nContent-Type: application/ocsp-response\r\n\r\n1\r\n"
        b"--jettyA\r\nContent-Type: text/plain\r\n\r\nignored\r\n--jettyA--\r\n"
    )
    assert read_ocsp_answer("multipart/related;boundary=jettyA", body, 1) == (b"1",)


@pytest.mark.parametrize("expected", [0, 1, 3])
def test_an_answer_with_another_number_of_responses_is_refused(expected):
    content_type, body = write_ocsp_answer([b"1", b"2"], "jettyA")
    with pytest.raises(InvalidMessage):
        read_ocsp_answer(content_type, body, expected)


def test_responses_are_limited():
    content_type, body = write_ocsp_answer([b"12345"], "jettyA")
    with pytest.raises(InvalidMessage):
        read_ocsp_answer(content_type, body, 1, OcspLimits(response=4))
    assert read_ocsp_answer(content_type, body, 1, OcspLimits(response=5)) == (b"12345",)


def test_a_broken_answer_is_refused():
    content_type, body = write_ocsp_answer([b"1"], "jettyA")
    with pytest.raises(MimeParsingFailed):
        read_ocsp_answer(content_type, body[:-6], 1)
    with pytest.raises(InvalidContentType):
        read_ocsp_answer("text/plain", body, 1)


@given(st.binary(max_size=60))
def test_any_bytes_give_values_or_a_protocol_error(data):
    for read in (
        lambda: read_ocsp_target(b"/?cert=" + data),
        lambda: read_ocsp_target(data),
        lambda: read_ocsp_answer("a/b; boundary=B", b"--B\r\n" + data, 1),
    ):
        with contextlib.suppress(ProtocolError):
            read()
