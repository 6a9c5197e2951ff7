"""Some days of a small fleet in which much happens: nothing wrong, nothing double, nothing missed."""

from __future__ import annotations

from contextlib import ExitStack
from unittest.mock import patch

import pytest

from year.book import Book, Reset
from year.fate import Rates
from year.report import markdown, svg, wrongs
from year.simulation import Simulation

EVENTFUL = Rates(
    hang=12,
    self_reboot=20,
    slow=6,
    flash=10,
    host_reboot=20,
    rack_switch=60,
    host_pause=3,
    rack_pause=20,
    datastore_outage=120,
    by_hand=3,
)
HOSTS, DAYS = 120, 4


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    simulation = Simulation(HOSTS, 5, tmp_path_factory.mktemp("year"), EVENTFUL, killed=0.2)
    simulation.run(DAYS)
    return simulation


def test_nothing_wrong_nothing_double_nothing_missed(run):
    assert wrongs(run) == []


def test_much_has_happened(run):
    book = run.book
    assert len(book.faults) >= 8 and book.outcomes["healed"] >= 4
    assert sum(reset.by == "oob" for reset in book.resets) >= 4
    assert len(book.harmless) >= 8, book.harmless
    assert any(fault.ended_by == "product" for fault in book.faults)


def test_what_was_left_half_done_is_over(run):
    assert run.engine.kills and run.forgotten() == []


def test_a_sensor_that_looks_for_no_dead_heal_is_found_out(tmp_path):
    simulation = Simulation(HOSTS, 5, tmp_path, EVENTFUL, killed=1.0)
    with patch.object(simulation.sensors, "overdue", lambda _: []):
        simulation.run(0.5)
    assert any("is still held by" in line for line in wrongs(simulation))


def test_the_report_holds_what_counts(run):
    page = markdown(run, DAYS, 5)
    assert "**wrong resets** (BMC well, booting, updating, another machine's, paused) | 0 |" in page
    assert f"| resets that reached a BMC | {sum(r.by != 'late' for r in run.book.resets)} |" in page
    assert svg(run.book, DAYS).count("<polyline") == 4


def reckless():
    """Guards of the product that a year must be able to miss: who boots, and what is under update."""
    yield patch("bmc_healer.diagnosis._booting", lambda *_: None)
    yield patch("bmc_healer.diagnosis._updating", lambda *_: "")
    yield patch("bmc_healer.watch.patient.verdict", lambda *_: "alive")


def test_a_product_without_its_guards_is_found_out(tmp_path):
    """The year can turn red."""
    simulation = Simulation(HOSTS, 5, tmp_path, Rates(hang=2, self_reboot=60, flash=60))
    with ExitStack() as stack:
        for guard in reckless():
            stack.enter_context(guard)
        simulation.run(2)
    assert any("booting or under update" in line for line in wrongs(simulation))


def test_the_book_knows_a_second_reset_and_a_fault_that_nobody_heard_of():
    book = Book()
    book.began("db01", "hung", 0.0)
    for at, by in ((100.0, "oob"), (200.0, "late"), (1000.0, "oob"), (9000.0, "oob")):
        book.reset(Reset(at, "bmc1", by, "e1"))
    assert [reset.at for reset in book.duplicates] == [1000.0]
    assert book.missed(7000.0) == [] and book.missed(7300.0) == book.faults
    book.said("db01", 600.0)
    assert book.missed(7300.0) == [] and book.longest_silence(7300.0) == 600.0


NOTHING = Rates(**dict.fromkeys(Rates.__dataclass_fields__, 1e-9))


@pytest.mark.parametrize("kind", ["LAN dead", "both dead", "hung"])
def test_a_bmc_whose_address_the_inventory_gives_to_another_host_is_heard_of_and_not_reset(tmp_path, kind):
    simulation = Simulation(301, 1, tmp_path, NOTHING, killed=0.0)
    simulation.run(0.01)
    host = simulation.world.hosts["db00138"]  # stands in the inventory with the address of db00097
    simulation.book.began(host.name, kind, simulation.loop.now)
    simulation.world.hang(host, hung=kind != "LAN dead", deaf=kind != "hung")
    simulation.run(1)
    assert wrongs(simulation) == [] and simulation.book.resets == []
    (fault,) = simulation.book.faults
    assert fault.ended_by == "person"


def test_who_waits_for_a_person_already_is_not_missed():
    book = Book(awaited={"db01"})
    book.began("db01", "hung", 0.0)
    book.began("db02", "hung", 0.0)
    assert [fault.host for fault in book.missed(7300.0)] == ["db02"]


def test_what_hangs_again_after_the_last_gate_was_healed_and_before_it_was_not(tmp_path):
    simulation = Simulation(3, 1, tmp_path)
    name, now = next(iter(simulation.world.hosts)), simulation.loop.now
    heal = {"id": f"{name}-20261121-104512", "host": name, "started_at": now, "steps": [{"at": now + 12}]}
    simulation._runtime().state.save_incident(heal)
    simulation.loop.now += 20
    assert not simulation._was_ill(name, heal["id"])
    simulation.world.hang(simulation.world.hosts[name])
    assert not simulation._was_ill(name, heal["id"])
    simulation.world.hosts[name].bmc.ill_since -= 9
    assert simulation._was_ill(name, heal["id"])


def test_a_seed_gives_the_same_again(run, tmp_path):
    again = Simulation(HOSTS, 5, tmp_path, EVENTFUL, killed=0.2)
    again.run(DAYS)
    assert (again.book.resets, again.book.outcomes) == (run.book.resets, run.book.outcomes)
