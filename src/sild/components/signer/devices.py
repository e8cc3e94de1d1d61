"""Which PKCS #11 devices there are: a TOML file, one section a device, its name the token type.

    [hsm]
    library = "/usr/lib/softhsm/libsofthsm2.so"
    rsa-sign-mechanism = "CKM_RSA_PKCS"

The parameters are those of the reference's `devices.ini`, as far as they mean something here, and
a few of our own.
"""

import dataclasses
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated

from sild.model.tokens import SOFT_TOKEN_TYPE
from sild.runtime.files import FileTooLarge, read_bounded
from sild.runtime.settings import Between, SettingsError, read_settings

_LARGEST_FILE = 1024 * 1024
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_TOKEN_ID_FORMAT = "{moduleType}{slotIndex}{serialNumber}{label}"  # noqa: S105 - no secret
_PLACEHOLDERS = frozenset({"moduleType", "slotIndex", "serialNumber", "label"})


class RsaMechanism(Enum):
    """How an RSA key of a device signs."""

    PKCS1 = "CKM_RSA_PKCS"
    PSS = "CKM_RSA_PKCS_PSS"


class EcMechanism(Enum):
    """How an EC key of a device signs."""

    ECDSA = "CKM_ECDSA"


MECHANISMS: Mapping[str, int] = {
    "CKM_RSA_PKCS": 0x01,
    "CKM_RSA_PKCS_PSS": 0x0D,
    "CKM_SHA256_RSA_PKCS": 0x40,
    "CKM_SHA384_RSA_PKCS": 0x41,
    "CKM_SHA512_RSA_PKCS": 0x42,
    "CKM_SHA256_RSA_PKCS_PSS": 0x43,
    "CKM_SHA384_RSA_PKCS_PSS": 0x44,
    "CKM_SHA512_RSA_PKCS_PSS": 0x45,
    "CKM_ECDSA": 0x1041,
    "CKM_ECDSA_SHA256": 0x1044,
    "CKM_ECDSA_SHA384": 0x1045,
    "CKM_ECDSA_SHA512": 0x1046,
}
"""What the lists of allowed mechanisms may name."""


@dataclass(frozen=True, slots=True)
class DeviceSettings:
    """One device. An attribute that is not set is left to the device."""

    library: Path
    """The driver: a shared library with PKCS #11."""
    enabled: bool = True
    library_cant_create_os_threads: bool = False
    """Whether the library must start no threads of its own."""
    os_locking_ok: bool = True
    """Whether several threads may use the library at a time; without, one after the other does."""
    slot_ids: tuple[str, ...] = ()
    """The slots to look at, by number; none means all."""
    token_id_format: str = _TOKEN_ID_FORMAT
    """What makes a token's id. Without the slot, either of two alike tokens will do."""
    sign_verify_pin: bool = False
    """Whether each signature needs the PIN again, as qualified cards want it."""
    batch_signing_enabled: bool = True
    read_only: bool = False
    rsa_sign_mechanism: RsaMechanism = RsaMechanism.PKCS1
    ec_sign_mechanism: EcMechanism = EcMechanism.ECDSA
    pub_key_attribute_encrypt: bool | None = False
    pub_key_attribute_verify: bool | None = True
    pub_key_attribute_verify_recover: bool | None = None
    pub_key_attribute_wrap: bool | None = False
    pub_key_attribute_trusted: bool | None = None
    pub_key_attribute_allowed_mechanisms: tuple[str, ...] = ()
    priv_key_attribute_sensitive: bool | None = True
    priv_key_attribute_decrypt: bool | None = False
    priv_key_attribute_sign: bool | None = True
    priv_key_attribute_sign_recover: bool | None = None
    priv_key_attribute_unwrap: bool | None = False
    priv_key_attribute_extractable: bool | None = False
    priv_key_attribute_wrap_with_trusted: bool | None = None
    priv_key_attribute_allowed_mechanisms: tuple[str, ...] = ()
    sessions: Annotated[int, Between(1, 64)] = 4
    """Signatures made at a time on each token, where the library allows it."""
    operation_timeout: Annotated[float, Between(0.1, 600)] = 10.0
    """How long the device may take for a signature, in seconds."""

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        for slot in self.slot_ids:
            if not slot.isdecimal():
                raise ValueError(f"slot-ids has {slot!r}, which is no number of a slot.")
        for name in (
            *self.pub_key_attribute_allowed_mechanisms,
            *self.priv_key_attribute_allowed_mechanisms,
        ):
            if name not in MECHANISMS:
                raise ValueError(f"{name!r} is no mechanism for keys that sign.")
        unknown = set(re.findall(r"\{([^{}]*)\}", self.token_id_format)) - _PLACEHOLDERS
        if unknown or not self.token_id_format:
            raise ValueError(f"token-id-format is {self.token_id_format!r}.")

    def token_id(self, places: Mapping[str, str]) -> str:
        """The id of a token, in hexadecimal as it stands in addresses."""
        text = self.token_id_format
        for name in _PLACEHOLDERS:
            text = text.replace(f"{{{name}}}", places[name])
        return text.encode().hex()


def read_devices(path: Path) -> Mapping[str, DeviceSettings]:
    """The enabled devices by name; none where there is no file. Raises SettingsError."""
    try:
        names = tuple(tomllib.loads(read_bounded(path, _LARGEST_FILE).decode()))
    except FileNotFoundError:
        return {}
    except (OSError, FileTooLarge, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError([f"{path} cannot be read: {error}."]) from error
    wrong = [name for name in names if not _NAME.fullmatch(name) or name == SOFT_TOKEN_TYPE]
    fields = {name.replace("-", "_") for name in names}
    if wrong or len(fields) < len(names):
        raise SettingsError([f"{path}: no device can be called {', '.join(wrong or names)}."])
    sections = dataclasses.make_dataclass(
        "Devices", [(name.replace("-", "_"), DeviceSettings) for name in names], frozen=True
    )
    read: object = read_settings(sections, path, {})
    devices = {name: getattr(read, name.replace("-", "_")) for name in names}
    return {name: device for name, device in devices.items() if device.enabled}
