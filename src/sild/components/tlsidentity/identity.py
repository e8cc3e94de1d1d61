"""The TLS key and certificate of one side of a server (CI-06, IS-04).

They are in one private file: a key is never without its certificate. What listens follows a change
at once.
"""

import asyncio
import gzip
import io
import tarfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from sild.components.tlsidentity.distinguished import read_distinguished_name
from sild.components.tlsidentity.errors import (
    CertificateInUse,
    CertificateOfOtherKey,
    ChainNotValid,
    KeyNotMade,
    NoCertificate,
    NotCertificates,
)
from sild.components.tlsidentity.selfsigned import TlsKey, TlsSubject, make_self_signed
from sild.protocol.errors import IncorrectCertificate
from sild.protocol.pki.certificate import Certificate, read_certificate
from sild.runtime.clock import Clock
from sild.runtime.files import FileError, read_private, write_private
from sild.runtime.tls import TlsIdentity

_LIMIT = 1024 * 1024
_MOST_CERTIFICATES = 20


@dataclass(frozen=True, slots=True)
class _Held:
    key: TlsKey
    chain: tuple[x509.Certificate, ...]

    @property
    def leaf(self) -> Certificate:
        return read_certificate(_der(self.chain[0]))

    @property
    def identity(self) -> TlsIdentity:
        return TlsIdentity(self.key, tuple(_der(each) for each in self.chain))


Changed = Callable[[], Awaitable[None]]
"""Awaited after each change."""


class ServedTls:
    """The key and its certificates, leaf first; `subject` is for those that it gives itself.

    Whoever has to know of changes follows them; `changed` is awaited before a change is answered.
    """

    def __init__(
        self, path: Path, subject: TlsSubject, clock: Clock, changed: Changed | None = None
    ) -> None:
        self._path = path
        self._subject = subject
        self._clock = clock
        self._changed = changed
        self._followers: list[Callable[[TlsIdentity], None]] = []
        self._changing = asyncio.Lock()

    def follow(self, follower: Callable[[TlsIdentity], None]) -> None:
        """Tell someone of what is held now, and of each change; raises NoCertificate."""
        follower(self._read().identity)
        self._followers.append(follower)

    async def make_if_missing(self) -> None:
        """Make a first key and certificate; raises KeyNotMade."""
        if not await asyncio.to_thread(self._path.exists):
            await self.generate()

    async def certificate(self) -> Certificate:
        """The leaf certificate; raises NoCertificate."""
        return (await asyncio.to_thread(self._read)).leaf

    async def find_certificate(self) -> Certificate | None:
        """The leaf certificate, if there is one that can be read."""
        try:
            return await self.certificate()
        except NoCertificate:
            return None

    async def archive(self, name: str) -> bytes:
        """The leaf certificate in PEM and DER, `name` with `.pem` and `.cer`, in a gzipped tar.

        Raises NoCertificate.
        """
        held = await asyncio.to_thread(self._read)
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            for ending, encoding in (("pem", Encoding.PEM), ("cer", Encoding.DER)):
                content = held.chain[0].public_bytes(encoding)
                entry = tarfile.TarInfo(f"./{name}.{ending}")
                entry.size = len(content)
                entry.mtime = int(self._clock.now().timestamp())
                archive.addfile(entry, io.BytesIO(content))
        return gzip.compress(packed.getvalue(), mtime=0)

    async def generate(self) -> Certificate:
        """Make a new key with a certificate that it signs itself; raises KeyNotMade."""
        async with self._changing:
            try:
                held = await asyncio.to_thread(self._make)
            except OSError as error:
                raise KeyNotMade(f"the key could not be kept: {error}") from error
            return await self._tell(held)

    async def request(self, distinguished_name: str) -> bytes:
        """A certificate signing request of the key, in PEM.

        Raises InvalidDistinguishedName and NoCertificate.
        """
        name = read_distinguished_name(distinguished_name)
        held = await asyncio.to_thread(self._read)
        builder = x509.CertificateSigningRequestBuilder().subject_name(name)
        return builder.sign(held.key, hashes.SHA256()).public_bytes(Encoding.PEM)

    async def take(self, content: bytes) -> Certificate:
        """Take a certificate of the key, in PEM or DER, in PEM maybe with its chain.

        Raises NotCertificates, ChainNotValid, CertificateOfOtherKey, CertificateInUse,
        NoCertificate and KeyNotMade.
        """
        chain = _read_chain(content)
        async with self._changing:
            held = await asyncio.to_thread(self._read)
            chain = _ordered(chain, _public(held.key.public_key()))
            if chain == held.chain:
                raise CertificateInUse("this certificate is in use already")
            taken = _Held(held.key, chain)
            try:
                await asyncio.to_thread(self._write, taken)
            except OSError as error:
                raise KeyNotMade(f"the certificate could not be kept: {error}") from error
            return await self._tell(taken)

    async def _tell(self, held: _Held) -> Certificate:
        for follower in self._followers:
            follower(held.identity)
        if self._changed is not None:
            await self._changed()
        return held.leaf

    def _make(self) -> _Held:
        made = make_self_signed(self._subject, self._clock.now())
        held = _Held(made.key, (made.certificate,))
        self._write(held)
        return held

    def _write(self, held: _Held) -> None:
        key = held.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        write_private(
            self._path, key + b"".join(each.public_bytes(Encoding.PEM) for each in held.chain)
        )

    def _read(self) -> _Held:
        try:
            content = read_private(self._path, _LIMIT)
            # It was made here, and its certificate is checked against it: that it is sound is not
            # proved again with every look, which takes a tenth of a second.
            key = load_pem_private_key(content, None, unsafe_skip_rsa_key_validation=True)
            chain = tuple(x509.load_pem_x509_certificates(content))
        except (OSError, FileError, ValueError, TypeError) as error:
            raise NoCertificate(f"there is no TLS key with a certificate: {error}") from error
        if not isinstance(key, TlsKey):
            raise NoCertificate("the TLS key is neither RSA nor EC")
        return _Held(key, chain)


def _read_chain(content: bytes) -> tuple[x509.Certificate, ...]:
    try:
        if b"-----BEGIN" in content:
            chain = tuple(x509.load_pem_x509_certificates(content))
        else:
            chain = (x509.load_der_x509_certificate(content),)
        for each in chain:
            read_certificate(_der(each))
    except (ValueError, TypeError, IncorrectCertificate) as error:
        raise NotCertificates("what was sent is no certificate") from error
    if len(chain) > _MOST_CERTIFICATES:
        raise NotCertificates(f"a chain has at most {_MOST_CERTIFICATES} certificates")
    return chain


def _ordered(chain: tuple[x509.Certificate, ...], key: bytes) -> tuple[x509.Certificate, ...]:
    """The chain from the key's own certificate on, whichever order it was sent in."""
    leaves = [each for each in chain if _public(each.public_key()) == key]
    if not leaves:
        raise CertificateOfOtherKey("the certificate is not of the key that is in use")
    ordered, rest = [leaves[0]], [each for each in chain if each != leaves[0]]
    while rest:
        issuer = next((each for each in rest if _issued(ordered[-1], each)), None)
        if issuer is None:
            raise ChainNotValid("a certificate of the chain did not issue another")
        ordered.append(issuer)
        rest.remove(issuer)
    return tuple(ordered)


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except Exception:  # noqa: BLE001 - its own, those of the key, and those of hashes it lacks
        return False
    return True


def _public(key: object) -> bytes:
    made: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]
    return made


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)
