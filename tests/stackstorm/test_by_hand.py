"""A heal as a person starts it in the web UI: the API call that its form makes."""

from tests.stackstorm.product import HOST, PACK


def test_a_hung_bmc_is_healed(product, lab, chat):
    product.guest(lab, chat)
    lab.bmc.hang()
    execution = product.api.run(f"{PACK}.heal", host=HOST, reason="trial")
    output = product.api.output(execution, 400)
    assert (output["outcome"], output["healed_by"]) == ("healed", "oob"), output
    assert next(iter(output)) == "summary" and "\n" not in output["summary"]
    assert lab.bmc.status().resets == 1
    tasks = product.api.tasks(execution)
    assert (tasks[:2], tasks[-2:]) == (["begin_heal", "diagnose"], ["finish_heal", "tell_end"])
    assert {"reset_out_of_band", "gate_out_of_band_reset", "load_driver", "gate_health"} < set(tasks)
    assert chat.titles == ["labhost: healing the BMC", "labhost: BMC healed"], chat.heard


def test_a_host_that_cannot_be_looked_at_is_left_alone(product, sim):
    product.bmc_alone(sim)
    output = product.api.output(product.api.run(f"{PACK}.heal", host=HOST))
    assert output["outcome"] == "refused", output
    assert sim.bmc.status().resets == 0


def test_a_reset_that_only_the_lan_side_can_prove_is_no_heal(product, sim):
    product.bmc_alone(sim)
    output = product.api.output(product.force())
    assert output["outcome"] == "escalated", output
    assert "In-band IPMI could not be checked" in output["summary"]
    assert sim.bmc.status().resets == 1
