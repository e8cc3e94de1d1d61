"""What an administrator must be told of as long as it lasts (DG-09)."""

import logging
from dataclasses import dataclass
from datetime import datetime

from sild.components.diagnostics.ports import BackupWork, Tokens, World
from sild.model.tokens import SOFT_TOKEN_ID
from sild.protocol.errors import ProtocolError
from sild.runtime.clock import Clock
from sild.runtime.rpc import RpcError

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AlertState:
    """What there is to tell; a check that could not be made says so."""

    now: datetime
    global_conf_valid: bool
    pin_entered: bool
    pin_known: bool
    """Whether the signer said so."""
    backup_since: datetime | None = None
    """Since when a backup or restoration runs."""


class Alerts:
    """Tells what is wrong; somebody may no longer want to hear of a backup that runs."""

    def __init__(self, world: World, keys: Tokens, work: BackupWork, clock: Clock) -> None:
        self._world = world
        self._keys = keys
        self._work = work
        self._clock = clock
        self._dismissed: datetime | None = None

    async def alerts(self) -> AlertState:
        """What is wrong now."""
        since = self._work.running_since()
        if since is not None and since == self._dismissed:
            since = None
        # The signer may be away while a configuration is restored.
        entered = None if since is not None else await self._find_pin_entered()
        return AlertState(
            self._clock.now(),
            self._is_global_conf_valid(),
            bool(entered),
            entered is not None,
            since,
        )

    def dismiss_backup(self) -> None:
        """Tell no more of the backup or restoration that runs now."""
        self._dismissed = self._work.running_since()

    def _is_global_conf_valid(self) -> bool:
        try:
            self._world.global_conf()
        except ProtocolError:
            return False
        return True

    async def _find_pin_entered(self) -> bool | None:
        """Whether the software token is open; None where nobody can say."""
        try:
            tokens = await self._keys.tokens()
        except (RpcError, ProtocolError) as error:
            _LOG.warning("the signer does not tell of its tokens: %s", error)
            return None
        return next((token.logged_in for token in tokens if token.id == SOFT_TOKEN_ID), None)
