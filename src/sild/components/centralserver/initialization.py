"""The first acts: an instance gets its identifier, this node its address and its token's PIN.

Each of the three is made if it is not there yet, so that a node joins an instance that is there,
and what was interrupted can be asked for again (CI-01).
"""

import logging
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from sild.components.centralserver.ports import Keys
from sild.components.centralserver.registry_rows import RegistryRows
from sild.components.centralserver.registry_turns import changing
from sild.components.centralserver.system import (
    Node,
    Parameter,
    check_address,
    check_instance,
    default_of,
    put_missing_parameter,
    read_parameters,
)
from sild.components.centralserver.system_errors import (
    AlreadyInitialized,
    PinCharacters,
    TokenNotMade,
    WeakPin,
)
from sild.model.tokens import SOFT_TOKEN_ID
from sild.protocol.errors import ProtocolError
from sild.runtime.clock import Clock
from sild.runtime.database import Database
from sild.runtime.rpc import RpcError

_LOG = logging.getLogger(__name__)
_WEAK = frozenset({"token_weak_pin", "invalid_characters_pin"})
_WANTED = ("tr.pin_min_length", "10", "tr.pin_min_char_classes_count", "3")
# What the table shows, so that operators find what they may change (CI-07).
_SHOWN = (
    Parameter.AUTH_CERT_REG_URL,
    Parameter.SIGN_DIGEST,
    Parameter.HASH,
    Parameter.CERTIFICATE_HASH,
    Parameter.OWNERS_GROUP,
)


class TokenInitStatus(Enum):
    """Whether the software token has a PIN; unknown while the signer does not answer."""

    INITIALIZED = "INITIALIZED"
    NOT_INITIALIZED = "NOT_INITIALIZED"
    UNKNOWN = "UNKNOWN"


class BackupKeys(Protocol):
    """Where the key of backups is made."""

    async def make_key(self, name: str) -> None:
        """Make a key of this name, unless there is one."""
        ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be made."""

    instance: str
    address: str
    pin: str


@dataclass(frozen=True, slots=True)
class InitializationStatus:
    """What was made; blank text is what was not."""

    instance: str
    address: str
    token: TokenInitStatus

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to be made."""
        return bool(self.instance and self.address) and self.token is TokenInitStatus.INITIALIZED


@dataclass(frozen=True, slots=True)
class Initialization:
    """The use case."""

    database: Database
    node: Node
    keys: Keys
    backup_keys: BackupKeys
    clock: Clock

    async def status(self) -> InitializationStatus:
        """What was made, and what was not."""
        async with self.database.reading() as connection:
            parameters = await read_parameters(connection, self.node)
        return InitializationStatus(parameters.instance, parameters.address, await self._token())

    async def initialize(self, wanted: Wanted) -> None:
        """Make what is not there yet; what is there stays, whatever is wanted.

        Raises InvalidInstance, InvalidAddress, AlreadyInitialized, WeakPin, PinCharacters,
        TokenNotMade and what making the key of backups raises.
        """
        check_instance(wanted.instance)
        check_address(wanted.address)
        status = await self.status()
        if status.is_complete:
            raise AlreadyInitialized("the Central Server is initialised already")
        # The database last, as only it can take back what it did.
        if status.token is not TokenInitStatus.INITIALIZED:
            await self._initialize_token(wanted.pin)
        await self.backup_keys.make_key(status.instance or wanted.instance)
        async with changing(self.database) as connection:
            await put_missing_parameter(connection, self.node, Parameter.INSTANCE, wanted.instance)
            await put_missing_parameter(connection, self.node, Parameter.ADDRESS, wanted.address)
            for parameter in _SHOWN:
                value = default_of(parameter, self.node)
                await put_missing_parameter(connection, self.node, parameter, value)
            await RegistryRows(connection, self.clock.now()).groups.hold_owners()

    async def _token(self) -> TokenInitStatus:
        try:
            tokens = await self.keys.tokens()
        except (ProtocolError, RpcError) as error:
            _LOG.warning("the signer cannot say whether its token is initialised: %s", error)
            return TokenInitStatus.UNKNOWN
        made = any(token.id == SOFT_TOKEN_ID and token.initialized for token in tokens)
        return TokenInitStatus.INITIALIZED if made else TokenInitStatus.NOT_INITIALIZED

    async def _initialize_token(self, pin: str) -> None:
        try:
            await self.keys.initialize(pin)
        except ProtocolError as error:
            if error.code not in _WEAK:
                raise TokenNotMade(f"the software token is not made: {error.message}") from error
            if not (pin.isascii() and pin.isprintable()):
                raise PinCharacters(error.message) from error
            raise WeakPin(error.message, *_WANTED) from error
        except RpcError as error:
            raise TokenNotMade(f"the signer does not answer: {error}") from error
