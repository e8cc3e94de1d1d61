from functools import cache

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import example, given
from hypothesis import strategies as st

from pki_builder import TestCa, name_of
from sild.components.centralserver.trust_errors import (
    DoubleFileExtension,
    FileContentNotAllowed,
    FileExtensionNotAllowed,
    InvalidCertificateFile,
)
from sild.components.centralserver.trust_uploads import EXTENSIONS, read_certificate_file
from sild.components.centralserver.trust_values import CertificateFile
from sild.model.refusals import BadRequest


@cache
def ca():
    return TestCa.create("Approved CA").certificate


def pem(certificate):
    return certificate.x509.public_bytes(Encoding.PEM)


def read(content, name="ca.pem"):
    return read_certificate_file(CertificateFile(name, content))


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_a_certificate_is_read_whatever_its_form(extension):
    assert read(ca().der, f"ca.{extension}") == ca()
    assert read(pem(ca()), f"ca.{extension}") == ca()


def test_a_certificate_with_endless_text_around_it_is_refused():
    assert read(pem(ca()) + b"\n" * 100_000) == ca()
    with pytest.raises(InvalidCertificateFile, match="too long"):
        read(pem(ca()) + b"\n" * 128 * 1024)


def test_the_text_that_openssl_writes_before_a_certificate_is_passed_over():
    text = b"Certificate:\n    Data:\n        Version: 3 (0x2)\n"
    assert read(text + pem(ca()) + b"\n") == ca()


def test_the_folders_of_a_name_do_not_count():
    assert read(ca().der, r"C:\v1.2\ca.der") == ca()
    assert read(ca().der, "/home/v1.2/ca.der") == ca()


@pytest.mark.parametrize("name", ["ca", "ca.txt", "ca.PEM", "", ".pem", "ca.", "pem"])
def test_a_file_of_another_extension_is_refused(name):
    with pytest.raises(FileExtensionNotAllowed) as caught:
        read(ca().der, name)
    assert caught.value.code == "invalid_file_extension"
    assert caught.value.metadata[1] == "der, crt, pem, cer"


def test_a_file_of_two_extensions_is_refused():
    with pytest.raises(DoubleFileExtension) as caught:
        read(ca().der, "ca.exe.pem")
    assert caught.value.code == "double_file_extension"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "image/png"),
        (b"PK\x03\x04" + bytes(100), "application/zip"),
        (b"<?xml version='1.0'?><a/>", "application/xml"),
        (b" \n<!DOCTYPE html>", "text/html"),
        (b"%PDF-1.7", "application/pdf"),
        (b"\x00\x01\x02", "application/octet-stream"),
    ],
)
def test_a_file_of_another_content_is_refused_whatever_its_name(content, kind):
    with pytest.raises(FileContentNotAllowed) as caught:
        read(content, "ca.der")
    assert caught.value.code == "invalid_file_content_type"
    assert caught.value.metadata == (kind, "application/x-x509-cert, text/plain")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no certificate",
        b"\x30\x82\x01\x00",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        b"x" * 200_000,
    ],
)
def test_a_file_without_a_certificate_is_refused(content):
    with pytest.raises(InvalidCertificateFile) as caught:
        read(content)
    assert caught.value.code == "invalid_certificate"


def test_a_file_with_two_certificates_is_refused():
    with pytest.raises(InvalidCertificateFile):
        read(pem(ca()) + pem(TestCa.create("Another").certificate))


def test_bytes_behind_a_certificate_are_refused():
    with pytest.raises(InvalidCertificateFile):
        read(ca().der + b"\x00", "ca.der")


def test_a_certificate_within_a_certificate_is_not_the_one():
    inner = pem(ca()).decode()
    outer = TestCa.create("Outer").issue(name_of(CN="Outer", O=inner)).certificate
    assert inner.encode() in outer.der
    assert read(outer.der, "ca.der") == outer


@given(st.binary(max_size=300), st.text(max_size=12))
@example(b"\x30\x82", "a.der")
@example(b"-----BEGIN CERTIFICATE-----", "a.pem")
def test_any_file_gives_a_certificate_or_a_refusal(content, name):
    for each in (name, "a.pem"):
        try:
            read(content, each)
        except BadRequest:
            continue
