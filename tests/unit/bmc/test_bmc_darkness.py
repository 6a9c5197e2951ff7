import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bmc_healer.bmc.darkness import DARK_SECONDS, Darkness, DarkPeriod

INTERVAL = 0.25
TICK = 0.01
Network = Callable[
    [float], float | None
]  # when a request was sent -> when its answer arrives, None for never


def watch(network: Network, seconds: float, darkness: Darkness | None = None) -> Darkness:
    """What the thread of LanWatch does, in simulated time."""
    darkness = darkness or Darkness()
    due = 0.0
    answers: list[tuple[float, int]] = []
    for step in range(round(seconds / TICK)):
        now = step * TICK
        for when, which in sorted(answers):
            if when <= now:
                darkness.answered(which, now)
                answers.remove((when, which))
        darkness.tick(now)
        if now >= due:
            sequence = darkness.next_sequence()
            darkness.asked(sequence, now)
            if (arrives := network(now)) is not None:
                answers.append((arrives, sequence))
            due = now + darkness.pause(INTERVAL, now)
        due = min(due, now + darkness.pause(INTERVAL, now))
    return darkness


def dark_between(start: float, end: float, latency: float = 0.001) -> Network:
    return lambda sent: None if start <= sent < end else sent + latency


@pytest.mark.parametrize("seconds", [1.1, 1.5, 2.0, 10.0, 60.0])
@pytest.mark.parametrize("start", [5.0, 5.1, 5.2])
def test_a_dark_period_is_found_from_last_to_first_answer(seconds, start):
    found = watch(dark_between(start, start + seconds), 80).periods
    assert len(found) == 1
    assert found[0].start == pytest.approx(start, abs=INTERVAL + 0.05)
    assert found[0].end == pytest.approx(start + seconds, abs=INTERVAL + 0.05)


@pytest.mark.parametrize("seconds", [0.1, 0.5, 0.7])
def test_a_short_gap_is_none(seconds):
    assert watch(dark_between(5, 5 + seconds), 20).periods == ()


def test_two_dark_periods():
    network = lambda sent: None if 5 <= sent < 8 or 20 <= sent < 30 else sent  # noqa: E731
    assert len(watch(network, 40).periods) == 2


@pytest.mark.parametrize("phase", range(0, 25, 2))
def test_a_second_reset_right_after_the_first_is_a_second_dark_period(phase):
    """The queued in-band reset: the BMC was there for 12 ms and the 0.2 s in which it acknowledges."""
    back = 8 + phase / 100
    network = lambda sent: None if 5 <= sent < back or back + 0.21 <= sent < 15 else sent  # noqa: E731
    assert len(watch(network, 20).periods) == 2


def test_who_was_seen_alive_by_another_can_go_dark_at_once():
    darkness = Darkness()
    darkness.known_alive(0.0)
    found = watch(dark_between(0, 5), 10, darkness)
    assert [round(period.start) for period in found.periods] == [0]
    assert found.periods[0].end >= 5


def test_that_it_was_seen_alive_by_another_is_no_answer():
    darkness = Darkness()
    darkness.known_alive(0.0)
    assert darkness.last_answer is None


def test_a_dark_period_that_lasts_is_open():
    darkness = watch(dark_between(5, 99), 20)
    assert darkness.dark
    assert darkness.periods[0].end is None


def test_who_never_answered_cannot_go_dark():
    assert watch(lambda sent: None, 30).periods == ()


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
@pytest.mark.parametrize("seed", range(5))
def test_loss_is_not_darkness(share, seed):
    dice = random.Random(seed)
    assert watch(lambda sent: None if dice.random() < share else sent + 0.001, 600).periods == ()


@pytest.mark.parametrize("share", [0.3, 0.5])
def test_darkness_is_seen_through_loss(share):
    dice = random.Random(1)
    network = lambda sent: None if 30 <= sent < 33 or dice.random() < share else sent  # noqa: E731
    found = watch(network, 60).periods
    assert len(found) == 1
    assert found[0].start <= 30 <= 33 <= found[0].end


@pytest.mark.parametrize("latency", [0.3, 1.5, 4.0])
def test_a_slow_bmc_is_not_dark(latency):
    assert watch(lambda sent: sent + latency, 30).periods == ()


def test_a_bmc_that_becomes_slow_is_not_dark_in_the_end():
    assert watch(lambda sent: sent + (0.001 if sent < 5 else 3.0), 30).periods == ()


def test_a_stall_whose_requests_are_all_answered_late_is_taken_back():
    stalled = watch(lambda sent: 8.0 if 5 <= sent < 8 else sent, 7.5)
    assert stalled.dark  # it looks like that while it lasts
    assert watch(lambda sent: 8.0 if 5 <= sent < 8 else sent, 20).periods == ()


@pytest.mark.parametrize("seconds", [3.0, 10.0, 30.0])
def test_a_stall_is_taken_back_however_long_it_was(seconds):
    end = 5 + seconds
    assert watch(lambda sent: end if 5 <= sent < end else sent, end + 10).periods == ()


def one_after_another(seconds: float, stall: tuple[float, float], queue: int = 64) -> Network:
    """A BMC that needs so long for each request, keeps a few, and stops for a while."""
    free, waiting = 0.0, []

    def network(sent):
        nonlocal free
        waiting[:] = [at for at in waiting if at > sent]
        if len(waiting) >= queue:
            return None
        free = max(free, sent) + seconds
        if stall[0] <= free < stall[1]:
            free = stall[1] + seconds
        waiting.append(free)
        return free

    return network


@pytest.mark.parametrize("stalled", [2.0, 5.0, 10.0])
@pytest.mark.parametrize("seconds", [0.05, 0.1, 0.2, 0.24])
def test_a_slow_bmc_that_stalled_is_not_dark_for_what_it_has_to_catch_up_with(seconds, stalled):
    watched = watch(one_after_another(seconds, (20.0, 20.0 + stalled)), 120)
    assert watched.periods == ()


def test_answers_of_before_that_arrive_in_the_dark_do_not_end_it():
    network = lambda sent: 8.0 if sent == 4.5 else None if 5 <= sent < 10 else sent  # noqa: E731
    found = watch(network, 20).periods
    assert len(found) == 1
    assert found[0].end >= 10


def test_duplicates_and_strangers_are_ignored():
    darkness = Darkness()
    darkness.asked(1, 0.0)
    darkness.answered(7, 0.1)
    assert darkness.last_answer is None
    darkness.answered(1, 0.2)
    darkness.answered(1, 5.0)
    assert darkness.last_answer == 0.2


def test_an_answer_that_nobody_waits_for_does_not_end_the_dark():
    darkness = Darkness()
    for sequence in range(40):
        darkness.asked(sequence, sequence * 0.05)
        if sequence < 3:
            darkness.answered(sequence, sequence * 0.05 + 0.01)
        darkness.tick(sequence * 0.05 + 0.02)
    assert darkness.dark
    darkness.answered(1, 2.1)
    assert darkness.dark


def test_requests_that_could_not_leave_prove_nothing():
    darkness = watch(dark_between(99, 99), 5)
    darkness.tick(60.0)  # nothing was asked for 55 s: no route, or this process did not run
    assert darkness.periods == ()


def test_memory_is_bounded():
    darkness = watch(lambda sent: None if sent > 5 else sent, 600)
    assert len(darkness._asked) <= 64


@settings(max_examples=50, deadline=None)
@given(st.floats(2, 10), st.floats(0, 8), st.floats(0, 0.2))
def test_periods_are_never_shorter_than_the_limit(start, seconds, latency):
    for period in watch(dark_between(start, start + seconds, latency), 25).periods:
        assert isinstance(period, DarkPeriod)
        assert period.end is None or period.end - period.start >= DARK_SECONDS
