"""A heal whose reset lasts longer than the token that StackStorm gave that action, 24 h by default.

Only where authentication is on, and ST2_TOKEN_SECONDS says how long they live: docs/stackstorm.md.
"""

import pytest

from tests.stackstorm.product import HOST, LADDER, PACK

pytestmark = pytest.mark.token_life

SAID = (
    "The step reset_out_of_band broke off: The BMC acknowledged the cold reset (lanplus); only the gate can "
    "tell. This could not be recorded: the datastore would not write "
)
NO_TOKEN = "StackStorm does not take the token any more that it gave this action or sensor."


def test_what_came_of_a_reset_is_told_though_its_action_outlives_its_token(product, sim, chat, token_seconds):
    """The BMC is dark for longer than the token lives: the reset's end cannot be recorded any more."""
    product.bmc_alone(sim, chat)
    product.config["ladder"] = LADDER | {"back_wait": token_seconds + 120}
    product.configure()
    sim.bmc.reset_seconds(token_seconds + 20)
    output = product.api.output(product.force(), 2 * token_seconds + 300)
    assert output["outcome"] == "escalated" and output["summary"].startswith(SAID), output
    assert NO_TOKEN in output["summary"] and "nothing more is sent" in output["summary"].lower()
    incident = product.incidents()[0]
    assert (incident["outcome"], incident["sentence"]) == ("escalated", output["summary"])
    assert chat.titles == [f"{HOST}: healing the BMC", f"{HOST}: BMC needs a person"]
    assert output["summary"] in chat.heard[-1][1]
    assert sim.bmc.status().resets == 1

    sim.bmc.reset_seconds(3)
    product.sensors(on=True)  # which notice the heal that holds its lock without a sign of life
    product.free()
    product.sensors(on=False)
    assert len(chat.titles) == 2, "chat has heard it"
    product.api.output(product.api.run(f"{PACK}.resume", target=HOST))
    output = product.api.output(product.force())
    assert output["summary"].startswith("The ladder ended without health."), output
    assert sim.bmc.status().resets == 2
