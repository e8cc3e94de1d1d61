"""Messages and bodies are encrypted in the store, by the scheme of the reference.

A secret gives two AES-128 keys, one for messages and one for attachments (HKDF with SHA-512, the
key's alias as salt); both are used in counter mode from a number on that is never used again.
There is no more to it: who can change rows is caught by the signatures, not by the encryption.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sild.components.messagelog.errors import EncryptionKeyNotFound
from sild.components.messagelog.settings import MessageLogSettings
from sild.protocol.pki.secretkeys import read_secret_keys
from sild.runtime.files import read_bounded

_KEY = 16
_BLOCK = 16
_LARGEST_KEYSTORE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Seal:
    """How something is encrypted: the alias of the key, and the number that is its alone."""

    key_id: str
    number: int


class RecordCipher:
    """Encrypts and decrypts, which is the same; new records with the current key if there is one.

    Keys that are no longer current still open what they have sealed.
    """

    def __init__(self, secrets: Mapping[str, bytes], current: str | None) -> None:
        self._keys = {alias: _derive(alias, secret) for alias, secret in secrets.items()}
        if current is not None:
            self._keys_of(current)
        self.current = current

    def message(self, seal: Seal, data: bytes) -> bytes:
        """A whole message; raises EncryptionKeyNotFound."""
        key, _ = self._keys_of(seal.key_id)
        return _apply(key, seal.number << 64, data)

    def attachment(self, seal: Seal, data: bytes, *, number: int = 1, offset: int = 0) -> bytes:
        """A piece of an attachment, from this offset in it on; raises EncryptionKeyNotFound."""
        _, key = self._keys_of(seal.key_id)
        block, skipped = divmod(offset, _BLOCK)
        counter = (seal.number << 64 | number - 1 << 32) + block
        return _apply(key, counter, bytes(skipped) + data)[skipped:]

    def _keys_of(self, key_id: str) -> tuple[bytes, bytes]:
        found = self._keys.get(key_id)
        if found is None:
            raise EncryptionKeyNotFound(f"the key store has no secret key {key_id!r}")
        return found


def open_cipher(settings: MessageLogSettings) -> RecordCipher | None:
    """The cipher that the settings name; None where there is no key store.

    Raises UnreadableKeystore, EncryptionKeyNotFound, OSError, FileTooLarge.
    """
    if settings.messagelog_keystore is None:
        return None
    data = read_bounded(settings.messagelog_keystore, _LARGEST_KEYSTORE)
    secrets = read_secret_keys(data, settings.messagelog_keystore_password or "")
    wanted = settings.messagelog_key_id if settings.messagelog_encryption_enabled else None
    return RecordCipher(secrets, wanted)


def _derive(alias: str, secret: bytes) -> tuple[bytes, bytes]:
    both = HKDF(SHA512(), 2 * _KEY, salt=alias.encode(), info=b"").derive(secret)
    return both[:_KEY], both[_KEY:]


def _apply(key: bytes, counter: int, data: bytes) -> bytes:
    encryptor = Cipher(AES(key), CTR(counter.to_bytes(_BLOCK, "big"))).encryptor()
    return encryptor.update(data) + encryptor.finalize()
