"""The sensors in StackStorm's sensor container outlive what happens to them, and leave nothing behind.

A BMC without a host is silent, and the rule that would start a heal is off: its trigger is repeated every few
seconds, so that a sensor that lives is heard.
"""

import json
import signal
import time

import pytest

from tests.stackstorm.api import until
from tests.stackstorm.product import HOST, PACK, WATCH
from tests.stackstorm.watching import KINDS, START_SECONDS, Log, Told, Watching, kill

RULE = "heal_bmc_unresponsive"
TRIGGER = "bmc.unresponsive"
REGISTRATIONS = 10
BUS_SECONDS = 180.0  # RabbitMQ's start, and StackStorm's patience until it looks again

# A heal whose process has died: it holds a lock, and nobody renews its heartbeat.
DEAD = {
    "id": "0123456789abcdef",
    "host": HOST,
    "incident": f"{HOST}-dead",
    "execution": "",
    "bmc_address": None,
    "labels": [],
    "owner": "a test",
}
TROUBLE = ("Traceback", "the datastore would not", "cannot be looked for")


@pytest.fixture
def container(services):
    """The sensor container, running; also afterwards."""
    services.start()
    yield services["st2sensorcontainer"]
    services.start()


@pytest.fixture
def known(product, sim, container):
    """Sensors that run, and a BMC that has answered them."""
    product.bmc_alone(sim)
    product.config |= {"mode": "observe", "watch": WATCH | {"bmc_failures": 1, "repeat_seconds": 3}}
    product.configure()
    product.sensors(on=True)
    watching = Watching(container)
    until(lambda: HOST in product.answered(), START_SECONDS, "the BMC's first answer")
    return watching


@pytest.fixture
def silent(product, sim, known):
    """A sensor that is heard every few seconds."""
    product.rule(RULE, on=False)
    sim.bmc.lan_dead()
    Told(product.api, TRIGGER).wait()
    yield known
    product.rule(RULE, on=True)


def heard(product):
    """A further trigger; the sensor that sent it is alive."""
    assert Told(product.api, TRIGGER).wait()["host"] == HOST


def both_say(log, *words):
    """Each sensor, once; their pauses grow to a minute."""
    until(lambda: len(log.said(*words)) >= 2, 90, f"both sensors' {words}")
    assert len(log.said(*words)) == 2


def test_a_killed_watch_process_is_started_again(product, silent, container):
    before, log = silent.ready(), Log(container)
    sensors = silent.sensors()
    for pid in before.values():
        kill(pid)
    assert set(silent.replaced(before)) == set(KINDS)
    heard(product)
    assert silent.sensors() == sensors  # the sensors themselves went on
    assert len(log.said("the watch process is lost", "exit status -9", "started again")) == 2
    assert silent.count() == 2


def test_a_killed_sensor_is_started_again_and_takes_its_watch_process_along(product, silent):
    before = silent.ready()
    for pid in silent.sensors().values():
        kill(pid)
    silent.replaced(before)
    heard(product)
    assert silent.count() == 2


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_with_the_container_its_watch_processes_end(product, silent, container, how):
    silent.ready()
    container.end(how)
    until(lambda: silent.count() == 0, 30, "the end of the watch processes")
    container.start()
    silent.ready()
    heard(product)
    assert silent.count() == 2


def test_ten_registrations_leave_nothing_behind(product, silent):
    before = silent.ready()
    for _ in range(REGISTRATIONS):
        body = {"types": ["sensors"], "packs": [PACK]}
        assert product.api.call("POST", "/packs/register", body)["sensors"] == 2
        before = silent.replaced(before)
    assert silent.count() == 2
    heard(product)


def test_an_api_that_is_down_is_told_once_and_outlived(product, silent, services, container):
    sensors, watches, log = silent.sensors(), silent.ready(), Log(container)
    services["st2api"].end(signal.SIGKILL)
    until(lambda: log.said("ERROR", "the datastore would not"), 60, "the sensor's complaint")
    services["st2api"].start()
    until(product.api.answers, START_SECONDS, "StackStorm's API")
    heard(product)
    assert (silent.sensors(), silent.watches()) == (sensors, watches)
    told = [line for line in log.said("ERROR", "the datastore would not") if "bmc_sensor" in line]
    assert len(told) <= 2, told  # not at every poll; what failed may be another key the second time
    assert not log.said("Traceback")


def test_a_datastore_key_of_somebody_else_is_told_and_harms_only_until_it_is_gone(product, known, container):
    key, log = f"{PACK}:w:bmc:strange:", Log(container)
    before = known.ready()
    product.api.key(key, "no document of ours")
    kill(before["bmc"])
    until(lambda: log.said("ERROR", key, "no document of ours"), START_SECONDS, "the sensor's complaint")
    product.api.forget(key)
    known.replaced({"bmc": before["bmc"]})
    assert len(log.said("ERROR", key)) == 1


def test_a_lost_message_bus_costs_time_and_no_trigger(product, sim, known, services, container):
    """The BMC falls silent while nobody can be told; the rule is on, so the trigger is acted upon later.

    A service of StackStorm that wanted to publish while RabbitMQ was away never can again: what an operator
    does then is done here, all of them are started anew. The sensors are not.
    """
    sensors, log, told = known.sensors(), Log(container), Told(product.api, TRIGGER)
    services["rabbitmq"].end(signal.SIGKILL, below=True)
    try:
        sim.bmc.lan_dead()
        until(lambda: log.said("ERROR", f"{TRIGGER} could not be dispatched"), BUS_SECONDS, "a complaint")
        assert not told.new()
    finally:
        services["rabbitmq"].start()
        others = [service for service in services.stackstorm() if service is not container]
        for service in others:
            service.end(signal.SIGKILL)
        for service in others:
            service.start()
        until(product.api.answers, START_SECONDS, "StackStorm's API")
    key = until(told.new, BUS_SECONDS, "the trigger")[-1]["payload"]["key"]
    until(
        lambda: key in [incident["key"] for incident in product.incidents()],
        BUS_SECONDS,
        "the heal of the rule",
    )
    assert known.sensors() == sensors
    assert known.ready() and known.count() == 2


def test_a_bad_configuration_is_named_and_a_mended_one_taken_up(product, sim, known, container):
    """StackStorm's own schema cannot see it. Nobody registers or restarts anything."""
    good, log, before = product.config, Log(container), known.ready()
    product.config = {**good, "credentials": {}}
    product.configure()
    both_say(log, "ERROR", "nothing is watched", f"hosts.{HOST}.bmc.credential", "not defined")
    product.config = good
    product.configure()
    known.replaced(before)
    product.rule(RULE, on=False)
    try:
        sim.bmc.lan_dead()
        heard(product)
    finally:
        product.rule(RULE, on=True)
    assert known.count() == 2


def test_an_inventory_that_cannot_be_read_is_named_and_a_mended_one_taken_up(
    product, known, container, tmp_path
):
    file, log = tmp_path / "hosts.yaml", Log(container)
    product.config |= {"inventory": str(file)}
    product.configure()
    both_say(log, "ERROR", "nothing is watched", str(file))
    file.write_text("db01: {transport: local}\n")
    both_say(log, "the configuration can be used now")


@pytest.mark.token_life
def test_sensors_outlive_their_tokens(product, silent, container, token_seconds):
    """Each gets a new one when it needs it, and goes on; a heal that died then is noticed and tidied up."""
    sensors, watches, log = silent.sensors(), silent.ready(), Log(container)

    def renewed():
        return log.said("Access granted", '"sensor_service"')

    until(
        lambda: len(renewed()) >= 2, 3 * token_seconds, "two new tokens of the sensor that always needs one"
    )
    for pid in watches.values():
        kill(pid)
    silent.replaced(watches)  # which each sensor gives what the datastore holds
    assert silent.sensors() == sensors
    assert all(any(f"[{pid}]" in line for line in renewed()) for pid in sensors.values()), renewed()
    product.api.key(f"{PACK}:f:lock:{HOST}-dead:", json.dumps(DEAD | {"taken_at": time.time()}))
    heard(product)
    product.free()
    trouble = [line for line in log.lines() if any(word in line for word in TROUBLE)]
    assert not trouble, trouble


def test_what_chat_could_not_be_told_is_told_when_it_is_back(product, sim, chat, container):
    """No heal follows that would try again; only the sensor sees that something waits."""
    product.bmc_alone(sim, chat)
    product.sensors(on=True)
    chat.status = 500
    output = product.api.output(product.api.run(f"{PACK}.notify", text="The rack is repaired."))
    assert (output["delivered"], output["waiting"]) == (0, 1), output
    chat.status = 200
    until(lambda: chat.heard, 180, "the message that waited")
    assert chat.heard == [("bmc_healer", "The rack is repaired.")]
    until(
        lambda: "rack" not in "".join(product.api.keys(f"{PACK}:o:").values()), 30, "the end of the message"
    )
