"""The sensors in the sensor container find the fault, the rules start the heal, the engine carries it out."""

from __future__ import annotations

import pytest

from lab import Lab
from tests.stackstorm.api import until
from tests.stackstorm.product import HOST, PACK

NOTICED_SECONDS = 180.0
HEALED_SECONDS = 400.0


@pytest.fixture
def irq(tmp_path_factory):
    """A guest whose KCS interface has an interrupt: there is no kipmi thread that could spin."""
    run_dir = tmp_path_factory.mktemp("irq")
    with Lab(driver="stock", irq=5, name=HOST, reset_seconds=3, run_dir=run_dir) as lab:
        yield lab


def heals(product, lab, chat, trigger, rule):
    """Hang the BMC under two clients, and wait for what sensor, rule and engine make of it."""
    before = {execution["id"] for execution in product.api.executions(f"{PACK}.heal_request")}
    product.guest(lab, chat)
    product.sensors(on=True)
    lab.bmc.hang()
    lab.scenes.pile_up(2)

    def started():
        found = [e for e in product.api.executions(f"{PACK}.heal_request") if e["id"] not in before]
        return found[-1] if found else None

    execution = until(started, NOTICED_SECONDS, f"the heal that {trigger} starts")
    assert execution["rule"]["ref"] == f"{PACK}.{rule}"
    assert execution["trigger"]["name"] == trigger
    assert execution["parameters"]["source"] == "sensor"
    output = product.api.output(execution["id"], HEALED_SECONDS)
    assert (output["outcome"], output["healed_by"]) == ("healed", "oob"), output
    assert lab.bmc.status().resets == 1
    assert chat.titles == [f"{HOST}: healing the BMC", f"{HOST}: BMC healed"], chat.heard
    assert lab.guest("ipmitool mc info").rc == 0


def test_kipmi_high_cpu(product, lab, chat):
    heals(product, lab, chat, "kipmi.high_cpu", "heal_kipmi_high_cpu")


def test_bmc_unresponsive(product, irq, chat):
    heals(product, irq, chat, "bmc.unresponsive", "heal_bmc_unresponsive")
