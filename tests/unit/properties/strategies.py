"""Whatever a look at a host, a BMC and the memory of both could bring together, sense or nonsense."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bmc_healer.bmc.facts import BmcFacts, Login
from bmc_healer.bmc.identity import Identity
from bmc_healer.diagnosis import Findings, Verdict
from bmc_healer.host.facts import CounterWindow, DeviceNode, Holder, InbandAnswer
from bmc_healer.plan import BRING_BACK, RUNGS, Request
from bmc_healer.state.refs import HostMemory
from tests.unit.made import ANSWER, BUSY, NO_ANSWER, NOW, QUIET, STUCK, bmc, client, host, no_device


def whatever(*strategies, **named):
    """`given`, on a machine that may be busy with guests: how long an example takes says nothing here."""
    slow = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    return lambda test: slow(given(*strategies, **named)(test))


windows = st.lists(
    st.sampled_from(
        [QUIET, BUSY, STUCK, STUCK, CounterWindow(10.0, 0, 900, 1), CounterWindow(3.0, 0, 90, 0)]
    ),
    max_size=4,
).map(tuple)
clients = st.lists(
    st.builds(
        client,
        pid=st.integers(100, 103),
        age=st.sampled_from([1.0, 300.0]),
        state=st.sampled_from("SDR"),
        kind=st.sampled_from(["client"] * 4 + ["flash", "console", "module", "other"]),
        known=st.sampled_from([True] * 15 + [False]),
        inband=st.booleans(),
    ),
    max_size=12,
).map(tuple)
kernels = st.sampled_from(["2.6.32-754.el6", "5.10.0-8", "6.1.0-56-amd64", "6.12.1", "7.2.0", "odd"])


# What may be odd about a host, each as often as not alone
ODD = {
    "clients": clients,
    "holders": st.sampled_from([(Holder(100, "ipmitool", "/dev/ipmi0"),), (Holder(7, "hwd", "/dev/ipmi0"),)]),
    "builtin": st.just(frozenset({"ipmi_si"})),
    "devices": st.sampled_from([(), (DeviceNode("/dev/ipmi0", owned=False),)]),
    "watchdog_module": st.just(True),
    "ipmitool": st.just(False),
    "privileged": st.just(False),
    "had_bmc": st.just(False),
    "kernel": kernels,
}


@st.composite
def hosts(draw):
    """A hang as often as everything else together: what finds nothing to do tries nothing."""
    hung = host((STUCK,) * 3, kipmi=100.0)
    any_windows = host(draw(windows), kipmi=draw(st.sampled_from([0.0, 15.0, 100.0])))
    gave_up = replace(hung, interfaces=(), devices=(), kipmi=())
    facts = draw(st.sampled_from([hung, hung, hung, any_windows, any_windows, no_device(), gave_up]))
    odd = draw(st.sets(st.sampled_from(sorted(ODD)), max_size=3))
    return replace(facts, **{name: draw(ODD[name]) for name in sorted(odd)})


odd_bmcs: st.SearchStrategy[BmcFacts] = st.builds(
    bmc,
    alive=st.sampled_from([True, True, False]),
    login=st.sampled_from([Login.OK, Login.OK, Login.OK, *Login]),
    device_available=st.sampled_from([True, True, True, False, None]),
    power_on=st.sampled_from([True, False, None]),
    watchdog_running=st.sampled_from([False, False, True, None]),
    guid=st.sampled_from([bmc().guid, None, "0" * 32]),
    firmware=st.sampled_from(["9.8", "9.9", None]),
)
bmcs = st.one_of(st.just(bmc()), odd_bmcs)
times = st.none() | st.sampled_from([NOW - 5, NOW - 300, NOW - 1200, NOW - 90_000])
memories = st.builds(
    HostMemory,
    host=st.just("db01"),
    inband_ok_at=times,
    hang_proven_at=times,
    lan_alive_at=times,
    lan_dark_at=times,
    lan_dark_since=times,
    inband_reset_boot=st.sampled_from(["", "b00t"]),
    throttled_from=st.none() | st.just(0),
    unloaded_boot=st.sampled_from(["", "b00t"]),
)
answers = st.sampled_from(
    [None, ANSWER, NO_ANSWER, InbandAnswer(False, 0.1, busy=True), replace(ANSWER, device_available=False)]
)
findings = st.builds(
    Findings,
    now=st.just(NOW),
    host=st.one_of(hosts(), hosts(), hosts(), st.none()),
    bmc=st.one_of(bmcs, bmcs, bmcs, st.none()),
    memory=st.one_of(st.just(HostMemory("db01")), memories),
    answer=answers,
    host_error=st.just("db01: SSH was refused."),
    queued_reset=st.sampled_from([False, False, True]),
    reset_unseen_at=st.sampled_from([None, None, NOW - 60, NOW + 30, NOW - 3600]),
)
identities = st.sampled_from(
    [Identity(True, "guid", "It is.")] * 2 + [Identity(False, "", "It may be another's.")]
)
requests = st.builds(
    Request,
    rungs=st.just(RUNGS)
    | st.sets(st.sampled_from(RUNGS), min_size=1).map(lambda some: tuple(r for r in RUNGS if r in some))
    | st.just(BRING_BACK),
    force=st.booleans(),
    approved=st.sampled_from(["", *(verdict.value for verdict in Verdict)]),
)
