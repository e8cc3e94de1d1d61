"""Secret keys into PKCS #12 files, as Java's key tool writes and reads them (RFC 7292)."""

import hmac
from collections.abc import Callable, Mapping
from typing import Any

from asn1crypto import algos, cms, core, keys, pkcs12
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.padding import PKCS7

from sild.protocol.pki.secretkeys import MAC_KEY, SHROUDED_BAG, derive_key

_AES = "2.16.840.1.101.3.4.1"
_ROUNDS = 100_000
_SALT, _IV, _KEY = 20, 16, 32
_AES_BITS = 128

Random = Callable[[int], bytes]


def write_secret_keys(secrets: Mapping[str, bytes], password: str, random: Random) -> bytes:
    """A PKCS #12 file of secret keys by their aliases, each encrypted, all under a MAC.

    `random` gives so many bytes that nobody can predict.
    """
    bags = [_bag(alias, secret, password, random) for alias, secret in secrets.items()]
    contents = pkcs12.SafeContents(bags).dump()
    safe = pkcs12.AuthenticatedSafe([_data(contents)]).dump()
    salt = random(_SALT)
    key = derive_key("sha256", MAC_KEY, (password, salt, _ROUNDS), hashes.SHA256.digest_size)
    mac = {
        "mac": {
            "digest_algorithm": {"algorithm": "sha256"},
            "digest": hmac.digest(key, safe, "sha256"),
        },
        "mac_salt": salt,
        "iterations": _ROUNDS,
    }
    written: bytes = pkcs12.Pfx({"version": "v3", "auth_safe": _data(safe), "mac_data": mac}).dump()
    return written


def _data(content: bytes) -> Any:
    return cms.ContentInfo({"content_type": "data", "content": core.OctetString(content)})


def _bag(alias: str, secret: bytes, password: str, random: Random) -> Any:
    value = pkcs12.SecretBag()
    value["secret_type_id"] = SHROUDED_BAG
    value["secret_value"] = core.OctetString(_shrouded(secret, password, random))
    name = {"type": "friendly_name", "values": [core.BMPString(alias)]}
    return pkcs12.SafeBag({"bag_id": "secret_bag", "bag_value": value, "bag_attributes": [name]})


class _SecretInfo(core.Sequence):
    """A PrivateKeyInfo whose key is no structure but the secret itself."""

    _fields = [  # noqa: RUF012 - asn1crypto's way
        ("version", core.Integer),
        ("algorithm", keys.PrivateKeyAlgorithm),
        ("secret", core.OctetString),
    ]


def _shrouded(secret: bytes, password: str, random: Random) -> bytes:
    info = _SecretInfo({"version": 0, "algorithm": {"algorithm": _AES}, "secret": secret}).dump()
    salt, iv = random(_SALT), random(_IV)
    key = PBKDF2HMAC(hashes.SHA256(), _KEY, salt, _ROUNDS).derive(password.encode())
    padder, encryptor = PKCS7(_AES_BITS).padder(), Cipher(AES(key), CBC(iv)).encryptor()
    data = encryptor.update(padder.update(info) + padder.finalize()) + encryptor.finalize()
    derivation = {
        "algorithm": "pbkdf2",
        "parameters": {
            "salt": algos.Pbkdf2Salt("specified", salt),
            "iteration_count": _ROUNDS,
            "key_length": _KEY,
            "prf": {"algorithm": "sha256"},
        },
    }
    scheme = {"algorithm": "aes256_cbc", "parameters": iv}
    algorithm = {
        "algorithm": "pbes2",
        "parameters": {"key_derivation_func": derivation, "encryption_scheme": scheme},
    }
    shrouded: bytes = pkcs12.EncryptedPrivateKeyInfo(
        {"encryption_algorithm": algorithm, "encrypted_data": data}
    ).dump()
    return shrouded
