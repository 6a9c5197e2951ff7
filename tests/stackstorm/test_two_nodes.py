"""Two sensor containers with StackStorm's default partition scheme: their sensors share the fleet."""

import pytest

from lab.fleet import PASSWORD, USER, Fleet
from tests.stackstorm.api import until
from tests.stackstorm.inventories import rows, write
from tests.stackstorm.product import HOST, PASSWORD_KEY
from tests.stackstorm.watching import Log, Told, Watching

ANSWERING = 200
KNOWN_SECONDS = 90.0
JOINED_SECONDS = 120.0  # one that comes waits for 40 s, after its start
TAKEN_OVER_SECONDS = 150.0
SHARE = "parts of the fleet"


@pytest.fixture
def configured(product, sim, tmp_path):
    """Two hundred BMCs that answer, and that of the lab."""
    product.api.key(PASSWORD_KEY, sim.password, secret=True)
    product.api.key("bmc_fleet", PASSWORD, secret=True)
    credentials = {
        "lab": {"username": sim.user, "password_key": PASSWORD_KEY},
        "fleet": {"username": USER, "password_key": "bmc_fleet"},
    }
    with Fleet() as fleet:
        every = rows(fleet.port, sim.lan_port, ANSWERING)
        file = tmp_path / "hosts.csv"
        write(file, {name: every[name] for name in [*list(every)[:ANSWERING], HOST]})
        product.config["mode"] = "observe"
        product.configured(mode="observe", inventory=str(file), credentials=credentials)
        yield fleet
        product.sensors(on=False)


def test_they_share_the_fleet_tell_each_thing_once_and_one_takes_over_from_the_other(
    product, sim, services, configured
):
    container = services["st2sensorcontainer"]
    log = Log(container)
    product.sensors(on=True)
    first = Watching(container)
    first.ready()
    until(lambda: len(product.answered()) == ANSWERING + 1, KNOWN_SECONDS, "the first sweep")
    assert not log.said(SHARE)
    with container.twin() as twin:
        Watching(twin).ready()
        until(lambda: len(log.said(SHARE, "beside")) >= 4, JOINED_SECONDS, "both sensors of both nodes")
        shares = [int(line.partition("watches ")[2].split()[0]) for line in log.said("BmcSensor", SHARE)]
        assert sum(shares) == 64 and all(10 < share < 54 for share in shares), shares
        told = silent(product, sim)
        sim.bmc.lan_ok()
        Told(product.api, "bmc.recovered").wait(KNOWN_SECONDS)
        twin.kill()
        before = len(log.said("this sensor watches the whole fleet"))
        assert before == 0
    until(
        lambda: len(log.said("this sensor watches the whole fleet")) == 2,
        TAKEN_OVER_SECONDS,
        "what the other node watched",
    )
    again = silent(product, sim)
    assert again["key"] != told["key"]


def silent(product, sim):
    """The lab's BMC falls silent: what is told of it, once."""
    news = Told(product.api, "bmc.unresponsive")
    sim.bmc.lan_dead()
    until(news.new, KNOWN_SECONDS, "the trigger")
    until(lambda: product.incidents(), KNOWN_SECONDS, "the heal it starts")
    payloads = [one["payload"] for one in news.new()]
    assert len({(payload["host"], payload["key"]) for payload in payloads}) == 1, payloads
    return payloads[0]
