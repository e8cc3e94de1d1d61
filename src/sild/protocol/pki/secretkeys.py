"""Secret keys in PKCS #12 files, as Java's key tool writes them (RFC 7292).

What files in use have is read: keys shrouded with PBES2 and AES, or with the triple DES of old
tool versions, in plain or encrypted safes, under a MAC.
"""

import hashlib
import hmac
from collections.abc import Iterator
from typing import Any

from asn1crypto import cms, core, pkcs12
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from sild.protocol.errors import ProtocolError

_SIZE_LIMIT = 1024 * 1024
_MOST_ITERATIONS = 10_000_000
_SECRET_BAG, SHROUDED_BAG = "secret_bag", "1.2.840.113549.1.12.10.1.2"
_FRIENDLY_NAME = "friendly_name"
_OLD_TRIPLE_DES = "pkcs12_sha1_tripledes_3key"
_HASHES: dict[str, type[hashes.HashAlgorithm]] = {
    "sha1": hashes.SHA1,
    "sha224": hashes.SHA224,
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
}
_CIPHER_KEY, _CIPHER_IV, MAC_KEY = 1, 2, 3
_READ_ERRORS = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError)


class UnreadableKeystore(ProtocolError):
    """A key store that cannot be read, or not with this password."""


def read_secret_keys(data: bytes, password: str) -> dict[str, bytes]:
    """The secret keys in a PKCS #12 file by their aliases; raises UnreadableKeystore."""
    if len(data) > _SIZE_LIMIT:
        raise UnreadableKeystore(f"a key store of {len(data)} bytes is too long")
    try:
        store = pkcs12.Pfx.load(data, strict=True)
        safes = store["auth_safe"]["content"].native
        _check_mac(store["mac_data"], safes, password)
        found: dict[str, bytes] = {}
        for info in pkcs12.AuthenticatedSafe.load(safes, strict=True):
            for bag in _bags(info, password):
                if bag["bag_id"].native == _SECRET_BAG:
                    found[_alias(bag)] = _secret(bag["bag_value"], password)
    except _READ_ERRORS as error:
        raise UnreadableKeystore(f"the key store cannot be read: {error}") from None
    return found


def _check_mac(mac: Any, safes: bytes, password: str) -> None:
    if mac.native is None:
        raise UnreadableKeystore("the key store has no MAC, so it could be anybody's")
    digest = mac["mac"]["digest_algorithm"]["algorithm"].native
    salt, rounds = mac["mac_salt"].native, _rounds(mac["iterations"].native)
    size = hashlib.new(digest).digest_size
    key = derive_key(digest, MAC_KEY, (password, salt, rounds), size)
    if not hmac.compare_digest(hmac.digest(key, safes, digest), mac["mac"]["digest"].native):
        raise UnreadableKeystore("the key store was changed, or the password is another")


def _bags(info: Any, password: str) -> Iterator[Any]:
    content = info["content"]
    if isinstance(content, cms.EncryptedData):
        inner = content["encrypted_content_info"]
        plain = _decrypt(
            inner["content_encryption_algorithm"], inner["encrypted_content"].native, password
        )
    else:
        plain = content.native
    yield from pkcs12.SafeContents.load(plain)


def _alias(bag: Any) -> str:
    for attribute in bag["bag_attributes"]:
        if attribute["type"].native == _FRIENDLY_NAME:
            return str(attribute["values"][0].native)
    raise UnreadableKeystore("a secret key of the key store has no alias")


def _secret(value: Any, password: str) -> bytes:
    if value["secret_type_id"].dotted != SHROUDED_BAG:
        raise UnreadableKeystore("a secret key of the key store is kept in an unknown way")
    shrouded = pkcs12.EncryptedPrivateKeyInfo.load(value["secret_value"].native)
    plain = _decrypt(shrouded["encryption_algorithm"], shrouded["encrypted_data"].native, password)
    # A PrivateKeyInfo whose key is no structure but the secret itself.
    parts = core.SequenceOf.load(plain, spec=core.Any)
    return bytes(parts[2].parse(spec=core.OctetString).native)


def _decrypt(algorithm: Any, data: bytes, password: str) -> bytes:
    name = algorithm["algorithm"].native
    if name == "pbes2":
        cipher = Cipher(AES(_pbkdf2(algorithm, password)), CBC(algorithm.encryption_iv))
        if algorithm.encryption_cipher != "aes":
            raise UnreadableKeystore(f"the cipher {algorithm.encryption_cipher} is not accepted")
        block = 16
    elif name == _OLD_TRIPLE_DES:
        given = algorithm["parameters"]
        way = (password, given["salt"].native, _rounds(given["iterations"].native))
        key, iv = (
            derive_key("sha1", *use) for use in ((_CIPHER_KEY, way, 24), (_CIPHER_IV, way, 8))
        )
        cipher = Cipher(TripleDES(key), CBC(iv))
        block = 8
    else:
        raise UnreadableKeystore(f"a key store encrypted with {name} is not accepted")
    decryptor = cipher.decryptor()
    plain = decryptor.update(data) + decryptor.finalize()
    padding = plain[-1] if plain else 0
    if not 1 <= padding <= block or plain[-padding:] != bytes([padding]) * padding:
        raise UnreadableKeystore("the password of the key store is another")
    return plain[:-padding]


def _pbkdf2(algorithm: Any, password: str) -> bytes:
    kdf = PBKDF2HMAC(
        _HASHES[algorithm.kdf_hmac](),
        algorithm.key_length,
        algorithm.kdf_salt,
        _rounds(algorithm.kdf_iterations),
    )
    return kdf.derive(password.encode())


def _rounds(iterations: int) -> int:
    if not 1 <= iterations <= _MOST_ITERATIONS:
        raise UnreadableKeystore(f"{iterations} iterations of a key derivation are not accepted")
    return iterations


def derive_key(digest: str, use: int, way: tuple[str, bytes, int], size: int) -> bytes:
    """A key from a password as PKCS #12 itself derives it (RFC 7292, B.2)."""
    password, salt, rounds = way
    block = hashlib.new(digest).block_size
    secret = password.encode("utf-16-be") + b"\0\0"
    mixed = bytearray(_filled(salt, block) + _filled(secret, block))
    derived = b""
    while len(derived) < size:
        value = bytes([use]) * block + bytes(mixed)
        for _ in range(rounds):
            value = hashlib.new(digest, value).digest()
        derived += value
        added = int.from_bytes(_filled(value, block)[:block], "big") + 1
        for start in range(0, len(mixed), block):
            part = int.from_bytes(mixed[start : start + block], "big") + added
            mixed[start : start + block] = (part % (1 << 8 * block)).to_bytes(block, "big")
    return derived[:size]


def _filled(value: bytes, block: int) -> bytes:
    """The value again and again until whole blocks are full."""
    size = -(-len(value) // block) * block
    return (value * (size // len(value) + 1))[:size] if value else b""
