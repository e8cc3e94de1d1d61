"""The maintenance mode of a security server: its states and the allowed moves.

    DISABLED ──enable──► PENDING_ENABLE ──shows──► ENABLED
       ▲                                             │
       └────shows──── PENDING_DISABLE ◄──disable─────┘

What an administrator asks for is pending until the global configuration shows it. The Central
Server may also change the mode by itself, which only the two settled states follow.
"""

from collections.abc import Mapping
from enum import Enum

from sild.model.services import InvalidMove


class MaintenanceState(Enum):
    """Whether a server is in maintenance, or about to change that."""

    DISABLED = "DISABLED_MAINTENANCE_MODE"
    PENDING_ENABLE = "PENDING_ENABLE_MAINTENANCE_MODE"
    ENABLED = "ENABLED_MAINTENANCE_MODE"
    PENDING_DISABLE = "PENDING_DISABLE_MAINTENANCE_MODE"


class MaintenanceEvent(Enum):
    """What happens to the maintenance mode."""

    ENABLE = "be enabled"
    DISABLE = "be disabled"
    SHOWN_ENABLED = "be shown enabled"
    SHOWN_DISABLED = "be shown disabled"


_S, _E = MaintenanceState, MaintenanceEvent

MAINTENANCE_MOVES: Mapping[tuple[MaintenanceState, MaintenanceEvent], MaintenanceState] = {
    (_S.DISABLED, _E.ENABLE): _S.PENDING_ENABLE,
    (_S.PENDING_ENABLE, _E.SHOWN_ENABLED): _S.ENABLED,
    (_S.ENABLED, _E.DISABLE): _S.PENDING_DISABLE,
    (_S.PENDING_DISABLE, _E.SHOWN_DISABLED): _S.DISABLED,
    (_S.PENDING_ENABLE, _E.SHOWN_DISABLED): _S.PENDING_ENABLE,
    (_S.PENDING_DISABLE, _E.SHOWN_ENABLED): _S.PENDING_DISABLE,
    (_S.DISABLED, _E.SHOWN_ENABLED): _S.ENABLED,
    (_S.ENABLED, _E.SHOWN_DISABLED): _S.DISABLED,
    (_S.DISABLED, _E.SHOWN_DISABLED): _S.DISABLED,
    (_S.ENABLED, _E.SHOWN_ENABLED): _S.ENABLED,
}

PENDING = frozenset({_S.PENDING_ENABLE, _S.PENDING_DISABLE})
"""The states in which a request is under way."""


def maintenance_after(state: MaintenanceState, event: MaintenanceEvent) -> MaintenanceState:
    """The state after an event; raises InvalidMove where it may not happen."""
    try:
        return MAINTENANCE_MOVES[state, event]
    except KeyError:
        raise InvalidMove(
            f"a maintenance mode that is {state.value} cannot {event.value}"
        ) from None


def maintenance_shown(*, enabled: bool) -> MaintenanceEvent:
    """What the global configuration says of the mode, as an event."""
    return _E.SHOWN_ENABLED if enabled else _E.SHOWN_DISABLED
