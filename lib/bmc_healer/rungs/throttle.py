"""Relief without risk: limit how long kipmid polls. Nothing is unloaded, nothing is reset."""

from __future__ import annotations

from collections.abc import Callable

from ..host.access import HostAccess
from ..host.facts import HostFacts
from .outcome import RungOutcome, State
from .tools import died_how, ran, write_parameter

THROTTLE_US = 100  # takes a spinning kipmi from 100 % to 1-4 % on every kernel (KERNELS)
_LIMIT = 10.0
_PARAMETER = "kipmid_max_busy_us"
_SLOTS = 4  # SI_MAX_PARMS of ipmi_si: the list has a number for each of the first four interfaces


def throttle(access: HostAccess, facts: HostFacts, *, may_send: Callable[[], None], mark: str) -> RungOutcome:
    """Let kipmi poll at most 100 us at a stretch.

    :raises HostAccessError: the host was lost; the write may have happened
    """
    if facts.parameter_write_hangs or facts.throttle_us is None or _beyond(facts):
        return RungOutcome("throttle", "skipped", f"kipmi was not throttled: {_why_not(facts)}.")
    return _write(access, facts, THROTTLE_US, may_send, mark)


def unthrottle(
    access: HostAccess, facts: HostFacts, previous: int, *, may_send: Callable[[], None], mark: str
) -> RungOutcome:
    """Put back what was there before the throttle; 0 is the kernel's own.

    :param previous: microseconds, `HostFacts.throttle_us` of before
    :raises HostAccessError: the host was lost; the write may have happened
    """
    if not facts.driver_loaded or facts.throttle_us == previous:
        return RungOutcome("throttle", "done", "The throttle of kipmi is gone.")
    if facts.parameter_write_hangs or facts.throttle_us is None:
        return RungOutcome("throttle", "failed", f"The throttle of kipmi stays: {_why_not(facts)}.")
    return _write(access, facts, previous, may_send, mark)


def _numbers(facts: HostFacts) -> list[int]:
    """Of the threads' interfaces; after a hotmod remove and add the thread is kipmi1."""
    return [int(thread.name[5:]) for thread in facts.kipmi if thread.name[5:].isdecimal()]


def _beyond(facts: HostFacts) -> bool:
    """Every thread stands past the end of the list: each hotmod add takes the next number."""
    return min(_numbers(facts), default=0) >= _SLOTS


def _write(
    access: HostAccess, facts: HostFacts, microseconds: int, may_send: Callable[[], None], mark: str
) -> RungOutcome:
    # The list is by interface number.
    value = ",".join([str(microseconds)] * min(_SLOTS, max(_numbers(facts), default=0) + 1))
    may_send()
    answer = write_parameter(access, _PARAMETER, value, limit=_LIMIT, mark=mark)
    evidence = {
        "before_us": facts.throttle_us,
        "written": value,
        "steps": [ran(f"write {_PARAMETER}", answer)],
    }
    if answer.ok:
        return RungOutcome("throttle", "done", f"kipmid_max_busy_us was set to {value}.", evidence)
    state: State = "stuck" if answer.unkillable else "failed"
    return RungOutcome("throttle", state, f"Writing kipmid_max_busy_us {died_how(answer)}.", evidence)


def _why_not(facts: HostFacts) -> str:
    if facts.parameter_write_hangs:
        return "another write to a module parameter hangs"
    if not facts.driver_loaded:
        return "ipmi_si is not loaded"
    if facts.throttle_us is not None:
        return f"kipmid_max_busy_us reaches {_SLOTS} interfaces, and this one is kipmi{min(_numbers(facts))}"
    return "kipmid_max_busy_us cannot be read safely now"
