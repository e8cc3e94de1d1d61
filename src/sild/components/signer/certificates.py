"""Use cases on certificate signing requests and certificates."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from sild.components.signer.errors import (
    ActionNotPossible,
    CertificateExists,
    CertificateImportFailed,
    KeyOfCertificateNotFound,
    TokenNotActive,
    WrongCertificateUsage,
    WrongKeyUsage,
)
from sild.components.signer.found import public_key_of
from sild.components.signer.settings import SignerSettings
from sild.components.signer.store import KeyConf, KeyConfStore
from sild.components.signer.tokens import Tokens
from sild.model.services import InvalidConfiguration, InvalidMove
from sild.model.tokens import (
    DELETABLE_CERTIFICATES,
    CertificateEntry,
    CertificateEvent,
    CertificateStatus,
    Key,
    KeyUsage,
    RequestEntry,
    certificate_once_taken,
)
from sild.protocol.ids import ClientId, SecurityServerId
from sild.protocol.pki.certificate import Certificate, read_certificate
from sild.protocol.pki.csr import CertificateUse, csr_pem, prepare_csr
from sild.protocol.pki.names import name_text
from sild.protocol.pki.profiles import Applicant, dns_name, get_profile, subject_name
from sild.runtime.clock import Clock

_SAN = "subjectAltName"


@dataclass(frozen=True, slots=True)
class RequestOrder:
    """What a certificate is asked for.

    `member` is whom a signing certificate is to sign for, the server's owner if none is named.
    `profile` is the reference's class name. `fields` fill in what the profile leaves open, by
    keyword (`CN`, `C`, ..., `subjectAltName`). `usage` decides what a key is for that was found
    on a device.
    """

    key_id: str
    server: SecurityServerId
    profile: str
    member: ClientId | None = None
    member_name: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    usage: KeyUsage | None = None


@dataclass(frozen=True, slots=True)
class CertificateRequest:
    """A certificate signing request, PKCS #10 in DER."""

    id: str
    der: bytes

    @property
    def pem(self) -> bytes:
        """The same in PEM."""
        return csr_pem(self.der)


@dataclass(frozen=True, slots=True)
class CertificateImport:
    """A certificate, DER or PEM, that belongs to one of the keys; `member` for a signing one."""

    certificate: bytes
    status: CertificateStatus
    active: bool = False
    member: ClientId | None = None


class Certificates:
    """The requests and certificates of the keys."""

    def __init__(
        self, tokens: Tokens, store: KeyConfStore, clock: Clock, settings: SignerSettings
    ) -> None:
        self._tokens = tokens
        self._store = store
        self._clock = clock
        self._settings = settings

    async def generate_request(self, order: RequestOrder) -> CertificateRequest:
        """Make a certificate signing request and remember that it was made."""
        key = self._usable_key(order)
        member = (order.member or order.server.owner).member
        fields = _subject_fields(key, order, member)
        subject = subject_name(fields)
        signing = key.usage is KeyUsage.SIGNING
        use = CertificateUse.SIGNING if signing else CertificateUse.AUTHENTICATION
        public_key = load_der_public_key(key.public_key)
        pss = isinstance(public_key, rsa.RSAPublicKey) and self._tokens.token(key.token_id).rsa_pss
        unsigned = prepare_csr(subject, public_key, use, dns_name(fields), pss=pss)
        sign = self._tokens.sign_with(key)
        der = unsigned.finish(await sign(unsigned.digest_to_sign, unsigned.algorithm.uri))
        entry = RequestEntry(
            self._clock.uuid(), name_text(subject), order.profile, member if signing else None, der
        )
        await self._store.change(lambda conf: _with_request(conf, key, entry))
        return CertificateRequest(entry.id, der)

    def _usable_key(self, order: RequestOrder) -> Key:
        """The key, for what it is to be used; raises ActionNotPossible where it has its use."""
        key = self._store.conf.get_key(order.key_id)
        if key.usage is None:
            if order.usage is None:
                raise InvalidConfiguration(f"say what the key {key.label!r} is to be used for")
            key = replace(key, usage=order.usage)
        elif order.usage not in {None, key.usage}:
            raise WrongKeyUsage(f"key {key.label!r} is for {key.usage.value.lower()}")
        token = self._tokens.token(key.token_id)
        if not token.logged_in:
            raise TokenNotActive(f"nobody has logged in to token {token.label!r}")
        if key.certificates and not self._settings.allow_csr_for_key_with_certificate:
            raise ActionNotPossible(f"key {key.label!r} has a certificate: make another key")
        return key

    async def get_request(self, request_id: str) -> CertificateRequest:
        """A request that was made, once more; raises RequestNotFound."""
        _, request = self._store.conf.get_request(request_id)
        if not request.der:
            raise ActionNotPossible(f"request {request_id} was not made here: make another")
        return CertificateRequest(request_id, request.der)

    async def import_certificate(self, order: CertificateImport) -> CertificateEntry:
        """Keep a certificate with its key; the request that it answers is done with.

        Whether its issuer is approved and its status good is for the caller to have checked: the
        signer knows no global configuration. Raises KeyOfCertificateNotFound, CertificateExists
        and WrongCertificateUsage.
        """
        certificate = read_certificate(order.certificate)
        entry = CertificateEntry(
            certificate.sha256.hex(), certificate.der, order.status, order.active, order.member
        )
        await self._store.change(lambda conf: _with_imported(conf, certificate, entry))
        return entry

    async def move_certificate(
        self, sha256: str, event: CertificateEvent, before: CertificateStatus
    ) -> None:
        """Note what was asked for an authentication certificate that then was `before`.

        Raises ActionNotPossible.
        """

        def change(conf: KeyConf) -> KeyConf:
            key, entry = conf.get_certificate(sha256)
            if key.usage is not KeyUsage.AUTHENTICATION or not entry.saved:
                raise ActionNotPossible(f"certificate {sha256} authenticates no server")
            try:
                status = certificate_once_taken(before, entry.status, event)
            except InvalidMove as error:
                raise ActionNotPossible(error.message) from None
            return conf.with_certificate(replace(entry, status=status))

        await self._store.change(change)

    async def set_active(self, sha256: str, active: bool) -> None:
        """Let a certificate be used, or not."""
        await self._change(sha256, lambda entry: replace(entry, active=active))

    async def set_status(self, sha256: str, status: CertificateStatus) -> None:
        """Note where a certificate stands."""
        await self._change(sha256, lambda entry: replace(entry, status=status))

    async def delete_certificate(self, sha256: str) -> None:
        """Forget a certificate; an authentication certificate that is in use stays.

        One that a device holds is known as only found there then, and deleted in the device when
        it is deleted again.
        """
        key, entry = self._store.conf.get_certificate(sha256)
        if not entry.saved:
            await self._tokens.delete_from_device(key, entry)
            return
        left = self._tokens.left_on_device(key)

        def change(conf: KeyConf) -> KeyConf:
            key, entry = conf.get_certificate(sha256)
            in_use = entry.status not in DELETABLE_CERTIFICATES
            if key.usage is KeyUsage.AUTHENTICATION and in_use:
                raise ActionNotPossible(
                    f"certificate {sha256} is {entry.status.value}: unregister it first"
                )
            found = tuple(each for each in left if each.sha256 == sha256)
            kept = tuple(known for known in key.certificates if known is not entry)
            return conf.with_key(replace(key, certificates=(*kept, *found)))

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
        def changed(conf: KeyConf) -> KeyConf:
            _, entry = conf.get_certificate(sha256)
            if not entry.saved:
                raise ActionNotPossible(f"certificate {sha256} is only on its token: import it")
            return conf.with_certificate(change(entry))

        await self._store.change(changed)


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


def _with_request(conf: KeyConf, used: Key, entry: RequestEntry) -> KeyConf:
    key = conf.get_key(used.id)
    return conf.with_key(replace(key, usage=used.usage, requests=(*key.requests, entry)))


def _with_imported(conf: KeyConf, certificate: Certificate, entry: CertificateEntry) -> KeyConf:
    public_key = public_key_of(certificate)
    key = next((key for key in conf.keys if key.public_key == public_key), None)
    if key is None:
        raise KeyOfCertificateNotFound(f"no key here belongs to the certificate {certificate.name}")
    known = conf.find_certificate(entry.sha256)
    if known is not None and known[1].saved:
        raise CertificateExists(f"key {key.label!r} has this certificate already")
    _check_usage(certificate, key)
    signing = certificate.is_signing
    if signing and entry.member is None:
        raise CertificateImportFailed(f"the member that {certificate.name} signs for is not known")
    if not signing:
        entry = replace(entry, member=None)
    others = tuple(each for each in key.certificates if each.sha256 != entry.sha256)
    return conf.with_key(
        replace(
            key,
            usage=KeyUsage.SIGNING if signing else KeyUsage.AUTHENTICATION,
            certificates=(*others, entry),
            requests=tuple(each for each in key.requests if each.member != entry.member),
        )
    )


def _check_usage(certificate: Certificate, key: Key) -> None:
    name = certificate.name
    if certificate.is_signing and certificate.is_authentication:
        raise WrongCertificateUsage(f"{name} is for both signing and authentication")
    if not certificate.is_signing and not certificate.is_authentication:
        raise WrongCertificateUsage(f"{name} is neither for signing nor for authentication")
    if key.usage is not None and certificate.is_signing is not (key.usage is KeyUsage.SIGNING):
        raise WrongCertificateUsage(
            f"{name} does not belong on key {key.label!r}, which is for {key.usage.value.lower()}"
        )
