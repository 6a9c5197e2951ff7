"""A heal as a person starts it in the web UI: the API call that its form makes."""

from tests.stackstorm.product import PACK


def test_a_healthy_bmc_is_reset_once_by_force(product, sim, chat):
    product.bmc_alone(sim, chat)
    execution = product.force(reason="trial")
    output = product.api.output(execution)
    assert output["outcome"] == "healed", output
    assert next(iter(output)) == "summary" and "\n" not in output["summary"]
    assert sim.bmc.status().resets == 1
    assert product.api.tasks(execution)[:2] == ["begin_heal", "diagnose"]
    assert product.api.tasks(execution)[-1] == "tell_end"
    assert len(chat.heard) == 2


def test_a_healthy_bmc_is_left_alone(product, sim):
    product.bmc_alone(sim)
    output = product.api.output(product.api.run(f"{PACK}.heal", host="labhost"))
    assert output["outcome"] == "not_needed", output
    assert sim.bmc.status().resets == 0
