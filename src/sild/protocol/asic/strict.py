"""What a strict verification asks of a container beyond the verdict of the reference.

A container is evidence as a whole only if each of its bytes is: signed, time-stamped, or such as
it must be, given those that are. So a strict container is what a security server writes of its
parts, entry for entry; its documents are written plainly; and nothing stands in it that nobody
vouches for.
"""

import re
from collections.abc import Sequence

from sild.protocol.asic.container import (
    ARCHIVE_COMMENT,
    MANIFEST_ENTRY,
    Container,
    entries_of,
)
from sild.protocol.asic.manifests import is_same_manifest
from sild.protocol.asic.strictvalues import check_ocsp_response, check_token
from sild.protocol.asic.strictzip import read_strict_zip
from sild.protocol.asic.verify import Report, Steps
from sild.protocol.errors import AsicError, InvalidXml, SignatureError
from sild.protocol.evidence.archive_manifest import renewal_names
from sild.protocol.pki.certificate import Certificate
from sild.protocol.safexml import (
    Element,
    children,
    get_child,
    has_name,
    local_name,
    read_xml,
    text_of,
    write_xml,
)
from sild.protocol.signature.chaindocuments import StepRef, read_chain
from sild.protocol.signature.plainxml import is_plain
from sild.protocol.signature.signaturexml import parse_message_signature

_XADES = "{http://uri.etsi.org/01903/v1.3.2#}"
_DS = "{http://www.w3.org/2000/09/xmldsig#}"
# Newer peers store the signature without it.
_ROOT = (
    b'<asic:XAdESSignatures xmlns:asic="http://uri.etsi.org/02918/v1.2.1#">'
    b"%b</asic:XAdESSignatures>"
)

_UNSIGNED = frozenset(
    {
        "UnsignedSignatureProperties",
        *("SignatureTimeStamp", "EncapsulatedTimeStamp"),
        *("CompleteCertificateRefs", "CertRefs", "Cert", "CertDigest"),
        *("DigestMethod", "DigestValue"),
        *("IssuerSerial", "X509IssuerName", "X509SerialNumber"),
        *("CertificateValues", "EncapsulatedX509Certificate"),
        *("RevocationValues", "OCSPValues", "EncapsulatedOCSPValue"),
    }
)


_PROLOGUE = 100
_TAG = re.compile(rb"<[^>]*>")


class NotStrict(AsicError):
    """A container that holds something which nobody vouches for."""

    code = "not_strict"


def check_strictly(data: bytes, container: Container, report: Report, steps: Steps) -> None:
    """Return if each byte of a verified container is evidence; raises NotStrict, NotStrictZip."""
    steps.ask("Strict: is every attachment there, and as it was signed?")
    for part in report.unverified:
        raise NotStrict(f"{part.uri.removeprefix('/')} is not verified: {part.doubt.value}")
    steps.answer("yes")
    steps.ask("Strict: does the zip file hold what its parts make, and no more?")
    _check_entries(data, container)
    _check_all_is_used(container, report)
    steps.answer("yes: these entries, manifests included, with one way to read them")
    steps.ask("Strict: is every document written plainly?")
    if container.timestamp_hash_chain_result is None:
        # Else each byte of it is time-stamped.
        _check_signature(container.signature)
    for chain in (container.hash_chain, container.timestamp_hash_chain):
        if chain is not None:
            _check_chain(chain)
    _check_values(container, report)
    steps.answer("yes: none of their bytes could be another unnoticed")


def _check_entries(data: bytes, container: Container) -> None:
    found = {entry.name: entry.data for entry in read_strict_zip(data, ARCHIVE_COMMENT)}
    # What renewals have added proves itself, or is refused, apart from this.
    for name in renewal_names(found):
        del found[name]
    expected = entries_of(container)
    if list(found) != list(expected):
        raise NotStrict(
            f"the entries of the container are {', '.join(found)};"
            f" its parts make {', '.join(expected)}"
        )
    for name, content in expected.items():
        same = is_same_manifest if name == MANIFEST_ENTRY else bytes.__eq__
        if not same(found[name], content):
            raise NotStrict(f"{name} is not what the other entries make it")


def _check_all_is_used(container: Container, report: Report) -> None:
    document = report.document
    if container.hash_chain is not None and not document.is_chained:
        raise NotStrict("the container has a hash chain to which the signature does not refer")
    if container.timestamp is not None and document.timestamps:
        raise NotStrict("the container has a time-stamp of its own, and one in its signature")


def _check_signature(signature: bytes) -> None:
    """Return if the document is as a peer would have to send it, but for the time-stamp in it."""
    if not is_plain(signature) or b"?>\n" in signature[:_PROLOGUE]:
        raise NotStrict("the signature is not written plainly")
    try:
        document = parse_message_signature(_without_timestamp(signature))
    except (InvalidXml, SignatureError) as error:
        raise NotStrict(f"no peer could have sent the signature: {error.message}") from None
    if not document.is_settled:
        raise NotStrict("the signature has Ids to which nothing refers")
    _check_unsigned(read_xml(signature), document.extra_certificates)


def _check_unsigned(root: Element, certificates: Sequence[Certificate]) -> None:
    """Return if only values that prove themselves stand beside what is signed."""
    for element in root.iterfind(f".//{_XADES}UnsignedProperties//*"):
        if local_name(element) not in _UNSIGNED:
            raise NotStrict(f"the signature holds a {local_name(element)}, which is not signed")
    held = list(root.iterfind(f".//{_XADES}EncapsulatedX509Certificate"))
    named = [
        [text_of(part) for part in children(issuer)]
        for issuer in root.iterfind(f".//{_XADES}CompleteCertificateRefs//{_XADES}IssuerSerial")
    ]
    if len(held) != len(certificates):
        raise NotStrict("the signature holds certificates to which nothing refers")
    if named != [[found.issuer_text, str(found.serial)] for found in certificates]:
        raise NotStrict("the signature misnames the issuer of a certificate that it holds")


def _without_timestamp(signature: bytes) -> bytes:
    root = read_xml(signature)
    is_bare = has_name(root, _DS + "Signature")
    properties = root if is_bare else get_child(root, _DS + "Signature")
    for name in (
        _DS + "Object",
        _XADES + "QualifyingProperties",
        _XADES + "UnsignedProperties",
        _XADES + "UnsignedSignatureProperties",
    ):
        properties = get_child(properties, name)
    first = next(iter(properties), None)
    if first is not None and has_name(first, _XADES + "SignatureTimeStamp"):
        _check_bare(first)
        _check_bare(get_child(first, _XADES + "EncapsulatedTimeStamp"))
        if len(first) != 1:
            raise NotStrict("a time-stamp in the signature holds more than its token")
        properties.remove(first)
    return _ROOT % write_xml(root, declaration=False) if is_bare else write_xml(root)


def _check_bare(element: Element) -> None:
    if element.attrib:
        raise NotStrict("a time-stamp in the signature has attributes")


def _check_chain(chain: bytes) -> None:
    read = read_chain(chain)
    if not read.is_settled or not _is_laid_out(chain):
        raise NotStrict("a hash chain is not written plainly")
    ways = [value for step in read.steps.values() for value in step if isinstance(value, StepRef)]
    # One way leads to each step but the first.
    if len(ways) + 1 != len(read.steps):
        raise NotStrict("a hash chain has steps to which nothing leads")


def _is_laid_out(chain: bytes) -> bool:
    """Whether white space stands between the tags as every peer writes it: a line and a level each.

    Nobody signs it, so that more or less of it would be another document of the same meaning.
    """
    depth = end = 0
    for tag in _TAG.finditer(chain):
        closes = tag[0].startswith(b"</")
        depth -= closes
        between = chain[end : tag.start()]
        expected = b"\n" + b"    " * depth if end else b""
        if not between.strip() and between != expected:
            return False
        depth += not closes and not tag[0].startswith(b"<?") and not tag[0].endswith(b"/>")
        end = tag.end()
    return chain[end:] == b"\n"


def _check_values(container: Container, report: Report) -> None:
    token = container.timestamp or report.document.timestamps[0]
    check_token(token, report.tsa.certificate)
    for response in report.document.ocsp:
        check_ocsp_response(response, report.trust)
