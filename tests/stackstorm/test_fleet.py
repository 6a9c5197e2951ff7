"""Ten thousand hosts in the inventory file: no arguments hold any of them, and everything keeps its time."""

import json

import pytest

from lab.fleet import PASSWORD, USER, Fleet
from tests.stackstorm.api import until
from tests.stackstorm.inventories import HOSTS, rows, write
from tests.stackstorm.leaks import Processes
from tests.stackstorm.product import CHAT_KEY, HOST, PACK, PASSWORD_KEY
from tests.stackstorm.watching import Log, Told, Watching

RESULT_BYTES = 100_000  # StackStorm's web UI shows no larger ones
ARGUMENTS_BYTES = 4_000
FIRST_SECONDS = 40.0  # the first to read a new file makes its index
SWEEP_SECONDS = 30.0
KNOWN_SECONDS = 90.0
MORE_SECONDS = 2.0
ANSWERING = 100


@pytest.fixture
def configured(product, sim, chat, tmp_path):
    """A function that gives the pack an inventory file."""
    product.api.key(PASSWORD_KEY, sim.password, secret=True)
    product.api.key("bmc_fleet", PASSWORD, secret=True)
    product.api.key(CHAT_KEY, chat.url, secret=True)
    credentials = {
        "lab": {"username": sim.user, "password_key": PASSWORD_KEY},
        "fleet": {"username": USER, "password_key": "bmc_fleet"},
    }

    def configure(name, hosts, **sections):
        file = tmp_path / name
        write(file, hosts)
        product.configured(
            inventory=str(file), credentials=credentials, notify=[{"url_key": CHAT_KEY}], **sections
        )

    return configure


def done(product, action, seconds, **parameters):
    """An action of the pack: its result, which is small, and how long it took."""
    execution = product.api.ended(product.api.run(f"{PACK}.{action}", **parameters))
    assert execution["elapsed_seconds"] < seconds, execution
    assert len(json.dumps(execution["result"])) < RESULT_BYTES
    return execution["result"]["result"]


def seconds_of(product, execution, task):
    (found,) = [
        child["elapsed_seconds"]
        for child in product.api.children(execution)
        if child["context"]["orquesta"]["task_name"] == task
    ]
    return found


def healed_by_force(product):
    execution = product.force()
    output = product.api.output(execution)
    assert "In-band IPMI could not be checked" in output["summary"], output
    return execution


@pytest.mark.parametrize("name", ["hosts.csv", "hosts.yaml"])
def test_a_heal_of_one_of_them(product, sim, configured, name):
    with Fleet() as fleet, Processes() as processes:
        hosts = rows(fleet.port, sim.lan_port)
        configured("one.csv", {HOST: hosts[HOST]})
        alone = begun_in(product)
        product.forget()  # the host is held, since nobody could look at it
        configured(name, hosts)
        assert done(product, "status", FIRST_SECONDS)["hosts"] == HOSTS
        among = begun_in(product)
    assert sim.bmc.status().resets == 2
    assert among < alone + MORE_SECONDS
    assert_none_in_arguments(processes, hosts)


def begun_in(product):
    """The seconds of the first task of a heal by force."""
    execution = product.force()
    assert "In-band IPMI could not be checked" in product.api.output(execution)["summary"]
    first = product.api.children(execution)[0]
    assert first["action"]["ref"] == f"{PACK}.begin_heal"
    return first["elapsed_seconds"]


def assert_none_in_arguments(processes, hosts):
    seen = processes.actions(PACK)
    for argv in seen:
        text = b" ".join(argv)
        assert len(text) < ARGUMENTS_BYTES
        assert not any(name.encode() in text for name in hosts if name != HOST), text


def test_a_sweep_of_all_of_them(product, sim, configured):
    with Fleet() as fleet:
        configured("hosts.csv", rows(fleet.port, sim.lan_port))
        done(product, "status", FIRST_SECONDS)
        assert done(product, "sweep", SWEEP_SECONDS)["sentence"] == f"{HOSTS} of {HOSTS} BMCs answer."
    with Fleet(fleet.port, silent=2):
        half = done(product, "sweep", SWEEP_SECONDS)
    silent = half["asked"] - half["answered"]
    assert HOSTS * 0.49 < silent < HOSTS * 0.51
    assert half["sentence"].endswith(f" and {silent - 20} more.")
    assert done(product, "sweep", SWEEP_SECONDS, label="rack=r7")["asked"] == 40


def test_a_host_that_is_none_of_them(product, sim, configured):
    configured("hosts.csv", rows(9, sim.lan_port))
    done(product, "status", FIRST_SECONDS)
    output = product.api.output(product.api.run(f"{PACK}.heal", host="h99999"))
    assert output["outcome"] == "refused" and "no such host" in output["summary"], output


def test_the_sensors_watch_them_and_an_outage_of_many_is_one_small_trigger(
    product, sim, chat, services, configured
):
    log, container = Log(services["st2sensorcontainer"]), services["st2sensorcontainer"]
    with Processes() as processes:
        with Fleet() as fleet:
            hosts = rows(fleet.port, sim.lan_port, ANSWERING)
            configured("hosts.csv", hosts)
            product.sensors(on=True)
            watching = Watching(container)
            watching.ready()
            until(lambda: len(product.answered()) == ANSWERING + 1, KNOWN_SECONDS, "the first sweep")
            told = Told(product.api, "bmc.mass_outage")
        outage = told.wait(KNOWN_SECONDS)
        assert (outage["label"], outage["total"]) == ("fleet", ANSWERING + 1)
        assert (
            0.3 * (ANSWERING + 1) <= outage["silent"] <= ANSWERING
        )  # they fell silent in the midst of a sweep
        assert len(outage["hosts"]) == 20
        until(lambda: chat.titles, 60, "the message")
        assert chat.titles == [f"fleet: {outage['silent']} BMCs silent at once"]
        refused = product.api.output(product.force())
        assert refused["outcome"] == "refused" and "mass_outage" in refused["summary"]
    assert watching.count() == 2
    assert not log.said("ERROR", "Sensor")
    watches = [argv for _, argv in processes.argv() if b"bmc_healer.watch" in argv]
    assert watches and max(map(len, watches)) < 200
    assert_none_in_arguments(processes, set(hosts) - set(outage["hosts"]))
