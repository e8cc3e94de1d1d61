"""Renew a container from the inside: ASiC archive manifests (ETSI EN 319 162-1, annex A.7).

A manifest names each entry of the container with its digest, and a time-stamp is over the manifest.
The newest is META-INF/ASiCArchiveManifest.xml; when it is renewed it only gets another name, and is
an entry that the next one covers, with its time-stamp. All that was there before stays as it is.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote

from sild.protocol.algorithms import DigestAlgorithm, UnsupportedAlgorithm
from sild.protocol.errors import InvalidXml
from sild.protocol.evidence.errors import EvidenceChanged, MalformedEvidence
from sild.protocol.evidence.renewal import (
    RENEWAL_DIGESTS,
    Link,
    Renewal,
    RenewalTrust,
    hash_of,
    verify_links,
)
from sild.protocol.pki.timestamp import read_timestamp_token
from sild.protocol.safexml import (
    Element,
    XmlLimits,
    children,
    element,
    get_child,
    has_name,
    read_xml,
    sub_element,
    text_of,
    write_xml,
)
from sild.protocol.signature.base64text import NotBase64, decode_base64, encode_base64

NEWEST = "META-INF/ASiCArchiveManifest.xml"

_RENAMED = "META-INF/ASiCArchiveManifest{}.xml"
_TOKEN = "META-INF/archive_timestamp{}.tst"  # noqa: S105 - the name of a file
_OURS = ("meta-inf/asicarchivemanifest", "meta-inf/archive_timestamp")
_ASIC_NAMESPACE = "http://uri.etsi.org/02918/v1.2.1#"
_DS_NAMESPACE = "http://www.w3.org/2000/09/xmldsig#"
_ASIC, _DS = f"{{{_ASIC_NAMESPACE}}}", f"{{{_DS_NAMESPACE}}}"
_TOKEN_TYPE = "application/vnd.etsi.timestamp-token"  # noqa: S105 - a media type
_LIMITS = XmlLimits(size=4_000_000, depth=10, tags=40_000, attributes=80_000)
_MOST_RENEWALS = 100


@dataclass(frozen=True, slots=True)
class Reference:
    """An entry that a manifest names; `is_renewed` is said of the manifest before it."""

    name: str
    algorithm: DigestAlgorithm
    digest: bytes
    is_renewed: bool = False


@dataclass(frozen=True, slots=True)
class ArchiveManifest:
    """The entries of a container at a moment, and where the time-stamp over them is."""

    token: str
    references: tuple[Reference, ...]


@dataclass(frozen=True, slots=True)
class PreparedRenewal:
    """What a container gets: the manifest to be stamped, and which entries are to be renamed."""

    manifest: bytes
    token: str
    renamed: Mapping[str, str]

    def finish(self, token: bytes) -> dict[str, bytes]:
        """The entries to be added, with the token over the manifest in DER."""
        return {NEWEST: self.manifest, self.token: token}


def prepare_renewal(
    entries: Mapping[str, bytes], algorithm: DigestAlgorithm = DigestAlgorithm.SHA512
) -> PreparedRenewal:
    """What renews a container of these entries; whether they are good is not asked here."""
    if algorithm not in RENEWAL_DIGESTS:
        raise UnsupportedAlgorithm(f"nothing is renewed with {algorithm.text}")
    renamed = {NEWEST: _free_name(_RENAMED, entries)} if NEWEST in entries else {}
    token = _free_name(_TOKEN, entries)
    references = tuple(
        Reference(renamed.get(name, name), algorithm, algorithm.digest(data), name == NEWEST)
        for name, data in entries.items()
    )
    manifest = write_archive_manifest(ArchiveManifest(token, references))
    return PreparedRenewal(manifest, token, renamed)


def _free_name(pattern: str, entries: Mapping[str, bytes]) -> str:
    taken = {name.lower() for name in entries}
    names = (pattern.format(number) for number in range(1, _MOST_RENEWALS + 1))
    for name in names:
        if name.lower() not in taken:
            return name
    raise MalformedEvidence(f"a container is renewed at most {_MOST_RENEWALS} times")


def write_archive_manifest(manifest: ArchiveManifest) -> bytes:
    """A manifest as an XML document."""
    root = element(
        _ASIC + "ASiCManifest", namespaces={"asic": _ASIC_NAMESPACE, "ds": _DS_NAMESPACE}
    )
    where = {"URI": quote(manifest.token), "MimeType": _TOKEN_TYPE}
    sub_element(root, _ASIC + "SigReference", attributes=where)
    for reference in manifest.references:
        attributes = {"URI": quote(reference.name)}
        if reference.is_renewed:
            attributes["Rootfile"] = "true"
        entry = sub_element(root, _ASIC + "DataObjectReference", attributes=attributes)
        sub_element(entry, _DS + "DigestMethod", attributes={"Algorithm": reference.algorithm.uri})
        digest = encode_base64(reference.digest).decode("ascii")
        sub_element(entry, _DS + "DigestValue", digest)
    return write_xml(root)


def read_archive_manifest(data: bytes) -> ArchiveManifest:
    """A manifest from its document; raises MalformedEvidence."""
    try:
        root = read_xml(data, _LIMITS)
        if not has_name(root, _ASIC + "ASiCManifest"):
            raise MalformedEvidence("an archive manifest is no ASiCManifest")
        token = _name(get_child(root, _ASIC + "SigReference"))
        references = tuple(map(_reference, children(root, _ASIC + "DataObjectReference")))
    except (InvalidXml, NotBase64, UnsupportedAlgorithm) as error:
        raise MalformedEvidence(f"an archive manifest cannot be read: {error.message}") from None
    if len({reference.name for reference in references}) != len(references):
        raise MalformedEvidence("an archive manifest names an entry twice")
    if sum(reference.is_renewed for reference in references) > 1:
        raise MalformedEvidence("an archive manifest renews more than one other")
    return ArchiveManifest(token, references)


def _reference(entry: Element) -> Reference:
    method = get_child(entry, _DS + "DigestMethod")
    algorithm = DigestAlgorithm.from_uri(method.get("Algorithm", ""))
    if algorithm not in RENEWAL_DIGESTS:
        raise UnsupportedAlgorithm(f"{algorithm.text} protects nothing")
    digest = decode_base64(text_of(get_child(entry, _DS + "DigestValue")))
    return Reference(_name(entry), algorithm, digest, entry.get("Rootfile") in ("true", "1"))


def _name(referring: Element) -> str:
    return unquote(referring.get("URI", ""))


def verify_renewals(entries: Mapping[str, bytes], trust: RenewalTrust) -> tuple[Renewal, ...]:
    """Prove since when all entries of a container are there unchanged, the oldest time first.

    Gives nothing for a container that was never renewed. Raises EvidenceChanged, MalformedEvidence,
    RenewedTooLate, and what `verify_timestamp` raises.
    """
    links: list[Link] = []
    left = set(entries)
    name: str | None = NEWEST if NEWEST in entries else None
    while name is not None:
        manifest = read_archive_manifest(entries[name])
        left -= {name, manifest.token}
        _check_covered(name, manifest, left)
        for reference in manifest.references:
            _check_unchanged(name, reference, entries)
        links.append(_link(name, manifest, entries))
        name = next((each.name for each in manifest.references if each.is_renewed), None)
    if apart := sorted(renewal_names(left)):
        raise EvidenceChanged(f"no newer archive manifest renews {', '.join(apart)}")
    return verify_links(links[::-1], trust)


def renewal_names(names: Iterable[str]) -> frozenset[str]:
    """The names of entries that renewals have added, good or not."""
    return frozenset(name for name in names if name.lower().startswith(_OURS))


def _check_covered(name: str, manifest: ArchiveManifest, expected: set[str]) -> None:
    named = {reference.name for reference in manifest.references}
    if absent := sorted(named - expected):
        message = f"{', '.join(absent)}, which {name} names, is not there or not from before it"
        raise EvidenceChanged(message)
    if uncovered := sorted(expected - named):
        raise EvidenceChanged(f"{name} does not cover {', '.join(uncovered)}")


def _check_unchanged(name: str, reference: Reference, entries: Mapping[str, bytes]) -> None:
    if reference.algorithm.digest(entries[reference.name]) != reference.digest:
        raise EvidenceChanged(f"{reference.name} is not what it was when {name} was stamped")


def _link(name: str, manifest: ArchiveManifest, entries: Mapping[str, bytes]) -> Link:
    data = entries.get(manifest.token)
    if data is None:
        raise EvidenceChanged(f"{manifest.token}, the time-stamp over {name}, is not there")
    token = read_timestamp_token(data)
    return Link(name, token, hash_of(token).digest(entries[name]))
