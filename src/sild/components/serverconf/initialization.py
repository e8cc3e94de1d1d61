"""The first acts: the server gets its owner and code, its token a PIN, its backups a key (SP-01).

What is there already is not given again, so that what was interrupted can be finished.
"""

import asyncio
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from sild.components.serverconf.clients import put_server
from sild.components.serverconf.initialization_errors import (
    AlreadyInitialized,
    AnchorNotImported,
    InvalidInitParameters,
    PinCharacters,
    TokenNotMade,
    WeakPin,
)
from sild.components.serverconf.ports import World
from sild.components.serverconf.store import ConfigurationStore
from sild.model.tokens import SOFT_TOKEN_ID, Token
from sild.protocol.errors import ProtocolError
from sild.protocol.globalconf.lookup import GlobalConf
from sild.protocol.ids import ClientId, SecurityServerId
from sild.runtime.rpc import RpcError

_LOG = logging.getLogger(__name__)
_POLICY = frozenset({"token_pin_policy_failure", "token_weak_pin", "invalid_characters_pin"})
_WANTED = ("pin_min_length", "10", "pin_min_char_classes_count", "3")


class TokenInitStatus(Enum):
    """Whether the software token has a PIN; unknown while the signer does not answer."""

    INITIALIZED = "INITIALIZED"
    NOT_INITIALIZED = "NOT_INITIALIZED"
    UNKNOWN = "UNKNOWN"


class Anchors(Protocol):
    """The configuration anchor."""

    async def is_imported(self) -> bool:
        """Whether there is one."""
        ...


class SoftwareToken(Protocol):
    """The signer, as far as its software token is concerned."""

    async def tokens(self) -> tuple[Token, ...]:
        """Every token."""
        ...

    async def initialize(self, pin: str) -> None:
        """Set the software token's PIN, once."""
        ...


class BackupKeys(Protocol):
    """Where the key of backups is made."""

    async def make_key(self, name: str) -> None:
        """Make a key of this name, unless there is one."""
        ...


@dataclass(frozen=True, slots=True)
class InitializationPorts:
    """What the use case needs of the rest of the server."""

    anchors: Anchors
    world: World
    token: SoftwareToken
    backup_keys: BackupKeys
    enforces_pin_policy: bool = True
    """Whether the signer refuses PINs that are easy to guess, as its settings say."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be made; nothing where it is there already."""

    member_class: str | None = None
    member_code: str | None = None
    server_code: str | None = None
    pin: str | None = None


@dataclass(frozen=True, slots=True)
class InitializationStatus:
    """What was made."""

    anchor_imported: bool
    server: SecurityServerId | None
    token: TokenInitStatus
    enforces_pin_policy: bool

    @property
    def is_complete(self) -> bool:
        """Whether server and token are there."""
        return self.server is not None and self.token is TokenInitStatus.INITIALIZED


class InitializationWarning(Enum):
    """What may be so, and is rather not."""

    SERVER_CODE_EXISTS = "init_servercode_exists"
    OWNER_EXISTS = "init_server_owner_exists"
    TOKEN_INITIALIZED = "init_software_token_initialized"  # noqa: S105 - a name, no secret
    UNREGISTERED_MEMBER = "init_unregistered_member"
    SERVER_ID_EXISTS = "init_server_id_exists"


@dataclass(frozen=True, slots=True)
class Warned:
    """A warning, and the identifier that it speaks of."""

    warning: InitializationWarning
    about: str | None = None


class Initialization:
    """The use case."""

    def __init__(self, store: ConfigurationStore, ports: InitializationPorts) -> None:
        self._store = store
        self._ports = ports
        self._changing = asyncio.Lock()

    async def status(self) -> InitializationStatus:
        """What was made, and what was not."""
        imported = await self._ports.anchors.is_imported()
        async with self._store.reading() as conf:
            server = await conf.find_server()
        enforces = self._ports.enforces_pin_policy
        return InitializationStatus(imported, server, await self._token(), enforces)

    async def plan(self, wanted: Wanted) -> SecurityServerId:
        """Which security server this is to be.

        Raises AnchorNotImported, AlreadyInitialized, InvalidInitParameters, TokenNotMade and what
        the global configuration does.
        """
        status = await self.status()
        _check_possible(status)
        if lacking := list(_lacking(status, wanted)):
            raise InvalidInitParameters("what is given is missing or superfluous", *lacking)
        if status.server is not None:
            return status.server
        instance = self._ports.world.global_conf().instance
        owner = ClientId(instance, wanted.member_class or "", wanted.member_code or "")
        return SecurityServerId(owner, wanted.server_code or "")

    async def warnings(self, planned: SecurityServerId) -> tuple[Warned, ...]:
        """What to think of before this is made."""
        status = await self.status()
        return tuple(_warnings(status, planned, self._ports.world.global_conf()))

    async def initialize(self, wanted: Wanted) -> SecurityServerId:
        """Make what is not there yet.

        Raises what `plan` does, WeakPin, PinCharacters and what making the key of backups does.
        """
        async with self._changing:
            planned = await self.plan(wanted)
            # The database last, as only it can take back what it did.
            if wanted.pin is not None:
                await self._initialize_token(wanted.pin)
            await self._ports.backup_keys.make_key(planned.short)
            async with self._store.transaction() as conf:
                await put_server(conf, planned)
            return planned

    async def _token(self) -> TokenInitStatus:
        try:
            tokens = await self._ports.token.tokens()
        except (ProtocolError, RpcError) as error:
            _LOG.warning("the signer cannot say whether its token is initialised: %s", error)
            return TokenInitStatus.UNKNOWN
        made = any(token.id == SOFT_TOKEN_ID and token.initialized for token in tokens)
        return TokenInitStatus.INITIALIZED if made else TokenInitStatus.NOT_INITIALIZED

    async def _initialize_token(self, pin: str) -> None:
        try:
            await self._ports.token.initialize(pin)
        except ProtocolError as error:
            if error.code not in _POLICY:
                raise TokenNotMade(f"the software token is not made: {error.message}") from error
            if not (pin.isascii() and pin.isprintable()):
                raise PinCharacters(error.message) from error
            raise WeakPin(error.message, *_WANTED) from error
        except RpcError as error:
            raise TokenNotMade(f"the signer does not answer: {error}") from error


def _check_possible(status: InitializationStatus) -> None:
    if not status.anchor_imported:
        raise AnchorNotImported("the security server has no configuration anchor yet")
    if status.is_complete:
        raise AlreadyInitialized(f"the security server is initialised: it is {status.server}")
    if status.token is TokenInitStatus.UNKNOWN:
        raise TokenNotMade("the signer cannot say whether its token is initialised")


def _lacking(status: InitializationStatus, wanted: Wanted) -> Iterator[str]:
    """What is missing though it is not there yet, and what is given though it is."""
    has_server = status.server is not None
    has_token = status.token is TokenInitStatus.INITIALIZED
    for name, value, exists in (
        ("server_code", wanted.server_code, has_server),
        ("member_class", wanted.member_class, has_server),
        ("member_code", wanted.member_code, has_server),
        ("pin_code", wanted.pin, has_token),
    ):
        if exists and value is not None:
            yield f"{name}_exists"
        elif not exists and value is None:
            yield f"{name}_not_provided"


def _warnings(
    status: InitializationStatus, planned: SecurityServerId, conf: GlobalConf
) -> Iterable[Warned]:
    if status.server is not None:
        yield Warned(InitializationWarning.SERVER_CODE_EXISTS)
        yield Warned(InitializationWarning.OWNER_EXISTS)
    if status.token is TokenInitStatus.INITIALIZED:
        yield Warned(InitializationWarning.TOKEN_INITIALIZED)
    if status.server is None:
        if not conf.find_member_name(planned.owner):
            yield Warned(InitializationWarning.UNREGISTERED_MEMBER, planned.owner.short)
        if conf.server(planned) is not None:
            yield Warned(InitializationWarning.SERVER_ID_EXISTS, planned.short)
