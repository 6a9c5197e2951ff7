"""Heals that were asked for in chat: progress, and a text per outcome. Read the texts with `-rP`."""

from __future__ import annotations

import json
import re
import time

import pytest

from bmc_healer.state import keys
from tests.stackstorm.api import until
from tests.stackstorm.bot import Bot, kill
from tests.stackstorm.product import GUARDRAILS, HOST, PACK

INCIDENT = rf"{HOST}-\d{{8}}-\d{{6}}"
UTC = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"
HEAL_SECONDS = 400.0
REFUSED = f"{HOST}: refused, nothing was reset."
RESUME = f"Nothing more is done on it until `!bmc resume {HOST}` or recovery."


@pytest.fixture
def bot(api):
    return Bot(api)


@pytest.fixture
def hung(product, sim, chat):
    """A host that is known by its BMC alone, and whose in-band hang was proven a moment ago."""
    product.bmc_alone(sim, chat)
    learnt = keys.key(keys.host(HOST), "memory", "hang_proven_at")
    product.api.key(learnt, json.dumps({"value": time.time()}))
    return product


def reset(bot, seconds=HEAL_SECONDS):
    return bot.talk(f"bmc reset host {HOST}", seconds)


def tidied(product):
    """End what has died, as the rule on heal.overdue does, until its host is free."""

    def free():
        return product.api.output(product.api.run(f"{PACK}.tidy", host=HOST)).get("freed")

    until(free, 300, f"the end of the dead heal of {HOST}", interval=5)


def matches(text, *parts):
    """`text` is made of these parts, regular expressions."""
    assert re.fullmatch(" ".join(parts), text), text
    return True


def test_an_escalation_and_what_follows(hung, bot, chat, sim):
    hung.config["guardrails"] = {**GUARDRAILS, "cooldown_seconds": 3600}
    hung.configure()
    why = "The ladder ended without health. In-band IPMI could not be checked: the host cannot be looked at."
    assert matches(
        reset(bot),
        re.escape(f"{HOST}: escalated, a person has to look. {why} What is left is repair,"),
        rf"while no firmware update runs: .* {re.escape(RESUME)} \(incident {INCIDENT}\)",
    )
    assert chat.titles == [f"{HOST}: healing the BMC", f"{HOST}: BMC needs a person"], chat.heard
    assert f"`!bmc status {HOST}` says how far it is." in chat.heard[0][1] and why in chat.heard[1][1]
    held = f"{HOST}: mode auto. Held since {UTC} for a person: {re.escape(why)}"
    assert matches(bot.talk(f"bmc status {HOST}"), held, f"`bmc resume {HOST}` ends that.")
    assert matches(
        reset(bot),
        rf"{REFUSED} It was escalated at {UTC}:",
        rf"{re.escape(why[:-1])} \(latch: {INCIDENT}\). What to do: once a person has looked at it:",
        rf"bmc resume {HOST}.",
    )
    assert bot.talk(f"bmc resume {HOST}") == f"{HOST}: the hold after its escalation is over."
    assert matches(
        reset(bot),
        rf"{REFUSED} Its last heal was at {UTC} \(cooldown_seconds: 3600\).",
        r"What to do: wait, or start bmc_healer.heal with force \(web UI or command line\).",
        rf"Not before {UTC}.",
    )
    assert sim.bmc.status().resets == 1


def test_who_waits_asks_how_far_it_is_and_cancels(hung, bot, chat, sim):
    sim.bmc.reset_seconds(500)
    hung.config["ladder"]["back_wait"] = 500
    hung.configure()
    execution = bot.order(f"bmc reset {HOST}")
    sim.bmc.wait(lambda now: now.dark, seconds=HEAL_SECONDS, what="the reset")  # the rung waits for its end
    now = rf"since {UTC} \({INCIDENT}\), now: reset out of band"
    assert matches(bot.talk("bmc status"), f"1 host, mode auto. Healing now: {HOST} {now}.")
    assert matches(
        reset(bot),
        rf"{REFUSED} It is being healed since {UTC} by \S+",
        rf"\(lock: {INCIDENT}\). What to do: wait for its end; a heal that died is found and cleared",
        rf"within five minutes. Not before {UTC}.",
    )
    assert bot.talk(f"bmc pause {HOST} 5 I want to look").endswith(
        f"I want to look. Healing right now, and stopped before the next deed: {HOST}."
    )
    assert sim.bmc.status().resets == 1
    hung.api.cancel(execution)
    sim.bmc.restore()
    assert bot.says(execution) == (
        f"{HOST}: this heal was cancelled. What is under way goes on to its own end, nothing more is "
        f"started. Within five minutes it is concluded; `!bmc status {HOST}` says how, and whether the host "
        "is held."
    )
    assert sim.bmc.status().resets == 0, "since restored"
    tidied(hung)
    assert chat.titles[-1] == f"{HOST}: BMC needs a person", chat.heard
    assert "Held since" in bot.talk(f"bmc status {HOST}")


def test_an_action_that_was_killed(hung, bot, sim):
    sim.bmc.reset_seconds(20)
    execution = bot.order(f"bmc reset {HOST}")
    kill(hung.api, execution, "gate_out_of_band_reset")
    assert matches(
        bot.says(execution),
        rf"{HOST}: escalated, a person has to look. The step gate_out_of_band_reset ended without a",
        r"result: what it was doing may have happened. Nothing more is sent; the lock is freed when no",
        r"process of this heal is left. A person takes over and looks at the host.",
        rf"{re.escape(RESUME)} \(incident {INCIDENT}\)",
    )
    tidied(hung)


def test_a_heal_that_dies_before_it_begins(hung, bot, sim):
    execution = bot.order(f"bmc reset {HOST}")
    kill(hung.api, execution, "begin_heal")
    assert bot.says(execution) == (
        "Refused, nothing was reset. The heal did not begin: its first task died, and nothing was done. "
        "Its log says why."
    )
    assert sim.bmc.status().resets == 0
    tidied(hung)


def test_a_look_that_was_killed(hung, bot):
    execution = bot.order(f"bmc diagnose {HOST}")
    kill(hung.api, execution, "")
    # StackStorm cannot tell a killed action from one that took too long.
    why = rf"\((failed|timeout), execution {execution}\)"
    assert matches(bot.says(execution), rf"The look broke off; nothing was changed {why}.")


def test_what_is_only_observed_is_proposed(hung, bot, sim):
    hung.config["mode"] = "observe"
    hung.configure()
    assert matches(
        reset(bot),
        rf"{HOST}: proposed, nothing was reset. .* Proposed: oob -> load. Mode is observe: nothing is done.",
        rf"\(incident {INCIDENT}\)",
    )
    assert sim.bmc.status().resets == 0


def test_a_proposal_is_carried_out_by_its_command(hung, bot, chat, sim):
    hung.config["mode"] = "propose"
    hung.configure()
    found = {"host": HOST, "source": "sensor", "reason": "kipmi.high_cpu: stuck_counters"}
    proposed = hung.api.output(hung.api.run(f"{PACK}.heal_request", **found), HEAL_SECONDS)
    assert proposed["outcome"] == "proposed", proposed
    (told,) = [body for title, body in chat.heard if title == f"{HOST}: BMC reset proposed"]
    command = re.search(rf"within 30 minutes: `!(bmc heal {HOST} {INCIDENT})`\.", told)
    assert command and proposed["to_do"] in told, told
    assert sim.bmc.status().resets == 0
    assert bot.talk(command[1], HEAL_SECONDS).startswith(f"{HOST}: escalated, a person has to look. ")
    assert sim.bmc.status().resets == 1


def test_a_hung_bmc_is_healed(product, lab, chat, bot):
    product.guest(lab, chat)
    assert matches(
        reset(bot),
        rf"{HOST}: no heal needed. No symptom: in-band IPMI answers in \d+.\d s. \(incident {INCIDENT}\)",
    )
    lab.bmc.hang()
    assert matches(
        bot.talk(f"bmc diagnose {HOST}", HEAL_SECONDS),
        rf"{HOST}: In-band IPMI hangs.*, the BMC's LAN side answers.",
        rf"A heal would go: .*oob -> load; it begins with `!bmc reset {HOST}`.",
    )
    assert lab.bmc.status().resets == 0
    assert matches(
        reset(bot),
        rf"{HOST}: Healed by an out-of-band cold reset. In-band answered 3 times in a row, kipmi takes \d+",
        rf"%, the BMC answers over the LAN, the host did not reboot. \(incident {INCIDENT}\)",
    )
    assert lab.bmc.status().resets == 1
    assert chat.titles == [f"{HOST}: no heal needed", f"{HOST}: healing the BMC", f"{HOST}: BMC healed"]
    assert "Why: asked for in chat by anna" in chat.heard[1][1]


def test_a_bmc_that_does_not_return(product, lab, bot):
    product.guest(lab)
    product.config["ladder"].update(back_wait=10)
    product.config["guardrails"].update(booting_seconds=5)
    product.configure()
    lab.bmc.reset_seconds(None)
    lab.bmc.hang()
    assert matches(
        reset(bot),
        rf"{HOST}: The host is relieved, the BMC is not healed. The BMC went dark .* has not come back. .*",
        r"Check the BMC's power and network; when it answers again, the host is brought back by itself.",
        rf"\(incident {INCIDENT}\)",
    )
