"""Reap, in-band reset, throttle."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bmc_healer.config.settings import LadderSettings, WatchSettings
from bmc_healer.errors import HostAccessError
from bmc_healer.host.access import Result
from bmc_healer.host.facts import ClientProcess, KipmiThread
from bmc_healer.rungs.inband import cold_reset
from bmc_healer.rungs.outcome import DeedRefusedError
from bmc_healer.rungs.reap import reap
from bmc_healer.rungs.throttle import throttle, unthrottle

from .pretend import STUCK, Pretended

HUNG = ClientProcess(7, 100, "ipmitool", "mc info", 600.0, "S", wchan="do_select")


def refuse() -> None:
    raise DeedRefusedError("paused")


class Reaping(Pretended):
    """Keeps what end.sh would be told."""

    def run(self, argv, **options):
        self.told = options["stdin"]
        return self.answers["end"][0]


def reaped(said: str, *clients: ClientProcess, may_send=lambda: None):
    host = Reaping(answers={"end": [Result(0, said, "", 0.1)]})
    host.told = ""
    facts = replace(host.facts(), clients=clients)
    return host, reap(host, facts, watch=WatchSettings(), may_send=may_send, mark="inc:4")


def test_only_the_hung_are_ended():
    flash = replace(HUNG, pid=8, kind="flash", subcommand="hpm upgrade")
    remote = replace(HUNG, pid=9, inband=False)
    young = replace(HUNG, pid=10, age_seconds=5.0)
    probe = replace(HUNG, pid=11, mark="probe", age_seconds=70.0)
    host, outcome = reaped("end\n", HUNG, flash, remote, young, probe)
    assert host.told == "7 100\n"
    assert outcome.state == "done" and outcome.evidence["ended"] == 1
    assert {client["pid"] for client in outcome.evidence["spared"]} == {8, 9, 10, 11}


def test_whose_command_line_was_not_read_is_counted_and_left_alone():
    """It may be `hpm upgrade`, with its image on a slow file server."""
    unread = [replace(HUNG, pid=pid, state="D", subcommand="", known=False) for pid in (8, 9)]
    host, outcome = reaped("end\n", HUNG, *unread)
    assert host.told == "7 100\n"
    assert outcome.evidence["unread"] == 2
    assert outcome.sentence.endswith("Left alone, since their command line could not be read: 2.")
    host, outcome = reaped("end\n", *unread, may_send=refuse)
    assert outcome.state == "skipped" and host.told == ""
    assert "no IPMI client has hung" not in outcome.sentence and "could not be read: 2" in outcome.sentence


def test_nothing_to_reap():
    host, outcome = reaped("end\n", replace(HUNG, inband=False), may_send=refuse)
    assert outcome.state == "skipped" and host.told == ""


def test_refused_deed_ends_nobody():
    with pytest.raises(DeedRefusedError):
        reaped("end\n", HUNG, may_send=refuse)


def test_who_hangs_in_the_kernel_is_reported():
    stuck = replace(HUNG, pid=8, state="D")
    _, outcome = reaped("left 8 D\nend\n", HUNG, stuck)
    assert outcome.state == "done"
    assert "1 of 2" in outcome.sentence and "ipmitool (pid 8)" in outcome.sentence
    assert [client["pid"] for client in outcome.evidence["left"]] == [8]


def test_who_survives_kill_otherwise_is_a_failure():
    assert reaped("left 7 S\nend\n", HUNG)[1].state == "failed"


def test_no_answer_is_no_success():
    with pytest.raises(HostAccessError, match="not known"):
        reaped("left 7", HUNG)


CLAIM = Result(0, "Sent cold reset command to MC\n", "", 45.6)


def reset(host: Pretended, may_send=lambda: None):
    return cold_reset(host, host.facts(), settings=LadderSettings(), may_send=may_send, mark="inc:4")


def test_a_claim_is_no_delivery():
    host = Pretended(answers={"ipmitool": [CLAIM]})
    outcome = reset(host)
    assert host.ran == ["ipmitool mc reset cold"]
    assert outcome.state == "done" and "not delivered" in outcome.sentence
    assert (outcome.evidence["claimed"], outcome.evidence["completed_delta"]) == (True, 0)
    assert host.options["limit"] == LadderSettings().inband_limit and host.options["mark"] == "inc:4"


def test_a_delivered_reset_is_counted():
    def delivered(host: Pretended) -> Result:
        host.completed += 2
        return CLAIM

    outcome = reset(Pretended(answers={"ipmitool": [delivered]}))
    assert outcome.evidence["completed_delta"] == 2 and "not delivered" not in outcome.sentence


def test_without_counters_nothing_is_said_about_delivery():
    def vanished(host: Pretended) -> Result:
        host.interface = False
        return CLAIM

    assert "completed_delta" not in reset(Pretended(answers={"ipmitool": [vanished]})).evidence


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (Result(1, "", "Could not open device\n", 0.1), "failed"),
        (Result(0, "", "", 0.1), "failed"),
        (Result(None, "", "", 75.0), "failed"),
        (STUCK, "stuck"),
    ],
)
def test_no_claim(answer, state):
    outcome = reset(Pretended(answers={"ipmitool": [answer]}))
    assert outcome.state == state and outcome.evidence["claimed"] is False


@pytest.mark.parametrize("changes", [{"ipmitool": False}, {"nodes": []}, {"nodes": ["200 /dev/ipmi0"]}])
def test_nothing_is_sent_where_ipmitool_would_only_claim(changes):
    host = Pretended(**changes)
    assert reset(host, may_send=refuse).state == "skipped"
    assert host.ran == []


def test_refused_deed_sends_nothing():
    host = Pretended()
    with pytest.raises(DeedRefusedError):
        reset(host, may_send=refuse)
    assert host.ran == []


def throttled(host: Pretended, *names: str, previous: int | None = None):
    facts = replace(host.facts(), kipmi=tuple(KipmiThread(1, name, 99.0) for name in names))
    if previous is None:
        return throttle(host, facts, may_send=lambda: None, mark="inc:4")
    return unthrottle(host, facts, previous, may_send=lambda: None, mark="inc:4")


@pytest.mark.parametrize(
    ("names", "value"),
    [(["kipmi0"], "100"), (["kipmi1"], "100,100"), (["kipmi0", "kipmi7"], "100,100,100,100")],
)
def test_each_interface_up_to_the_busy_one_is_throttled(names, value):
    host = Pretended()
    outcome = throttled(host, *names)
    assert outcome.state == "done" and outcome.evidence["before_us"] == 0
    assert host.ran == [f"write {value} kipmid_max_busy_us"]


def test_an_interface_past_the_end_of_the_list_cannot_be_throttled():
    host = Pretended()
    outcome = throttled(host, "kipmi4")
    assert outcome.state == "skipped" and "reaches 4 interfaces, and this one is kipmi4" in outcome.sentence
    assert host.ran == []


def test_no_throttle_while_another_write_hangs_or_without_a_driver():
    for host in (Pretended(writing=True), Pretended(throttle=None), Pretended(modules={}, throttle=None)):
        assert throttled(host, "kipmi0").state == "skipped"
        assert host.ran == []


def test_a_write_that_hangs_is_stuck():
    assert throttled(Pretended(answers={"write": [STUCK]}), "kipmi0").state == "stuck"


def test_unthrottle_puts_back_what_was_there():
    host = Pretended(throttle="100")
    assert throttled(host, "kipmi0", previous=0).state == "done"
    assert host.ran == ["write 0 kipmid_max_busy_us"]


@pytest.mark.parametrize("host", [Pretended(modules={}, throttle=None), Pretended(throttle="")])
def test_a_throttle_that_went_with_the_driver_is_undone(host):
    assert throttled(host, previous=0).state == "done"
    assert host.ran == []


def test_a_throttle_that_cannot_be_undone_now():
    assert throttled(Pretended(throttle="100", writing=True), previous=0).state == "failed"
