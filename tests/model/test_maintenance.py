import pytest

from sild.model.maintenance import (
    MAINTENANCE_MOVES,
    MaintenanceEvent,
    MaintenanceState,
    maintenance_after,
    maintenance_shown,
)
from sild.model.services import InvalidMove

S, E = MaintenanceState, MaintenanceEvent
ALLOWED = {
    (S.DISABLED, E.ENABLE): S.PENDING_ENABLE,
    (S.ENABLED, E.DISABLE): S.PENDING_DISABLE,
    (S.PENDING_ENABLE, E.SHOWN_ENABLED): S.ENABLED,
    (S.PENDING_DISABLE, E.SHOWN_DISABLED): S.DISABLED,
    # Not shown yet.
    (S.PENDING_ENABLE, E.SHOWN_DISABLED): S.PENDING_ENABLE,
    (S.PENDING_DISABLE, E.SHOWN_ENABLED): S.PENDING_DISABLE,
    # Nothing was asked for: what is shown holds.
    (S.DISABLED, E.SHOWN_DISABLED): S.DISABLED,
    (S.DISABLED, E.SHOWN_ENABLED): S.ENABLED,
    (S.ENABLED, E.SHOWN_ENABLED): S.ENABLED,
    (S.ENABLED, E.SHOWN_DISABLED): S.DISABLED,
}


@pytest.mark.parametrize("event", E)
@pytest.mark.parametrize("state", S)
def test_each_event_in_each_state_leads_where_the_table_says_or_is_refused(state, event):
    if (state, event) in ALLOWED:
        assert maintenance_after(state, event) is ALLOWED[state, event]
    else:
        with pytest.raises(InvalidMove):
            maintenance_after(state, event)


def test_every_state_is_reached_and_left():
    assert {after for _, after in MAINTENANCE_MOVES.items()} == set(S)
    for state in S:
        assert any(before is state is not after for (before, _), after in ALLOWED.items())


def test_what_is_shown_is_an_event():
    assert maintenance_shown(enabled=True) is E.SHOWN_ENABLED
    assert maintenance_shown(enabled=False) is E.SHOWN_DISABLED
