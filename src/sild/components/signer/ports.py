"""What the signer needs of devices that hold keys, and its side in control of responders."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from sild.model.snapshot import ServerSnapshot
from sild.model.tokens import SOFT_TOKEN_TYPE, KeyAlgorithm, TokenStatus
from sild.protocol.algorithms import SignatureAlgorithm
from sild.protocol.errors import ProtocolError
from sild.protocol.globalconf.lookup import GlobalConf
from sild.protocol.ids import ClientId


class World(Protocol):
    """The global configuration and the server's own, as they are now."""

    def global_conf(self) -> GlobalConf:
        """What is valid now; raises GlobalConfOutdated where nothing is."""
        ...

    def snapshot(self) -> ServerSnapshot:
        """The server's identity and clients; raises a refusal where there are none yet."""
        ...


def local_members(world: World) -> frozenset[ClientId]:
    """The server's owner, and the members that are clients or have subsystems that are."""
    snapshot = world.snapshot()
    return frozenset({snapshot.server.owner, *(client.id.member for client in snapshot.clients)})


class OcspFetcher(Protocol):
    """Asks responders over HTTP."""

    async def fetch_ocsp(self, url: str, request: bytes) -> bytes:
        """The body that a responder answers to `application/ocsp-request`.

        Raises a ProtocolError (NetworkError, HttpError, IoError) where there is none.
        """
        ...


Note = Callable[[str, ProtocolError | None], None]
"""Is told of each answer of a responder at an address: nothing wrong with it, or what was."""


@dataclass(frozen=True, slots=True)
class MadeKey:
    """A key that was made or found; `public_key` is SubjectPublicKeyInfo in DER."""

    id: str
    public_key: bytes


@dataclass(frozen=True, slots=True)
class FoundKey:
    """A key on a device, whoever made it."""

    id: str
    label: str
    algorithm: KeyAlgorithm
    public_key: bytes


@dataclass(frozen=True, slots=True)
class FoundCertificate:
    """A certificate on a device, with the id of the key that it belongs to."""

    key_id: str
    certificate: bytes


@dataclass(frozen=True, slots=True)
class DeviceState:
    """What is known of a device now; see `model.tokens.Token`.

    `keys` is None where it is not known which keys are on the device: nobody has logged in.
    """

    status: TokenStatus
    logged_in: bool
    available_keys: frozenset[str] = frozenset()
    type: str = SOFT_TOKEN_TYPE
    label: str = ""
    available: bool = True
    read_only: bool = False
    batch_signing: bool = True
    rsa_pss: bool = False
    serial_number: str | None = None
    device_label: str | None = None
    slot_index: int = 0
    details: tuple[tuple[str, str], ...] = ()
    keys: tuple[FoundKey, ...] | None = None
    certificates: tuple[FoundCertificate, ...] = ()


class TokenDevice(Protocol):
    """One token. Its methods may be called at any time, and none blocks the event loop."""

    def state(self) -> DeviceState:
        """What is known of it now."""
        ...

    async def login(self, pin: str) -> None:
        """Open the keys; raises PinIncorrect, PinLocked, TokenUnavailable."""
        ...

    async def logout(self) -> None:
        """Close the keys, and forget the PIN."""
        ...

    async def change_pin(self, old: str, new: str) -> None:
        """Let the keys be opened by another PIN; nobody is logged in afterwards."""
        ...

    async def generate(self, label: str, algorithm: KeyAlgorithm) -> MadeKey:
        """Make a key, which is durable when this returns."""
        ...

    async def delete(self, key_id: str) -> None:
        """Remove a key for good, with the certificates that the device holds of it."""
        ...

    async def delete_certificate(self, key_id: str, certificate: bytes) -> None:
        """Remove a certificate from the device."""
        ...

    async def sign(self, key_id: str, digest: bytes, algorithm: SignatureAlgorithm) -> bytes:
        """The signature over a digest: the raw value of RSA, or ECDSA in DER."""
        ...

    async def close(self) -> None:
        """Let go of the device."""
        ...
