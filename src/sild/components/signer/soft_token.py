"""Keys in files encrypted with a PIN, laid out as the reference lays out its software token.

    softtoken/.softtoken.p12        a key of no other use: who can open it knows the PIN
    softtoken/<KEYID>.p12           a key; its id is 20 random bytes in uppercase hexadecimal
    softtoken/*.p12.next            the same under a new PIN, on the way to take its place
    softtoken/.new-pin              says that those are complete

Each key is PKCS #12 with a self-signed `CN=KeyHolder` certificate, which Java insists on. The
methods block (files, key derivation, key generation): call them in a thread, one at a time. Only
signing is for the event loop and for many threads.
"""

import logging
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs12,
)
from cryptography.x509.oid import NameOID

from sild.components.signer.errors import (
    PIN_KINDS,
    PIN_LENGTH,
    CannotSign,
    InvalidPinCharacters,
    KeyGenerationFailed,
    KeyNotFound,
    PinAttemptsLimited,
    PinIncorrect,
    SignerError,
    TokenInitialized,
    TokenNotActive,
    TokenNotInitialized,
    UnsupportedSignAlgorithm,
    WeakPin,
)
from sild.components.signer.ports import MadeKey
from sild.components.signer.settings import SignerSettings
from sild.model.tokens import KeyAlgorithm, TokenStatus
from sild.protocol.algorithms import DigestAlgorithm, KeyFamily, SignatureAlgorithm
from sild.runtime.clock import Clock
from sild.runtime.files import (
    FileError,
    make_private_directory,
    read_bounded,
    sync_directory,
    write_private,
)

_LOG = logging.getLogger(__name__)

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

_PIN_FILE = ".softtoken.p12"
_PIN_NAME = b"pin"
_NEXT = ".next"
_COMPLETE = ".new-pin"
_UNFINISHED = ".tmp"
_KEY_FILE = re.compile(r"([0-9A-F]{40})\.p12")
_LARGEST_FILE = 64 * 1024
_LONGEST_PIN = 256
_HOLDER = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "KeyHolder")])
_HOLDER_VALIDITY = timedelta(days=20 * 365)
_DIGESTS = frozenset({DigestAlgorithm.SHA256, DigestAlgorithm.SHA384, DigestAlgorithm.SHA512})
_RSA_SIZES: Mapping[KeyAlgorithm, int] = {
    KeyAlgorithm.RSA_2048: 2048,
    KeyAlgorithm.RSA_3072: 3072,
    KeyAlgorithm.RSA_4096: 4096,
}


class SoftToken:
    """The token; logged out at first."""

    def __init__(self, directory: Path, clock: Clock, settings: SignerSettings) -> None:
        make_private_directory(directory)
        self._directory = directory
        self._clock = clock
        self._settings = settings
        self._attempts = _Attempts(clock, settings)
        self._pin: bytearray | None = None
        self._keys: Mapping[str, PrivateKey] = {}
        self._finish_pin_change()

    @property
    def is_initialized(self) -> bool:
        """Whether a PIN was set."""
        return (self._directory / _PIN_FILE).exists()

    @property
    def is_logged_in(self) -> bool:
        """Whether keys can be used."""
        return self._pin is not None

    @property
    def pin_status(self) -> TokenStatus:
        """What became of the last PIN that was entered."""
        return TokenStatus.USER_PIN_INCORRECT if self._attempts.wrong else TokenStatus.OK

    def initialize(self, pin: str) -> None:
        """Set the PIN, once."""
        if self.is_initialized:
            raise TokenInitialized("the software token has a PIN already")
        if self._settings.enforce_token_pin_policy:
            check_pin(pin)
        self._save(_PIN_FILE, _PIN_NAME, _generate(KeyAlgorithm.EC_P256), _pin_bytes(pin))

    def login(self, pin: str) -> None:
        """Open the keys with the PIN.

        Raises PinIncorrect, after some wrong PINs without even trying, and TokenNotInitialized.
        """
        opened = self._checked_pin(pin)
        keys = self._read_keys(opened, {})
        self._forget_pin()
        self._keys, self._pin = keys, opened

    def rescan(self) -> None:
        """Take over key files that others have written or removed since the login."""
        if self._pin is not None:
            self._keys = self._read_keys(self._pin, self._keys)

    def _read_keys(
        self, pin: bytearray, known: Mapping[str, PrivateKey]
    ) -> Mapping[str, PrivateKey]:
        keys = {}
        for path in sorted(self._directory.iterdir()):
            if name := _KEY_FILE.fullmatch(path.name):
                if (key := known.get(name[1]) or self._open(path, pin)) is None:
                    _LOG.warning("key %s cannot be opened with the PIN of its token", name[1])
                else:
                    keys[name[1]] = key
        return keys

    def change_pin(self, old: str, new: str) -> None:
        """Encrypt every key with another PIN, and log out.

        Whatever happens meanwhile, all files are under one of the two PINs in the end.
        """
        self._get_pin()
        before = self._checked_pin(old)
        if self._settings.enforce_token_pin_policy:
            check_pin(new)
        after = _pin_bytes(new)
        # Keys that others put here since the login go along.
        self.rescan()
        opened = {_PIN_FILE: (_PIN_NAME, self._open(self._directory / _PIN_FILE, before))} | {
            f"{key_id}.p12": (key_id.lower().encode(), key) for key_id, key in self._keys.items()
        }
        try:
            for name, (alias, key) in opened.items():
                if key is not None:
                    self._save(name + _NEXT, alias, key, after)
            write_private(self._directory / _COMPLETE, b"")
        finally:
            self._finish_pin_change()
        self.logout()

    def logout(self) -> None:
        """Forget the PIN and the keys."""
        self._keys = {}
        self._forget_pin()

    def generate(self, algorithm: KeyAlgorithm) -> MadeKey:
        """Make a key and save it."""
        pin = self._get_pin()
        key_id = self._clock.random_bytes(20).hex().upper()
        key = _generate(algorithm)
        self._save(f"{key_id}.p12", key_id.lower().encode(), key, pin)
        self._keys = {**self._keys, key_id: key}
        public_key = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return MadeKey(key_id, public_key)

    def delete(self, key_id: str) -> None:
        """Remove a key for good; one that is not there is no error."""
        self._get_pin()
        if _KEY_FILE.fullmatch(f"{key_id}.p12") is None:
            raise KeyNotFound(f"{key_id!r} is no key of the software token")
        self._keys = {name: key for name, key in self._keys.items() if name != key_id}
        (self._directory / f"{key_id}.p12").unlink(missing_ok=True)
        sync_directory(self._directory)

    @property
    def available_keys(self) -> frozenset[str]:
        """The keys that can be used now."""
        return frozenset(self._keys)

    def is_slow(self, key_id: str) -> bool:
        """Whether signing with the key takes long enough to leave the event loop for it."""
        return isinstance(self._get_key(key_id), rsa.RSAPrivateKey)

    def sign(self, key_id: str, digest: bytes, algorithm: SignatureAlgorithm) -> bytes:
        """The signature over a digest: the raw value of RSA PKCS #1 v1.5, or ECDSA in DER."""
        key = self._get_key(key_id)
        _check_digest(digest, algorithm)
        hashed = utils.Prehashed(algorithm.digest_algorithm.primitive)
        try:
            if isinstance(key, rsa.RSAPrivateKey) and algorithm.family is KeyFamily.RSA:
                return key.sign(digest, padding.PKCS1v15(), hashed)
            if isinstance(key, ec.EllipticCurvePrivateKey) and algorithm.family is KeyFamily.EC:
                return key.sign(digest, ec.ECDSA(hashed))
        except (ValueError, UnsupportedAlgorithm) as error:
            raise CannotSign(f"key {key_id} could not sign: {error}") from None
        raise UnsupportedSignAlgorithm(f"key {key_id} makes no {algorithm.name} signatures")

    def private_key(self, key_id: str) -> bytes:
        """The key itself, as PKCS #8 in DER: only for keys of TLS."""
        return self._get_key(key_id).private_bytes(
            Encoding.DER, PrivateFormat.PKCS8, NoEncryption()
        )

    def _checked_pin(self, pin: str) -> bytearray:
        if not self.is_initialized:
            raise TokenNotInitialized("the software token has no PIN yet")
        self._attempts.check()
        opened = _pin_bytes(pin)
        if self._open(self._directory / _PIN_FILE, opened) is None:
            self._attempts.failed()
            raise PinIncorrect("the PIN of the software token is incorrect")
        self._attempts.succeeded()
        return opened

    def _finish_pin_change(self) -> None:
        """Let what is complete under a new PIN take its place, and drop what is not."""
        complete = (self._directory / _COMPLETE).exists()
        for path in sorted(self._directory.iterdir()):
            if path.suffix == _NEXT and complete:
                path.replace(path.with_suffix(""))
            elif path.suffix in {_NEXT, _UNFINISHED}:
                path.unlink()
        sync_directory(self._directory)
        if complete:
            (self._directory / _COMPLETE).unlink()
            sync_directory(self._directory)

    def _get_key(self, key_id: str) -> PrivateKey:
        self._get_pin()
        try:
            return self._keys[key_id]
        except KeyError:
            raise KeyNotFound(f"the software token has no key {key_id!r}") from None

    def _get_pin(self) -> bytearray:
        if self._pin is None:
            raise TokenNotActive("nobody has logged in to the software token")
        return self._pin

    def _forget_pin(self) -> None:
        if self._pin is not None:
            self._pin[:] = bytes(len(self._pin))
            self._pin = None

    def _open(self, path: Path, pin: bytearray) -> PrivateKey | None:
        try:
            opened = pkcs12.load_pkcs12(read_bounded(path, _LARGEST_FILE), bytes(pin))
        except (ValueError, UnsupportedAlgorithm):
            return None
        except (OSError, FileError) as error:
            raise SignerError(f"a key file of the software token is unreadable: {error}") from error
        key = opened.key
        return key if isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) else None

    def _save(self, name: str, alias: bytes, key: PrivateKey, pin: bytearray) -> None:
        encryption = (
            PrivateFormat.PKCS12.encryption_builder()
            .kdf_rounds(self._settings.pin_rounds)
            .key_cert_algorithm(pkcs12.PBES.PBESv2SHA256AndAES256CBC)
            .hmac_hash(hashes.SHA256())
            .build(bytes(pin))
        )
        content = pkcs12.serialize_key_and_certificates(
            alias, key, self._holder(key), None, encryption
        )
        try:
            write_private(self._directory / name, content)
        except OSError as error:
            raise KeyGenerationFailed(f"a key file could not be written: {error}") from error

    def _holder(self, key: PrivateKey) -> x509.Certificate:
        now = self._clock.now()
        return (
            x509.CertificateBuilder()
            .subject_name(_HOLDER)
            .issuer_name(_HOLDER)
            .public_key(key.public_key())
            .serial_number(int.from_bytes(self._clock.random_bytes(8), "big") | 1)
            .not_valid_before(now)
            .not_valid_after(now + _HOLDER_VALIDITY)
            .sign(key, hashes.SHA256())
        )


class _Attempts:
    """Slows down who guesses: after some wrong PINs in a row none is tried for a while."""

    def __init__(self, clock: Clock, settings: SignerSettings) -> None:
        self._clock = clock
        self._settings = settings
        self.wrong = 0
        """Wrong PINs in a row."""
        self._next = 0.0

    def check(self) -> None:
        left = self._next - self._clock.monotonic()
        if self.wrong and left > 0:
            raise PinAttemptsLimited(
                f"{self.wrong} wrong PINs in a row: try again in {left:.0f} seconds"
            )

    def failed(self) -> None:
        self.wrong += 1
        doublings = self.wrong - self._settings.pin_free_attempts
        if doublings >= 0:
            delay = self._settings.pin_first_delay * 2.0 ** min(doublings, 32)
            self._next = self._clock.monotonic() + min(delay, self._settings.pin_longest_delay)

    def succeeded(self) -> None:
        self.wrong = 0


def check_pin(pin: str) -> None:
    """Refuse a PIN with fewer than 10 printable ASCII characters, or than 3 kinds of them."""
    kinds = (str.isdigit, str.isupper, str.islower, lambda c: not c.isalnum())
    if not pin.isascii() or not pin.isprintable():
        raise InvalidPinCharacters("a PIN has printable ASCII characters only")
    if len(pin) < PIN_LENGTH or sum(any(map(kind, pin)) for kind in kinds) < PIN_KINDS:
        raise WeakPin(
            f"a PIN needs {PIN_LENGTH} characters of {PIN_KINDS} kinds: small and capital letters,"
            " digits, others"
        )


def _pin_bytes(pin: str) -> bytearray:
    try:
        encoded = bytearray(pin.encode())
    except UnicodeEncodeError:
        encoded = bytearray()
    if not encoded or len(encoded) > _LONGEST_PIN or 0 in encoded:
        raise PinIncorrect(f"a PIN has 1 to {_LONGEST_PIN} characters")
    return encoded


def _generate(algorithm: KeyAlgorithm) -> PrivateKey:
    if algorithm in _RSA_SIZES:
        return rsa.generate_private_key(public_exponent=65537, key_size=_RSA_SIZES[algorithm])
    return ec.generate_private_key(ec.SECP256R1())


def _check_digest(digest: bytes, algorithm: SignatureAlgorithm) -> None:
    hashed = algorithm.digest_algorithm
    if hashed not in _DIGESTS:
        raise UnsupportedSignAlgorithm(f"no signatures over {hashed.text} digests are made")
    if len(digest) != hashed.size:
        raise CannotSign(f"{len(digest)} bytes are no {hashed.text} digest")
