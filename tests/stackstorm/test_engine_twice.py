"""Several triggers for one host at the same instant: one heal; the others say who heals since when."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.guest.outside import assert_well, channels, hang
from tests.guest.payload import kipmi_high_cpu
from tests.stackstorm.api import until
from tests.stackstorm.product import HOST, PACK

AT_ONCE = 3
HEALS = (f"{PACK}.heal", f"{PACK}.heal_request")  # people start the one, rules the other
POLICY = f"{PACK}.one_begin_heal_per_host"
HEAL_SECONDS = 300.0


@pytest.fixture
def heals(api):
    """The heals that were started since."""
    before = {run["id"] for action in HEALS for run in api.executions(action)}
    return lambda: [
        run["id"] for action in HEALS for run in api.executions(action) if run["id"] not in before
    ]


@pytest.fixture
def without_policy(api):
    """As without a coordination back end: StackStorm lets every begin_heal run at once."""
    policy = api.call("GET", f"/policies/{POLICY}")
    api.call("PUT", f"/policies/{policy['id']}", {**policy, "enabled": False})
    yield
    api.call("PUT", f"/policies/{policy['id']}", {**policy, "enabled": True})


def at_once(acts):
    """Do them all at the same instant."""
    with ThreadPoolExecutor(len(acts)) as pool:
        list(pool.map(lambda act: act(), acts))


def one_of(product, executions):
    """Of several heals one began, and the others were refused for it: the one, and the others."""
    outputs = [product.api.output(execution, HEAL_SECONDS) for execution in executions]
    begun = [output for output in outputs if output["incident"]]
    refused = [output for output in outputs if not output["incident"]]
    assert (len(begun), len(refused)) == (1, AT_ONCE - 1), outputs
    for output in refused:
        assert (output["outcome"], output["steps"]) == ("refused", [])
        who = rf"It is being healed since .+ UTC by .+ \(lock: {re.escape(begun[0]['incident'])}\)"
        assert re.search(who, output["summary"]), output["summary"]
    product.free()
    return begun[0], refused


def test_heals_that_people_start_at_once(product, sim, chat, heals):
    product.bmc_alone(sim, chat)
    at_once([product.force] * AT_ONCE)
    begun, refused = one_of(product, heals())
    assert [step["step"] for step in begun["steps"]][:2] == ["diagnose", "reset_out_of_band"]
    assert [one.channel for one in sim.bmc.status().received] == ["lan"]
    said = [body for title, body in chat.heard if title == f"{HOST}: BMC not touched"]
    assert sorted(said) == sorted(output["summary"] for output in refused)


def test_heals_at_once_that_no_policy_holds_apart(product, sim, heals, without_policy):
    product.bmc_alone(sim)
    at_once([product.force] * AT_ONCE)
    one_of(product, heals())
    assert sim.bmc.status().resets == 1


def test_triggers_of_two_sensors_at_once(product, lab, chat, heals):
    product.guest(lab, chat)
    hang(lab)
    payload = kipmi_high_cpu()
    inband = {
        **payload,
        "path": "inband",
        "address": None,
        "failures": 0,
        "last_seen": None,
        "error": "stuck",
    }
    told = [("kipmi.high_cpu", payload), ("bmc.unresponsive", inband), ("kipmi.high_cpu", payload)]
    at_once([lambda one=one: product.api.trigger(f"{PACK}.{one[0]}", one[1]) for one in told])
    until(lambda: len(heals()) == AT_ONCE, 60, "a heal for each trigger")
    begun, _ = one_of(product, heals())
    assert (begun["outcome"], begun["healed_by"]) == ("healed", "oob"), begun
    assert chat.titles.count(f"{HOST}: BMC healed") == 1
    assert chat.titles.count(f"{HOST}: BMC not touched") == 1  # the same refusal is told once
    assert channels(lab) == ["lan"]
    assert_well(lab, resets=1)
