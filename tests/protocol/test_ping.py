"""The sessionless ping against a real ipmi_sim, and against a mock for replies that ipmi_sim never sends."""

import contextlib
import os
import random
import socket
import time

import pytest
from misbehaving_bmc import GUID, MisbehavingBmc, later, lossy, silent_at

from bmc_healer.bmc import ping as ping_module
from bmc_healer.bmc.ping import ping, resolve, sweep, system_guid
from bmc_healer.errors import BmcError
from lab import BmcSim

HERE = "127.0.0.1"


@pytest.fixture(scope="module")
def sim():
    with BmcSim(name="pinged") as sim:
        yield sim


@contextlib.contextmanager
def nobody(host=HERE):
    """A port where datagrams arrive and nothing comes back."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((host, 0))
        yield sock.getsockname()[1]


def test_a_living_bmc_answers_at_once(sim):
    started = time.monotonic()
    assert ping(HERE, sim.lan_port)
    assert time.monotonic() - started < 0.5


def test_a_dead_bmc_is_dark_in_time(sim):
    sim.bmc.lan_dead()
    started = time.monotonic()
    assert not ping(HERE, sim.lan_port, timeout=0.2, attempts=3)
    assert 0.6 <= time.monotonic() - started < 1.5
    sim.bmc.restore()


def test_a_bmc_that_answers_noise_is_not_alive(sim):
    sim.bmc.lan_garbage()
    assert not ping(HERE, sim.lan_port, timeout=0.2, attempts=2)
    sim.bmc.restore()


def test_the_guid_without_a_session(sim):
    assert system_guid(HERE, sim.lan_port) == sim.guid


def test_no_guid():
    with nobody() as port:
        assert system_guid(HERE, port, timeout=0.1) is None
    with MisbehavingBmc(lambda step, packet: [(0.0, os.urandom(30)), (0.0, packet)]) as bmc:
        assert system_guid(HERE, bmc.port) == GUID.hex()  # noise before the answer does not matter


def test_a_sweep_tells_alive_from_dark(sim):
    with nobody() as one, nobody() as two:
        targets = [(HERE, one), (HERE, sim.lan_port), (HERE, two), (HERE, sim.lan_port)]
        result = sweep(targets, timeout=0.2, attempts=2)
    assert result.alive == {(HERE, sim.lan_port)}
    assert result.dark == {(HERE, one), (HERE, two)}


def test_a_sweep_of_nobody():
    assert sweep([]).alive == sweep([]).dark == frozenset()


def test_the_window_may_be_smaller_than_the_fleet():
    with contextlib.ExitStack() as stack:
        alive = {(HERE, stack.enter_context(MisbehavingBmc()).port) for _ in range(9)}
        dark = {(HERE, stack.enter_context(nobody())) for _ in range(5)}
        result = sweep([*alive, *dark], window=2, timeout=0.2, attempts=2)
    assert (result.alive, result.dark) == (alive, dark)


def test_no_false_death_through_loss():
    with contextlib.ExitStack() as stack:
        bmcs = [stack.enter_context(MisbehavingBmc(lossy(0.3, seed))) for seed in range(10)]
        result = sweep([(HERE, bmc.port) for bmc in bmcs], timeout=0.1, attempts=12)
    assert not result.dark


def test_a_slow_bmc_is_alive_though_every_answer_is_late_for_its_attempt():
    with MisbehavingBmc(later(0.5)) as bmc:
        assert ping(HERE, bmc.port, timeout=0.2, attempts=4)


def test_an_answer_from_elsewhere_does_not_count():
    with MisbehavingBmc(source="127.0.0.2") as bmc:
        assert not ping(HERE, bmc.port, timeout=0.2, attempts=2)
        assert bmc.received["caps"] == 2


def other_sequence(step, packet):
    """The answer to another rqSeq, with a right checksum."""
    wrong = bytearray(packet)
    wrong[18] ^= 4
    wrong[-1] = -sum(wrong[17:-1]) & 255
    return [(0.0, bytes(wrong))]


def test_an_answer_with_another_sequence_does_not_count():
    with MisbehavingBmc(other_sequence) as bmc:
        assert not ping(HERE, bmc.port, timeout=0.2, attempts=2)


def test_duplicates_noise_and_order_do_not_matter():
    dice = random.Random(1)

    def script(step, packet):
        return [(0.0, dice.randbytes(dice.randrange(60))), (dice.random() / 10, packet), (0.05, packet)]

    with contextlib.ExitStack() as stack:
        bmcs = [stack.enter_context(MisbehavingBmc(script)) for _ in range(10)]
        assert not sweep([(HERE, bmc.port) for bmc in bmcs], timeout=0.3).dark


def test_ipv6_beside_ipv4():
    with MisbehavingBmc(host="::1") as six, MisbehavingBmc() as four:
        assert sweep([("::1", six.port), (HERE, four.port)]).dark == frozenset()


def test_two_spellings_of_an_address_are_both_answered_for():
    with nobody() as port:
        spelled = {("::1", port), ("0:0:0:0:0:0:0:1", port)}
        assert sweep(spelled, timeout=0.1, attempts=1).dark == spelled
    with MisbehavingBmc(host="::1") as six:
        spelled = {("::1", six.port), ("0:0:0:0:0:0:0:1", six.port)}
        assert sweep(spelled, timeout=0.5).alive == spelled


def test_both_families_wait_at_the_same_time():
    with nobody() as port:
        started = time.monotonic()
        sweep([(HERE, port), ("::1", port)], timeout=0.5, attempts=2)
    assert 1.0 <= time.monotonic() - started < 1.8


def test_a_request_that_finds_no_room_to_leave_waits_for_it(monkeypatch):
    class Crowded(socket.socket):
        sent = 0

        def sendto(self, *words):
            Crowded.sent += 1
            if Crowded.sent % 2:
                raise BlockingIOError
            return super().sendto(*words)

    with MisbehavingBmc() as one, MisbehavingBmc() as two:
        monkeypatch.setattr(ping_module.socket, "socket", Crowded)
        assert not sweep([(HERE, one.port), (HERE, two.port)], timeout=0.5, attempts=1).dark


def test_an_address_without_a_route_is_dark():
    assert not ping("255.255.255.255", 623, timeout=0.1, attempts=1)  # EACCES at every attempt


@pytest.mark.parametrize(
    ("address", "port"), [("localhost", 623), ("", 623), (HERE, 0), (HERE, 70000), ("a b", 1)]
)
def test_only_pinned_addresses_are_taken(address, port):
    with pytest.raises(BmcError):
        sweep([(address, port)])


def test_resolve():
    assert resolve("localhost") in ("127.0.0.1", "::1")
    assert resolve("10.1.0.5") == "10.1.0.5"
    with pytest.raises(BmcError, match="cannot be resolved"):
        resolve("x" * 300)


def test_a_step_that_stays_silent_is_not_asked_for_ever():
    with MisbehavingBmc(silent_at("caps")) as bmc:
        assert not ping(HERE, bmc.port, timeout=0.1, attempts=4)
        assert bmc.received["caps"] == 4
