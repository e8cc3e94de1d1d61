"""The old server's list of tokens, keys, requests and certificates: keyconf.xml.

Where the keys themselves are is not told there: those of the software token are in files, those of
devices stay in the devices.
"""

import base64
import binascii
from dataclasses import dataclass

from sild.components.takeover.errors import BackupUnreadable
from sild.components.takeover.findings import Finding, lost
from sild.model.tokens import (
    SOFT_TOKEN_TYPE,
    CertificateEntry,
    CertificateStatus,
    KeyUsage,
    RequestEntry,
)
from sild.protocol.errors import IncorrectCertificate, InvalidIdentifier, InvalidXml
from sild.protocol.idsxml import read_client_id
from sild.protocol.pki.certificate import read_certificate
from sild.protocol.safexml import (
    Element,
    child_text,
    children,
    find_child,
    find_child_text,
    local_name,
    read_xml,
)

_ROOTS = frozenset({"keyConf", "deviceConf"})


@dataclass(frozen=True, slots=True)
class TakenKey:
    """A key; `public_key`, SubjectPublicKeyInfo in DER, is not always told."""

    id: str
    label: str
    device_label: str
    usage: KeyUsage | None
    public_key: bytes | None
    certificates: tuple[CertificateEntry, ...]
    requests: tuple[RequestEntry, ...]


@dataclass(frozen=True, slots=True)
class TakenToken:
    """A token with its keys; `id` is as it stands in the old configuration."""

    id: str
    type: str
    label: str
    serial_number: str | None
    device_label: str | None
    slot_index: int
    keys: tuple[TakenKey, ...]

    @property
    def is_software(self) -> bool:
        """Whether its keys are files."""
        return self.type == SOFT_TOKEN_TYPE


@dataclass(frozen=True, slots=True)
class TakenKeyConf:
    """All tokens; `findings` say what did not come over."""

    tokens: tuple[TakenToken, ...]
    findings: tuple[Finding, ...]


def read_keyconf(data: bytes) -> TakenKeyConf:
    """What the document says; raises BackupUnreadable."""
    findings: list[Finding] = []
    try:
        root = read_xml(data)
        if local_name(root) not in _ROOTS:
            raise InvalidXml(f"its root is {local_name(root)}")
        tokens = tuple(_token(device, findings) for device in children(root, "device"))
    except (InvalidXml, InvalidIdentifier) as error:
        raise BackupUnreadable(f"the old list of keys cannot be read: {error}") from error
    if len({token.id for token in tokens}) != len(tokens):
        raise BackupUnreadable("the old list of keys has a token twice")
    return TakenKeyConf(tokens, tuple(findings))


def _token(device: Element, findings: list[Finding]) -> TakenToken:
    kind = child_text(device, "deviceType")
    return TakenToken(
        id=child_text(device, "id"),
        type=kind,
        label=find_child_text(device, "friendlyName") or kind,
        serial_number=find_child_text(device, "tokenId"),
        device_label=find_child_text(device, "slotId"),
        slot_index=_integer(find_child_text(device, "pinIndex")),
        keys=tuple(_key(key, findings) for key in children(device, "key")),
    )


def _key(key: Element, findings: list[Finding]) -> TakenKey:
    key_id = find_child_text(key, "keyId") or ""
    usage = key.get("usage")
    if usage is not None and usage not in KeyUsage.__members__:
        raise InvalidXml(f"key {key_id} is for {usage[:100]!r}")
    public_key = find_child_text(key, "publicKey")
    return TakenKey(
        id=key_id,
        label=find_child_text(key, "friendlyName") or key_id,
        device_label=find_child_text(key, "label") or "",
        usage=None if usage is None else KeyUsage(usage),
        public_key=None if public_key is None else _base64(public_key),
        certificates=tuple(
            entry for each in children(key, "cert") if (entry := _certificate(each, findings))
        ),
        requests=tuple(_request(each, key_id) for each in children(key, "certRequest")),
    )


def _certificate(cert: Element, findings: list[Finding]) -> CertificateEntry | None:
    try:
        certificate = read_certificate(_base64(child_text(cert, "contents")))
    except IncorrectCertificate as error:
        findings.append(lost(f"certificate {cert.get('id', '')[:100]}", str(error)))
        return None
    member = find_child(cert, "memberId")
    return CertificateEntry(
        certificate.sha256.hex(),
        certificate.der,
        _status(find_child_text(cert, "status")),
        cert.get("active", "true").strip() in {"true", "1"},
        None if member is None else read_client_id(member),
    )


def _request(request: Element, key_id: str) -> RequestEntry:
    member = find_child(request, "memberId")
    subject = child_text(request, "subjectName")
    return RequestEntry(
        request.get("id") or f"{key_id}-{subject}"[:255],
        subject,
        find_child_text(request, "certificateProfile") or "",
        None if member is None else read_client_id(member),
    )


def _status(text: str | None) -> CertificateStatus:
    try:
        return CertificateStatus(text or CertificateStatus.SAVED.value)
    except ValueError:
        raise InvalidXml(f"a certificate is {(text or '')[:100]!r}") from None


def _integer(text: str | None) -> int:
    try:
        return int(text or "0")
    except ValueError:
        raise InvalidXml("a number of a slot is none") from None


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidXml("what should be base64 is not") from None
