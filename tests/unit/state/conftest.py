import pytest

from bmc_healer.state.heal_state import HealState


@pytest.fixture
def state(datastore, clock):
    return HealState(datastore, clock=clock, steady=clock, sleep=clock.sleep, owner="st2a")


@pytest.fixture
def claim(state, clock):
    """Take a lock with no guardrails in the way."""

    def take(host="db01", bmc="10.1.0.1:623", incident=None, execution="", labels=(), using=state, **more):
        return using.claim(
            host=host,
            bmc_address=bmc,
            incident=incident or state.new_incident_id(host, clock()),
            execution=execution,
            label_keys=labels,
            settle_seconds=2.0,
            decide=lambda fleet, host: None,
            **more,
        )

    return take
