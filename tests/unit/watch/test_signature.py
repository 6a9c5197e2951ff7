import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmc_healer.config.settings import WatchSettings
from bmc_healer.watch.signature import judge, window
from bmc_healer.watch.snapshot import Counters, Thread

from .samples import (
    FIRST,
    IDLE,
    POLLED,
    SLOW,
    STUCK,
    STUCK_BY_INTERRUPT,
    STUCK_LEGACY,
    after,
    client,
    series,
)

SETTINGS = WatchSettings()
HUNG = {"clients": [client()]}


@pytest.mark.parametrize(
    ("windows", "signature", "loaded"),
    [
        ([IDLE] * 12, None, False),
        ([POLLED] * 12, None, True),
        ([SLOW] * 12, None, True),
        ([SLOW | HUNG] * 12, None, True),  # a client of a slow BMC is old as well
        ([STUCK] * 2, None, True),
        ([STUCK] * 3, "stuck_counters", True),
        ([POLLED, STUCK, STUCK, POLLED, STUCK, STUCK], None, True),  # something completed in between
        ([STUCK | {"seconds": 30.0}], "stuck_counters", True),  # an ordinary poll is three windows
        ([STUCK_BY_INTERRUPT] * 3, "stuck_counters", False),
        ([STUCK_LEGACY] * 3, "stuck_counters", True),
        ([STUCK, STUCK | {"hosed": 1}], "hosed_count", True),
        ([POLLED | {"hosed": 1}, STUCK], None, True),  # given up before something completed
        ([{"kipmi": 95.0, "completed": 40}] * 5, None, True),
        ([{"kipmi": 95.0, "completed": 40}] * 6, "high_mark", True),
        ([{"kipmi": 95.0, "completed": 40}] * 5 + [POLLED], None, True),
        ([IDLE | HUNG] * 3, "hung_clients", False),
        ([IDLE | HUNG] * 2, None, False),
        ([IDLE | {"clients": [client(state="D", wchan="wait_for_msg_done")]}] * 3, "hung_clients", False),
        ([IDLE | {"clients": [client(wchan="n_tty_read")]}] * 3, None, False),
        ([IDLE | {"clients": [client(age=59.0)]}] * 3, None, False),
        ([IDLE | {"clients": [client(kind="console")]}] * 3, None, False),
        ([IDLE | {"clients": [client(inband=False)]}] * 3, None, False),
    ],
)
def test_the_rules(windows, signature, loaded):
    look = judge(series(*windows), SETTINGS)
    assert (look.signature, look.loaded) == (signature, loaded)


def test_a_stuck_window_is_looked_at_closely_and_an_honest_one_is_not():
    assert judge(series(POLLED, STUCK), SETTINGS).suspicious
    assert judge(series(POLLED, {"kipmi": 95.0, "completed": 40}), SETTINGS).suspicious
    assert not judge(series(STUCK, SLOW), SETTINGS).suspicious


def test_one_sample_and_a_fresh_boot_say_nothing():
    assert judge(series(), SETTINGS) is None
    old = series(STUCK, STUCK, STUCK)
    rebooted = FIRST.__class__(**{**vars(FIRST), "boot_id": "another", "at": 12.0})
    assert judge([*old, rebooted], SETTINGS) is None
    assert judge([*old, rebooted, after(rebooted, **STUCK)], SETTINGS).signature is None


def test_without_a_driver_there_is_no_stuck_rule_but_clients_still_tell():
    bare = FIRST.__class__(**{**vars(FIRST), "kipmi": (), "counters": {}})
    look = judge(series(HUNG, HUNG, HUNG, first=bare), SETTINGS)
    assert look.signature == "hung_clients"
    assert look.window.completed is None
    assert judge(series(IDLE, IDLE, IDLE, first=bare), SETTINGS).signature is None


def test_a_reloaded_driver_counts_from_nought():
    before = after(FIRST, **STUCK)
    reloaded = FIRST.__class__(**{**vars(before), "at": 1020.0, "counters": {"ipmi0": Counters(7, 20, 0)}})
    assert window(before, reloaded).completed == 7


def test_a_new_thread_with_an_old_pid_is_another_thread():
    before = after(FIRST, **STUCK)
    other = FIRST.__class__(**{**vars(before), "at": 1020.0, "kipmi": (Thread(55, 9999, 5, "kipmi1"),)})
    assert window(before, other).kipmi_percent == 0.0


def test_several_interfaces_add_up():
    two = FIRST.__class__(
        **{**vars(FIRST), "counters": {"ipmi0": Counters(1, 1, 0), "ipmi1": Counters(1, 1, 0)}}
    )
    seen = window(two, after(two, completed=2, timeouts=5, hosed=1))
    assert (seen.completed, seen.timeouts, seen.hosed) == (4, 10, 2)


def test_a_pile_counts_beyond_the_detailed_ones():
    last = series(IDLE, IDLE, IDLE | {"clients": [client(pid=n) for n in range(64)]})
    last[-1] = FIRST.__class__(**{**vars(last[-1]), "client_count": 655})
    look = judge(last, SETTINGS)
    assert (look.clients, look.hung) == (655, 64)


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "seconds": st.floats(1, 60),
                "kipmi": st.floats(0, 100),
                "completed": st.integers(1, 50),
                "timeouts": st.integers(0, 2000),
            }
        ),
        min_size=1,
        max_size=12,
    )
)
def test_while_something_completes_only_the_high_mark_may_speak(windows):
    assert judge(series(*[w | HUNG for w in windows]), SETTINGS).signature in (None, "high_mark")
