"""tidy: a heal that nobody acts for any more is ended; its lock is freed when nothing can still happen."""

import pytest

from bmc_healer.errors import UnknownHostError
from bmc_healer.verbs.begin_heal import begin_heal
from bmc_healer.verbs.tidy import tidy
from tests.unit.verbs import config, locks, runtime

OVERDUE_SECONDS = 121.0


@pytest.fixture
def removed():
    """A heal of db01 has died, and db01 was taken out of the configuration."""
    rt = runtime()
    rt.ref_of_db01 = rt.ref({"host": "db01", "incident": begin_heal(rt, {"host": "db01"})["incident"]})
    rt.clock.sleep(OVERDUE_SECONDS)
    after = runtime(config({"db02": {"transport": "local"}}), rt.datastore, rt.clock)
    after.before = rt
    return after


def test_a_host_that_is_not_configured_any_more_is_let_go(removed):
    ended = tidy(removed, {"host": "DB01"})
    assert ended["freed"], ended["sentence"]
    assert locks(removed) == ()
    assert removed.state.incident(removed.before.ref_of_db01.incident)["outcome"] == "refused"


def test_such_a_host_is_held_while_something_may_run_on_it_until_a_person_says_that_it_is_gone(removed):
    before, limit = removed.before, removed.clock() + 60
    with before.state.deed(before.ref_of_db01, "unload", limit) as deed:
        deed.may_send()
    removed.clock.sleep(OVERDUE_SECONDS)
    ended = tidy(removed, {"host": "db01"})
    assert not ended["freed"]
    assert "not configured any more" in ended["sentence"] and "host_is_gone" in ended["sentence"]
    assert tidy(removed, {"host": "db01", "host_is_gone": True})["freed"]
    assert locks(removed) == ()


def test_a_host_that_is_neither_configured_nor_held_is_unknown(removed):
    with pytest.raises(UnknownHostError):
        tidy(removed, {"host": "db03"})
