"""Use cases on certificate signing requests and certificates."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

from sild.components.signer.errors import (
    ActionNotPossible,
    CertificateExists,
    CertificateImportFailed,
    KeyNotFound,
    WrongCertificateUsage,
)
from sild.components.signer.store import KeyConf, KeyConfStore
from sild.components.signer.tokens import Tokens
from sild.model.services import InvalidConfiguration
from sild.model.tokens import (
    DELETABLE_CERTIFICATES,
    CertificateEntry,
    CertificateStatus,
    Key,
    KeyUsage,
    RequestEntry,
)
from sild.protocol.ids import ClientId, SecurityServerId
from sild.protocol.pki.certificate import Certificate, read_certificate
from sild.protocol.pki.csr import CertificateUse, prepare_csr
from sild.protocol.pki.names import name_text
from sild.protocol.pki.profiles import Applicant, dns_name, get_profile, subject_name
from sild.runtime.clock import Clock

_SAN = "subjectAltName"


@dataclass(frozen=True, slots=True)
class RequestOrder:
    """What a certificate is asked for.

    `member` is whom a signing certificate is to sign for, the server's owner if none is named.
    `profile` is the reference's class name. `fields` fill in what the profile leaves open, by
    keyword (`CN`, `C`, ..., `subjectAltName`).
    """

    key_id: str
    server: SecurityServerId
    profile: str
    member: ClientId | None = None
    member_name: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CertificateRequest:
    """A certificate signing request, PKCS #10 in DER."""

    id: str
    der: bytes


@dataclass(frozen=True, slots=True)
class CertificateImport:
    """A certificate, DER or PEM, that belongs to one of the keys; `member` for a signing one."""

    certificate: bytes
    status: CertificateStatus
    active: bool = False
    member: ClientId | None = None


class Certificates:
    """The requests and certificates of the keys."""

    def __init__(self, tokens: Tokens, store: KeyConfStore, clock: Clock) -> None:
        self._tokens = tokens
        self._store = store
        self._clock = clock

    async def generate_request(self, order: RequestOrder) -> CertificateRequest:
        """Make a certificate signing request and remember that it was made."""
        key = self._store.conf.get_key(order.key_id)
        member = (order.member or order.server.owner).member
        fields = _subject_fields(key, order, member)
        subject = subject_name(fields)
        signing = key.usage is KeyUsage.SIGNING
        use = CertificateUse.SIGNING if signing else CertificateUse.AUTHENTICATION
        public_key = load_der_public_key(key.public_key)
        unsigned = prepare_csr(subject, public_key, use, dns_name(fields))
        sign = self._tokens.sign if signing else self._tokens.sign_as_server
        value = await sign(key.id, unsigned.digest_to_sign, unsigned.algorithm.uri)
        entry = RequestEntry(
            self._clock.uuid(), name_text(subject), order.profile, member if signing else None
        )
        await self._store.change(lambda conf: _with_request(conf, key.id, entry))
        return CertificateRequest(entry.id, unsigned.finish(value))

    async def import_certificate(self, order: CertificateImport) -> CertificateEntry:
        """Keep a certificate with its key; the request that it answers is done with.

        Whether its issuer is approved and its status good is for the caller to have checked: the
        signer knows no global configuration. Raises KeyNotFound, CertificateExists and
        WrongCertificateUsage.
        """
        certificate = read_certificate(order.certificate)
        entry = CertificateEntry(
            certificate.sha256.hex(), certificate.der, order.status, order.active, order.member
        )
        await self._store.change(lambda conf: _with_imported(conf, certificate, entry))
        return entry

    async def set_active(self, sha256: str, active: bool) -> None:
        """Let a certificate be used, or not."""
        await self._change(sha256, lambda entry: replace(entry, active=active))

    async def set_status(self, sha256: str, status: CertificateStatus) -> None:
        """Note where a certificate stands."""
        await self._change(sha256, lambda entry: replace(entry, status=status))

    async def delete_certificate(self, sha256: str) -> None:
        """Forget a certificate; an authentication certificate that is in use stays."""

        def change(conf: KeyConf) -> KeyConf:
            key, entry = conf.get_certificate(sha256)
            in_use = entry.status not in DELETABLE_CERTIFICATES
            if key.usage is KeyUsage.AUTHENTICATION and in_use:
                raise ActionNotPossible(
                    f"certificate {sha256} is {entry.status.value}: unregister it first"
                )
            left = tuple(known for known in key.certificates if known is not entry)
            return conf.with_key(replace(key, certificates=left))

        await self._store.change(change)

    async def delete_request(self, request_id: str) -> None:
        """Forget a certificate signing request."""

        def change(conf: KeyConf) -> KeyConf:
            key, request = conf.get_request(request_id)
            left = tuple(known for known in key.requests if known is not request)
            return conf.with_key(replace(key, requests=left))

        await self._store.change(change)

    async def _change(
        self, sha256: str, change: Callable[[CertificateEntry], CertificateEntry]
    ) -> None:
        await self._store.change(
            lambda conf: conf.with_certificate(change(conf.get_certificate(sha256)[1]))
        )


def _subject_fields(key: Key, order: RequestOrder, member: ClientId) -> dict[str, str]:
    profile = get_profile(order.profile)
    applicant = Applicant(order.server, member, order.member_name)
    signing = key.usage is KeyUsage.SIGNING
    known = profile.sign_subject(applicant) if signing else profile.auth_subject(applicant)
    fields = {}
    for each in known:
        value = order.fields.get(each.keyword, each.value)
        if each.read_only and value != each.value:
            raise InvalidConfiguration(
                f"{each.keyword} of the subject is {each.value!r} and cannot be {value!r}"
            )
        fields[each.keyword] = value
    # An alternative name is no part of the subject: any profile may have one.
    if unknown := order.fields.keys() - fields.keys() - {_SAN}:
        raise InvalidConfiguration(f"the subject has no {', '.join(sorted(unknown))}")
    return {**fields, _SAN: order.fields.get(_SAN, "")}


def _with_request(conf: KeyConf, key_id: str, entry: RequestEntry) -> KeyConf:
    key = conf.get_key(key_id)
    return conf.with_key(replace(key, requests=(*key.requests, entry)))


def _with_imported(conf: KeyConf, certificate: Certificate, entry: CertificateEntry) -> KeyConf:
    key = _find_key_of(conf, certificate)
    if key is None:
        raise KeyNotFound(f"no key here belongs to the certificate {certificate.name}")
    if conf.find_certificate(entry.sha256) is not None:
        raise CertificateExists(f"key {key.label!r} has this certificate already")
    _check_usage(certificate, key)
    if key.usage is KeyUsage.SIGNING and entry.member is None:
        raise CertificateImportFailed(f"the member that {certificate.name} signs for is not known")
    if key.usage is KeyUsage.AUTHENTICATION:
        entry = replace(entry, member=None)
    requests = tuple(known for known in key.requests if known.member != entry.member)
    certificates = (*key.certificates, entry)
    return conf.with_key(replace(key, certificates=certificates, requests=requests))


def _find_key_of(conf: KeyConf, certificate: Certificate) -> Key | None:
    public_key = certificate.public_key.public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    )
    return next((key for key in conf.keys if key.public_key == public_key), None)


def _check_usage(certificate: Certificate, key: Key) -> None:
    name = certificate.name
    if certificate.is_signing and certificate.is_authentication:
        raise WrongCertificateUsage(f"{name} is for both signing and authentication")
    if not certificate.is_signing and not certificate.is_authentication:
        raise WrongCertificateUsage(f"{name} is neither for signing nor for authentication")
    if certificate.is_signing is not (key.usage is KeyUsage.SIGNING):
        raise WrongCertificateUsage(
            f"{name} does not belong on key {key.label!r}, which is for {key.usage.value.lower()}"
        )
