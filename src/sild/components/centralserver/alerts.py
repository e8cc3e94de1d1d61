"""What an administrator must be told of as long as it lasts (CI-08)."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from sild.components.centralserver.cluster import Cluster
from sild.components.centralserver.ports import Keys
from sild.components.centralserver.system import System
from sild.model.tokens import SOFT_TOKEN_ID, Token
from sild.protocol.errors import ProtocolError
from sild.runtime.rpc import RpcError

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Alert:
    """A code that clients have a text for, and the moment that it speaks of."""

    code: str
    since: datetime | None = None


class ActiveKeys(Protocol):
    """Which keys sign the configuration."""

    async def active_keys(self) -> Mapping[str, str | None]:
        """The id of this node's active key of each source that is published.

        The sources are `internal` and, where other instances are federated with, `external`.
        """
        ...


@dataclass(frozen=True, slots=True)
class Alerts:
    """What is wrong with what generates configuration."""

    system: System
    cluster: Cluster
    keys: Keys
    active: ActiveKeys

    async def alerts(self) -> tuple[Alert, ...]:
        """What is wrong now; nothing as long as the server is not initialised."""
        try:
            tokens = await self.keys.tokens()
        except (ProtocolError, RpcError) as error:
            _LOG.warning("the signer does not tell of its tokens: %s", error)
            return (Alert("status.signer_error"),)
        parameters = await self.system.parameters()
        is_made = any(token.id == SOFT_TOKEN_ID and token.initialized for token in tokens)
        if not (is_made and parameters.is_set):
            return ()
        expires = timedelta(seconds=parameters.conf_expire_seconds)
        signing = (
            _signing_alert(source, key, tokens)
            for source, key in (await self.active.active_keys()).items()
        )
        found = (await self._generation_alert(expires), *signing)
        return tuple(alert for alert in found if alert is not None)

    async def _generation_alert(self, expires: timedelta) -> Alert | None:
        generation = await self.cluster.generation()
        if generation.failing_since is not None:
            return Alert("status.global_conf_generation.failing", generation.failing_since)
        if generation.generated is None:
            return Alert("status.global_conf_generation.status_not_found")
        if self.cluster.clock.now() - generation.generated > expires:
            return Alert("status.global_conf_generation.global_conf_expired")
        return None


def _signing_alert(source: str, key_id: str | None, tokens: tuple[Token, ...]) -> Alert | None:
    if key_id is None:
        return Alert(f"status.signing_key.{source}.missing")
    for token in tokens:
        if any(key.id == key_id for key in token.keys):
            if not token.logged_in:
                return Alert(f"status.signing_key.{source}.token_not_active")
            if key_id not in token.available_keys:
                return Alert(f"status.signing_key.{source}.key_not_available")
            return None
    return Alert(f"status.signing_key.{source}.token_not_found")
