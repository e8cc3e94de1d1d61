"""The two manifests of an ASiC-E container, as the reference writes them."""

from collections.abc import Iterable

from sild.protocol.algorithms import DigestAlgorithm
from sild.protocol.signature.base64text import encode_base64

_MANIFEST = """\
<?xml version="1.0" encoding="UTF-8"?>
<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0" \
manifest:version="1.2">
{entries}</manifest:manifest>
"""
_ENTRY = '    <manifest:file-entry manifest:media-type="{type}" manifest:full-path="{path}"/>\n'
# The namespace is that of ASiC, but for a zero that it has in signature documents.
_ASIC_MANIFEST = """\
<?xml version="1.0" encoding="utf-8"?>
<asic:ASiCManifest xmlns:asic="http://uri.etsi.org/2918/v1.2.1#" \
xmlns:ds="http://www.w3.org/2000/09/xmldsig#">
<asic:SigReference URI="{token}" MimeType="vnd.etsi.timestamp-token"/>
<asic:DataObjectReference URI="{path}" MimeType="text/xml">
<ds:DigestMethod Algorithm="{algorithm}" />
<ds:DigestValue>{digest}</ds:DigestValue>
</asic:DataObjectReference>
</asic:ASiCManifest>"""


def write_manifest(documents: Iterable[str], attachments: Iterable[str]) -> bytes:
    """The OpenDocument manifest over the XML documents and the attachments."""
    types = {"/": "application/vnd.etsi.asic-e+zip"}
    types |= dict.fromkeys(documents, "text/xml")
    types |= dict.fromkeys(attachments, "application/octet-stream")
    entries = (_ENTRY.format(type=media_type, path=path) for path, media_type in types.items())
    return _MANIFEST.format(entries="".join(entries)).encode("ascii")


def write_asic_manifest(token: str, path: str, digest: bytes) -> bytes:
    """The ASiC manifest over what a time-stamp token stamps, by its SHA-512 digest."""
    return _ASIC_MANIFEST.format(
        token=token,
        path=path,
        algorithm=DigestAlgorithm.SHA512.uri,
        digest=encode_base64(digest).decode("ascii"),
    ).encode("ascii")


def is_same_manifest(found: bytes, expected: bytes) -> bool:
    """Whether two OpenDocument manifests differ at most in the order of their entries."""
    head, tail = 2, 1
    one, other = found.splitlines(keepends=True), expected.splitlines(keepends=True)
    return (
        one[:head] == other[:head] and one[-tail:] == other[-tail:] and sorted(one) == sorted(other)
    )
