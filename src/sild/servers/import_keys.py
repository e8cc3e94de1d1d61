"""The old server's tokens, keys and certificates, put where the signer here has its own."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)

from sild.components.signer.errors import PinIncorrect, SignerError
from sild.components.signer.found import public_key_of
from sild.components.signer.settings import SignerSettings
from sild.components.signer.soft_token import SoftToken
from sild.components.signer.store import KeyConf, KeyConfStore, SavedToken
from sild.components.takeover.errors import PinRefused
from sild.components.takeover.findings import Finding, lost, note
from sild.components.takeover.keyconf import TakenKey, TakenKeyConf, TakenToken
from sild.model.tokens import (
    SOFT_TOKEN_ID,
    CertificateEntry,
    CertificateStatus,
    Key,
    KeyAlgorithm,
    KeyUsage,
)
from sild.protocol.pki.certificate import read_certificate
from sild.runtime.clock import Clock
from sild.runtime.files import make_private_directory, write_private

_FOLDER = "signer/softtoken/"
_PIN_FILE = ".softtoken.p12"
_KEY_FILE = re.compile(r"([0-9A-F]{40})\.p12")
_LARGEST_KEY_FILE = 64 * 1024
_RSA: Mapping[int, KeyAlgorithm] = {
    2048: KeyAlgorithm.RSA_2048,
    3072: KeyAlgorithm.RSA_3072,
    4096: KeyAlgorithm.RSA_4096,
}

PublicKeys: TypeAlias = Mapping[str, bytes]
"""SubjectPublicKeyInfo in DER by the keys' ids."""


@dataclass(slots=True)
class KeyImport:
    """Puts keys into the folder of a signer, and keeps what is to be told."""

    folder: Path
    clock: Clock
    findings: list[Finding] = field(default_factory=list)

    async def put(
        self, files: Mapping[str, bytes], taken: TakenKeyConf, pin: str | None
    ) -> KeyConf:
        """Put all; without a PIN (for a rehearsal) keys are not opened. Raises PinRefused."""
        opened = self._open(self._put_files(files), pin)
        conf = KeyConf()
        known: set[str] = set()
        for token in taken.tokens:
            if token.is_software:
                conf = replace(conf, label=token.label)
            else:
                conf = replace(conf, tokens=(*conf.tokens, _saved(token)))
            for key in token.keys:
                known.add(key.id)
                if (made := self._key(token, key, opened)) is not None:
                    conf = conf.with_key(made)
        for key_id, public_key in (opened or {}).items():
            # A key that nothing was asked for yet is in no list of the old server.
            algorithm = _algorithm(public_key)
            if key_id not in known and algorithm is not None:
                conf = conf.with_key(Key(key_id, key_id, None, algorithm, public_key))
        store = KeyConfStore(self.folder / "keyconf")
        await store.change(lambda _: conf)
        return conf

    def _put_files(self, files: Mapping[str, bytes]) -> SoftToken:
        directory = self.folder / "softtoken"
        make_private_directory(directory)
        for path, content in files.items():
            if not path.startswith(_FOLDER):
                continue
            name = path.removeprefix(_FOLDER)
            if name != _PIN_FILE and not _KEY_FILE.fullmatch(name):
                self.findings.append(lost(path, "keys of the software token are not named so"))
            elif len(content) > _LARGEST_KEY_FILE:
                self.findings.append(lost(path, "it is too large for a key"))
            else:
                write_private(directory / name, content)
        return SoftToken(directory, self.clock, SignerSettings())

    def _open(self, token: SoftToken, pin: str | None) -> PublicKeys | None:
        """The keys that the PIN opens; None where nobody can say."""
        stored = {path.stem for path in (self.folder / "softtoken").glob("[!.]*.p12")}
        if not token.is_initialized:
            self.findings.extend(
                lost(f"key {key_id}", "the backup holds no PIN of the software token")
                for key_id in sorted(stored)
            )
            return {}
        if pin is None:
            self.findings.append(note("the software token", "no PIN was given: it is not opened"))
            return None
        try:
            token.login(pin)
        except PinIncorrect as error:
            raise PinRefused("the PIN is not that of the old server's software token") from error
        except SignerError as error:
            raise PinRefused(
                f"the old server's software token cannot be opened: {error}"
            ) from error
        opened = {key_id: _public_key(token.private_key(key_id)) for key_id in token.available_keys}
        token.logout()
        for key_id in sorted(stored - opened.keys()):
            self.findings.append(lost(f"key {key_id}", "the PIN of its token does not open it"))
            (self.folder / "softtoken" / f"{key_id}.p12").unlink()
        return opened

    def _key(self, token: TakenToken, key: TakenKey, opened: PublicKeys | None) -> Key | None:
        what = f"key {key.label!r} ({key.id}) of token {token.label!r}"
        public_key = key.public_key or _certified(key)
        if token.is_software and opened is not None:
            if key.id not in opened:
                self.findings.append(lost(what, "its file is not in the backup"))
                return None
            if public_key not in {None, opened[key.id]}:
                self.findings.append(lost(what, "its file holds another key"))
                return None
            public_key = opened[key.id]
        algorithm = None if public_key is None else _algorithm(public_key)
        if public_key is None or algorithm is None:
            why = "is not known" if public_key is None else "cannot be used here"
            self.findings.append(lost(what, f"its public key {why}"))
            return None
        return Key(
            key.id,
            key.label,
            key.usage,
            algorithm,
            public_key,
            self._certificates(key, public_key, what),
            key.requests,
            SOFT_TOKEN_ID if token.is_software else token.id,
            key.device_label,
        )

    def _certificates(
        self, key: TakenKey, public_key: bytes, what: str
    ) -> tuple[CertificateEntry, ...]:
        kept = []
        for entry in key.certificates:
            if public_key_of(read_certificate(entry.certificate)) != public_key:
                name = f"certificate {entry.sha256} of {what}"
                self.findings.append(lost(name, "it is of another key"))
            elif key.usage is KeyUsage.SIGNING and entry.member is None:
                name = f"certificate {entry.sha256} of {what}"
                self.findings.append(lost(name, "it is not told whom it signs for"))
            else:
                kept.append(_as_used(key, entry))
        return tuple(kept)


def _as_used(key: TakenKey, entry: CertificateEntry) -> CertificateEntry:
    # A signing certificate is registered by being imported: early releases said nothing of it.
    if key.usage is KeyUsage.SIGNING and entry.status is CertificateStatus.SAVED:
        return replace(entry, status=CertificateStatus.REGISTERED)
    return entry


def _saved(token: TakenToken) -> SavedToken:
    return SavedToken(
        token.id,
        token.label,
        token.type,
        token.serial_number,
        token.device_label,
        token.slot_index,
    )


def _certified(key: TakenKey) -> bytes | None:
    certificates = (read_certificate(entry.certificate) for entry in key.certificates)
    return next((public_key_of(each) for each in certificates), None)


def _public_key(private_key: bytes) -> bytes:
    public_key = load_der_private_key(private_key, None).public_key()
    return public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _algorithm(public_key: bytes) -> KeyAlgorithm | None:
    """What kind of key it is, if it can be used here."""
    try:
        key = load_der_public_key(public_key)
    except (ValueError, UnsupportedAlgorithm):
        return None
    if isinstance(key, rsa.RSAPublicKey):
        return _RSA.get(key.key_size)
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return KeyAlgorithm.EC_P256
    return None
