"""Uploaded certificate files: checked by name and content, then read."""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from sild.components.centralserver.trust_errors import (
    DoubleFileExtension,
    FileContentNotAllowed,
    FileExtensionNotAllowed,
    InvalidCertificateFile,
)
from sild.components.centralserver.trust_values import CertificateFile
from sild.protocol.errors import IncorrectCertificate
from sild.protocol.pki.certificate import Certificate, read_certificate

EXTENSIONS = ("der", "crt", "pem", "cer")
CONTENT_TYPES = ("application/x-x509-cert", "text/plain")
_LARGEST_FILE = 128 * 1024
_CERTIFICATE, _TEXT = CONTENT_TYPES
_BINARY = "application/octet-stream"
_SEQUENCE = b"\x30"

# By the first bytes; a certificate in DER begins with a sequence whose length takes two bytes.
_BEGINNINGS: Mapping[bytes, str] = {
    b"\x30\x82": _CERTIFICATE,
    b"-----BEGIN ": _CERTIFICATE,
    b"<?xml": "application/xml",
    b"<!DOCTYPE": "text/html",
    b"<html": "text/html",
    b"#!": "application/x-sh",
    b"\x89PNG": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"%PDF-": "application/pdf",
    b"PK\x03\x04": "application/zip",
    b"\x1f\x8b": "application/gzip",
    b"\x7fELF": "application/x-elf",
}
_NOT_IN_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


def read_certificate_file(file: CertificateFile) -> Certificate:
    """The one certificate in a file, DER or PEM; text around the PEM is passed over.

    Raises a BadRequest.
    """
    _check_name(file.name)
    _check_content(file.content)
    found = [] if file.content.startswith(_SEQUENCE) else _PEM.findall(file.content)
    if len(found) > 1:
        raise InvalidCertificateFile(f"the file holds {len(found)} certificates and not one")
    try:
        return read_certificate(found[0] if found else file.content)
    except IncorrectCertificate as error:
        raise InvalidCertificateFile(error.message) from None


def _check_name(name: str) -> None:
    path = PurePosixPath(name.replace("\\", "/"))
    if len(path.suffixes) > 1:
        raise DoubleFileExtension("the name of a certificate file has one extension")
    extension = path.suffix.removeprefix(".")
    if extension not in EXTENSIONS:
        raise FileExtensionNotAllowed(
            f"a certificate file ends with one of {', '.join(EXTENSIONS)}",
            extension,
            ", ".join(EXTENSIONS),
        )


def _check_content(content: bytes) -> None:
    if not content:
        raise InvalidCertificateFile("the certificate file is empty")
    if len(content) > _LARGEST_FILE:
        raise InvalidCertificateFile(f"a certificate file of {len(content)} bytes is too long")
    content_type = _type_of(content)
    if content_type not in CONTENT_TYPES:
        raise FileContentNotAllowed(
            f"the file holds {content_type} and no certificate",
            content_type,
            ", ".join(CONTENT_TYPES),
        )


def _type_of(content: bytes) -> str:
    for beginning, content_type in _BEGINNINGS.items():
        if content.lstrip().startswith(beginning):
            return content_type
    return _BINARY if _NOT_IN_TEXT.search(content) else _TEXT
