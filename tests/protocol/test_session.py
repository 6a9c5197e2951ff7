"""Operations with a session, against a real ipmi_sim over RMCP+, which counts logins and resets."""

import time

import pytest

from bmc_healer.bmc.facts import Login
from bmc_healer.bmc.ping import LanWatch
from bmc_healer.bmc.session import cold_reset, fru_serial, look
from bmc_healer.config.secrets import BmcLogin
from bmc_healer.errors import BmcLoginError
from bmc_healer.rungs.outcome import DeedRefusedError
from lab import BmcSim

HERE = "127.0.0.1"
ADMIN = BmcLogin(b"admin", b"labpass")
LIMIT = 25.0


@pytest.fixture
def sim():
    with BmcSim(name="reset", reset_seconds=2) as sim:
        yield sim


def yes():
    """The deed may be done."""


def test_a_look(sim):
    facts = look(HERE, sim.lan_port, ADMIN, limit=LIMIT, clock=lambda: 17.0)
    assert (facts.observed_at, facts.address, facts.alive, facts.login) == (17.0, HERE, True, Login.OK)
    assert (facts.guid, facts.firmware, facts.device_available) == (sim.guid, "9.08", True)
    assert (facts.power_on, facts.watchdog_running, facts.error) == (True, False, "")
    assert sim.bmc.status().logins == 1


@pytest.mark.parametrize("user", [b"operator", b"viewer"])
def test_whoever_is_no_administrator_may_look(sim, user):
    """ipmi_sim grants everybody an administrator's session, and answers 0xD4 to the reset."""
    facts = look(HERE, sim.lan_port, BmcLogin(user, b"labpass"), limit=LIMIT)
    assert (facts.login, facts.guid, facts.watchdog_running) == (Login.PRIVILEGE, sim.guid, False)
    assert "administrator privilege" in facts.error


def test_a_look_at_another_state(sim):
    sim.bmc.power(False)
    sim.bmc.watchdog(True)
    sim.bmc.device_available(False)
    facts = look(HERE, sim.lan_port, ADMIN, limit=LIMIT)
    assert (facts.power_on, facts.watchdog_running, facts.device_available) == (False, True, False)


def test_without_a_credential_only_what_needs_no_session(sim):
    facts = look(HERE, sim.lan_port, None, limit=LIMIT)
    assert (facts.alive, facts.login, facts.guid, facts.power_on) == (True, Login.UNTRIED, sim.guid, None)
    assert sim.bmc.status().logins == 0


@pytest.mark.parametrize(
    ("login", "why"),
    [(BmcLogin(b"admin", b"Tr0ub4dor"), "wrong password"), (BmcLogin(b"root", b"labpass"), "wrong user")],
)
def test_a_wrong_login_is_one_attempt(sim, login, why):
    facts = look(HERE, sim.lan_port, login, limit=LIMIT)
    assert (facts.alive, facts.login) == (True, Login.REFUSED)
    assert why in facts.error
    assert login.password.decode() not in facts.error
    assert sim.bmc.status().logins == 1


def test_a_wrong_login_resets_nothing(sim):
    answer = cold_reset(
        HERE, sim.lan_port, BmcLogin(b"admin", b"wrong"), limit=LIMIT, guid=None, may_send=pytest.fail
    )
    assert (answer.sent, answer.completion_code, answer.login) == (False, None, Login.REFUSED)
    assert sim.bmc.status().received == ()
    with pytest.raises(BmcLoginError):
        fru_serial(HERE, sim.lan_port, BmcLogin(b"admin", b"wrong"), limit=LIMIT)
    assert sim.bmc.status().logins == 2


def test_what_ipmi_does_not_allow_is_not_tried(sim):
    for login in (BmcLogin(b"a" * 17, b"x"), BmcLogin(b"a", b"x" * 21)):
        assert look(HERE, sim.lan_port, login, limit=LIMIT).login is Login.FAILED
        assert not cold_reset(HERE, sim.lan_port, login, limit=LIMIT, guid=None, may_send=pytest.fail).sent
    assert sim.bmc.status().logins == 0


def test_another_bmc_than_was_proven_is_sent_nothing(sim):
    """Its identity may have been proven over Redfish, or it answers at the address since then."""
    other = "0" * 31 + "1"
    answer = cold_reset(HERE, sim.lan_port, ADMIN, limit=LIMIT, guid=other, may_send=pytest.fail)
    assert (answer.sent, answer.login) == (False, Login.OK)
    assert "another BMC lets us in" in answer.error
    assert sim.bmc.status().received == ()


def test_a_dead_bmc_is_said_in_time(sim):
    sim.bmc.lan_dead()
    for limit in (2.0, 40.0):
        started = time.monotonic()
        facts = look(HERE, sim.lan_port, ADMIN, limit=limit)
        assert (facts.alive, facts.login) == (False, Login.UNTRIED)
        assert "does not answer" in facts.error
        assert time.monotonic() - started < min(limit, 5.0)


def test_a_cold_reset_with_both_proofs(sim):
    at_the_deed = []
    with LanWatch(HERE, sim.lan_port) as watch:
        answer = cold_reset(
            HERE,
            sim.lan_port,
            ADMIN,
            limit=LIMIT,
            guid=sim.guid,
            may_send=lambda: at_the_deed.append(sim.bmc.status()),
        )
        assert (answer.sent, answer.completion_code, answer.error) == (True, 0, "")
        assert answer.session_dead
        assert len(watch.dark_periods) == 1
    (before,) = at_the_deed
    assert (before.logins, before.received) == (1, ())  # the session was open and nothing was sent
    (reset,) = sim.bmc.status().received
    assert (reset.kind, reset.channel) == ("cold", "lan")


def test_a_reset_too_quick_to_be_seen_dark_is_proven_by_the_session():
    with BmcSim(name="quick", reset_seconds=0.2) as sim, LanWatch(HERE, sim.lan_port) as watch:
        answer = cold_reset(HERE, sim.lan_port, ADMIN, limit=LIMIT, guid=None, may_send=yes)
        assert answer.session_dead
        assert watch.dark_periods == ()


def test_a_reset_that_is_acknowledged_and_ignored_is_not_proven(sim):
    sim.bmc.ignore_reset(lan=True)
    started = time.monotonic()
    answer = cold_reset(HERE, sim.lan_port, ADMIN, limit=8, guid=None, may_send=yes)
    assert (answer.sent, answer.completion_code, answer.session_dead) == (True, 0, False)
    assert answer.error == ""
    assert time.monotonic() - started < 8
    assert len(sim.bmc.status().received) == 1


def test_a_bmc_that_stays_dark_ends_at_the_limit():
    with BmcSim(name="gone", reset_seconds=None) as sim:
        started = time.monotonic()
        answer = cold_reset(HERE, sim.lan_port, ADMIN, limit=6, guid=None, may_send=yes)
        assert (answer.sent, answer.completion_code, answer.session_dead) == (True, 0, False)
        assert time.monotonic() - started < 7.5


def test_what_stops_the_deed_stops_it(sim):
    def no():
        raise DeedRefusedError("the fence is not ours")

    with pytest.raises(DeedRefusedError, match="fence"):
        cold_reset(HERE, sim.lan_port, ADMIN, limit=LIMIT, guid=None, may_send=no)
    assert sim.bmc.status().received == ()
    sessions = sim.oob("channel", "info", "1").out
    assert "Active Session Count  : 1\n" in sessions  # ipmitool's own: ours was closed


def test_no_session_is_left_behind(sim):
    for _ in range(3):
        look(HERE, sim.lan_port, ADMIN, limit=LIMIT)
    assert "Active Session Count  : 1\n" in sim.oob("channel", "info", "1").out


def test_a_bmc_without_fru(sim):
    assert fru_serial(HERE, sim.lan_port, ADMIN, limit=LIMIT) is None
