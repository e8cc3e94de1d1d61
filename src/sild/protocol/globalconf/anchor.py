"""Configuration anchors: where a configuration is published, and who signs it (PR-GCONF 2.2)."""

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlsplit

from sild.protocol.errors import IncorrectCertificate, InvalidXml, MalformedAnchor
from sild.protocol.globalconf.document import (
    add_base64,
    bytes_of,
    new_document,
    read_document,
    refusing,
    write_document,
)
from sild.protocol.pki.certificate import Certificate, read_certificate
from sild.protocol.safexml import (
    Element,
    child_text,
    children,
    find_child_text,
    sub_element,
)

_SCHEMA = "globalconf/v2/private-parameters.xsd"
_SIZE_LIMIT = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Source:
    """One place of publication, and the certificates of the keys that sign there."""

    url: str
    certificates: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Anchor:
    """What an operator trusts: sources of one instance's configuration."""

    instance: str
    sources: tuple[Source, ...]
    generated_at: datetime | None = None
    document: bytes | None = field(default=None, compare=False, repr=False)

    @property
    def certificates(self) -> tuple[Certificate, ...]:
        """The verification certificates of all sources; raises MalformedAnchor."""
        try:
            return tuple(
                read_certificate(certificate)
                for source in self.sources
                for certificate in source.certificates
            )
        except IncorrectCertificate as error:
            raise MalformedAnchor(f"the anchor of {self.instance}: {error.message}") from None

    @property
    def display_hash(self) -> str:
        """The SHA-224 of the document, as people compare it: 40:2A:4F..."""
        document = write_anchor(self) if self.document is None else self.document
        return hashlib.sha224(document).digest().hex(":").upper()


def read_anchor(data: bytes) -> Anchor:
    """The anchor in a document; raises MalformedAnchor."""
    with refusing(MalformedAnchor, "the configuration anchor"):
        if len(data) > _SIZE_LIMIT:
            raise InvalidXml(f"a document of {len(data)} bytes is over {_SIZE_LIMIT}")
        anchor = read_anchor_element(read_document(data, "configurationAnchor", _SCHEMA))
    checked = Anchor(anchor.instance, anchor.sources, anchor.generated_at, data)
    if not checked.certificates:
        raise MalformedAnchor("the configuration anchor names no verification certificate")
    for source in checked.sources:
        check_url(source.url)
    return checked


def check_url(url: str) -> None:
    """Raise MalformedAnchor unless configuration may be downloaded from this address."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not url.isascii() or not url.isprintable() or " " in url:
        raise MalformedAnchor(f"{url[:200]!r} is no address of a configuration")


def read_anchor_element(element: Element) -> Anchor:
    """The anchor in an element that fits the schema; its certificates are not looked at."""
    instance = child_text(element, "instanceIdentifier")
    if not instance or instance.isspace():
        raise InvalidXml("the instance identifier of an anchor is blank")
    sources = tuple(
        Source(
            child_text(source, "downloadURL").strip(),
            tuple(bytes_of(certificate) for certificate in children(source, "verificationCert")),
        )
        for source in children(element, "source")
    )
    return Anchor(instance, sources, _moment(find_child_text(element, "generatedAt")))


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidXml(f"generatedAt is {text[:40]!r}, which is no moment") from None


def write_anchor(anchor: Anchor) -> bytes:
    """The anchor as a document."""
    with refusing(MalformedAnchor, "the configuration anchor"):
        root = new_document("configurationAnchor")
        add_anchor(root, anchor)
        return write_document(root, _SCHEMA)


def add_anchor(parent: Element, anchor: Anchor) -> None:
    """Add what an anchor says to the element that stands for it."""
    if anchor.generated_at is not None:
        moment = anchor.generated_at.astimezone(UTC).isoformat(timespec="milliseconds")
        sub_element(parent, "generatedAt", moment.replace("+00:00", "Z"))
    sub_element(parent, "instanceIdentifier", anchor.instance)
    for source in anchor.sources:
        child = sub_element(parent, "source")
        sub_element(child, "downloadURL", source.url)
        for certificate in source.certificates:
            add_base64(child, "verificationCert", certificate)
