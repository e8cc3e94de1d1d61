"""A certification authority for development only: a root, perhaps an intermediate, and a register.

Trust nothing that is signed here: the keys lie unprotected, and whoever asks is given a
certificate.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from sild.devnet.certificates import (
    HEAD_START,
    Issuer,
    PublicKey,
    Subject,
    Terms,
    ca_terms,
    make_certificate,
    make_self_signed,
    name_of,
    service_terms,
)
from sild.devnet.credentials import Credential, CredentialStore, generate_key
from sild.devnet.errors import DevnetError
from sild.model.tokens import KeyAlgorithm
from sild.protocol.errors import IncorrectCertificate
from sild.protocol.pki.certificate import Certificate
from sild.protocol.pki.csr import CertificateUse
from sild.runtime.clock import Clock

_REGISTER = "issued"

# The key usage and the extended key usages of what is issued.
_USAGES: Mapping[CertificateUse, tuple[frozenset[str], tuple[ObjectIdentifier, ...]]] = {
    CertificateUse.SIGNING: (frozenset({"content_commitment"}), ()),
    CertificateUse.AUTHENTICATION: (
        frozenset({"digital_signature", "key_encipherment"}),
        (ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH),
    ),
}


@dataclass(frozen=True, slots=True)
class IssuedEntry:
    """One line of the register: who issued what to whom, and whether it still holds."""

    serial: int
    issuer: str
    subject: str
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class CaSettings:
    """What the authority is like; its keys are made once and kept."""

    instance: str = "DEV"
    key_algorithm: KeyAlgorithm = KeyAlgorithm.EC_P256
    has_intermediate: bool = False
    leaf_validity: timedelta = timedelta(days=730)


@dataclass(frozen=True, slots=True)
class CaLevel:
    """One CA certificate, and the responder that it appointed for what it issues."""

    name: str
    credential: Credential
    ocsp_signer: Credential = field(repr=False)


class CertificationAuthority:
    """Issues certificates, remembers them, and revokes them."""

    def __init__(
        self, settings: CaSettings, clock: Clock, store: CredentialStore | None = None
    ) -> None:
        self.settings = settings
        self._clock = clock
        self._store = store or CredentialStore(None)
        self._issued = _read_register(self._store.read_notes(_REGISTER))
        self.root = self._level("root", None)
        self.intermediate = (
            self._level("intermediate", self.root) if settings.has_intermediate else None
        )

    @property
    def issuer(self) -> CaLevel:
        """The level that issues to servers and members."""
        return self.intermediate or self.root

    @property
    def levels(self) -> tuple[CaLevel, ...]:
        """The root, and the intermediate if there is one."""
        return (self.root,) if self.intermediate is None else (self.root, self.intermediate)

    @property
    def issued(self) -> tuple[IssuedEntry, ...]:
        """The register."""
        return tuple(self._issued.values())

    def sign_request(
        self, request: bytes, use: CertificateUse, validity: timedelta | None = None
    ) -> Certificate:
        """The certificate that a request (PKCS #10, DER or PEM) asks for.

        Its key usage follows from the use, not from what the request wishes; its subject and DNS
        names are the request's. Raises DevnetError for a request that cannot be granted.
        """
        now = self._clock.now()
        usage, extended = _USAGES[use]
        terms = Terms(
            not_before=now - HEAD_START,
            not_after=now + (validity or self.settings.leaf_validity),
            usage=usage,
            extended=extended,
        )
        with warnings.catch_warnings():
            # By some profiles an instance stands where the library expects a country.
            warnings.simplefilter("ignore")
            csr = _read_request(request)
            terms = replace(terms, dns_names=_dns_names(csr))
            try:
                return self._issue(Subject(csr.subject, _public_key(csr)), self.issuer, terms)
            except (ValueError, TypeError, IncorrectCertificate) as error:
                raise DevnetError(f"the request cannot be granted: {error}") from None

    def issue_service(self, name: str, role: str, extended: ObjectIdentifier) -> Credential:
        """A credential of the root for one of the devnet's own services, kept under a name."""
        return self._service(name, role, (self.root.name, self.root.credential), extended)

    def make_impostor(self, role: str) -> Credential:
        """A credential with the name of a service, issued by itself."""
        name = name_of(self.settings.instance, role)
        return make_self_signed(name, self.settings.key_algorithm, self._clock)

    def revoke(self, serial: int) -> None:
        """Let a certificate hold no longer; raises DevnetError for one that is unknown."""
        entry = self.find(serial)
        if entry is None:
            raise DevnetError(f"no certificate with the serial number {serial} was issued here")
        if entry.revoked_at is None:
            moment = self._clock.now().replace(microsecond=0)
            self._register(replace(entry, revoked_at=moment))

    def find(self, serial: int) -> IssuedEntry | None:
        """What the register says of a serial number."""
        return self._issued.get(serial)

    def _register(self, entry: IssuedEntry) -> None:
        self._issued[entry.serial] = entry
        self._store.write_notes(_REGISTER, [_note(entry) for entry in self._issued.values()])

    def _level(self, name: str, parent: CaLevel | None) -> CaLevel:
        credential = self._store.find_or_make(
            name, self._clock.now(), lambda: self._make_level(parent)
        )
        usage = ExtendedKeyUsageOID.OCSP_SIGNING
        signer = self._service(f"{name}-ocsp", "Test OCSP", (name, credential), usage)
        return CaLevel(name, credential, signer)

    def _make_level(self, parent: CaLevel | None) -> Credential:
        key = generate_key(self.settings.key_algorithm)
        role = "Test root CA" if parent is None else "Test sub CA"
        subject = Subject(name_of(self.settings.instance, role), key.public_key())
        if parent is not None:
            terms = ca_terms(self._clock.now(), path_length=0)
            return Credential(self._issue(subject, parent, terms), key)
        terms = ca_terms(self._clock.now(), path_length=int(self.settings.has_intermediate))
        itself = Issuer(subject.name, key)
        return Credential(make_certificate(subject, itself, terms, self._clock), key)

    def _service(
        self, name: str, role: str, issuer: tuple[str, Credential], extended: ObjectIdentifier
    ) -> Credential:
        def make() -> Credential:
            key = generate_key(self.settings.key_algorithm)
            subject = Subject(name_of(self.settings.instance, role), key.public_key())
            terms = service_terms(self._clock.now(), extended)
            certificate = make_certificate(subject, Issuer.of(issuer[1]), terms, self._clock)
            self._register(IssuedEntry(certificate.serial, issuer[0], certificate.subject_text))
            return Credential(certificate, key)

        return self._store.find_or_make(name, self._clock.now(), make)

    def _issue(self, subject: Subject, level: CaLevel, terms: Terms) -> Certificate:
        certificate = make_certificate(subject, Issuer.of(level.credential), terms, self._clock)
        self._register(IssuedEntry(certificate.serial, level.name, certificate.subject_text))
        return certificate


def _read_request(request: bytes) -> x509.CertificateSigningRequest:
    try:
        if request.lstrip().startswith(b"-----BEGIN"):
            csr = x509.load_pem_x509_csr(request)
        else:
            csr = x509.load_der_x509_csr(request)
        valid = csr.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise DevnetError(f"a certificate request cannot be read: {error}") from None
    if not valid:
        raise DevnetError("a certificate request is not signed by its own key")
    return csr


def _public_key(csr: x509.CertificateSigningRequest) -> PublicKey:
    key = csr.public_key()
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        raise DevnetError(f"no certificate is issued to a key of type {type(key).__name__}")
    return key


def _dns_names(csr: x509.CertificateSigningRequest) -> tuple[str, ...]:
    try:
        names = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    except (ValueError, x509.DuplicateExtension) as error:
        raise DevnetError(f"the extensions of a request cannot be read: {error}") from None
    return tuple(names.get_values_for_type(x509.DNSName))


def _note(entry: IssuedEntry) -> dict[str, str | None]:
    return {
        "serial": str(entry.serial),
        "issuer": entry.issuer,
        "subject": entry.subject,
        "revokedAt": None if entry.revoked_at is None else entry.revoked_at.isoformat(),
    }


def _read_register(notes: Any) -> dict[int, IssuedEntry]:
    try:
        entries = [
            IssuedEntry(
                serial=int(note["serial"]),
                issuer=note["issuer"],
                subject=note["subject"],
                revoked_at=note["revokedAt"] and datetime.fromisoformat(note["revokedAt"]),
            )
            for note in notes or ()
        ]
    except (ValueError, TypeError, KeyError) as error:
        raise DevnetError(f"the register of issued certificates cannot be read: {error}") from None
    return {entry.serial: entry for entry in entries}
