"""ChatOps: what a person types, and what StackStorm lets the chat bot answer. Read the texts with `-rP`."""

from __future__ import annotations

import json
import re
import time

import pytest

from bmc_healer.state import keys
from tests.stackstorm.api import until
from tests.stackstorm.bot import Bot
from tests.stackstorm.product import HOST, PACK

OTHER = "db02"
SECRET_KEY, SECRET = "bmc_lab_canary", "c4n4ry-0f-ch4t"
HEAL = f"{PACK}.heal_request"
INCIDENT = rf"{HOST}-\d{{8}}-\d{{6}}"
UTC = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"
UNKNOWN = "The host 'labhots' is not in the configuration; near it: labhost. Check its spelling."


@pytest.fixture
def bot(api):
    return Bot(api)


@pytest.fixture
def alone(product, sim, chat):
    """One host that is known by its BMC alone, and one beside it whose BMC is silent."""
    product.bmc_alone(sim, chat)
    silent = {"address": "127.0.0.2", "port": 9, "credential": "lab"}
    product.config["hosts"][OTHER] = {"transport": "none", "bmc": silent, "labels": {"rack": "r12"}}
    product.configure()
    return product


def hung(product):
    """An in-band hang was proven a moment ago: without it a host that cannot be looked at is left alone."""
    learnt = keys.key(keys.host(HOST), "memory", "hang_proven_at")
    product.api.key(learnt, json.dumps({"value": time.time()}))


def task(api, execution, name, seconds=120.0):
    """Wait until a task of a heal runs."""
    until(lambda: name in api.tasks(execution), seconds, f"the task {name}")


def test_help_says_what_can_be_typed(api):
    aliases = api.call("GET", "/actionalias", pack=PACK, limit=100)
    lines = [f"{form['display']} - {alias['description']}" for alias in aliases for form in alias["formats"]]
    print("\n".join(sorted(lines)))
    assert len(lines) == len(aliases) == 7
    assert "bmc reset host HOST - Heal a host whose BMC has hung; one that is well is not reset" in lines
    assert all(re.fullmatch(r"bmc [a-z]+[A-Z a-z\[\]]* - [A-Z][^{}<>]{20,100}", line) for line in lines), (
        lines
    )


def test_both_ways_to_say_it_mean_the_same(alone, bot, sim):
    texts, given = set(), []
    for text in (f"bmc reset host {HOST}", f"bmc reset {HOST}"):
        execution = bot.order(text)
        given.append(alone.api.execution(execution)["parameters"])
        texts.add(re.sub(f"{INCIDENT}|{UTC}", "X", bot.says(execution)))
    assert given[0] == given[1] and given[0]["force"] is False and given[0]["source"] == "chat"
    (text,) = texts
    assert text.startswith(f"{HOST}: refused, nothing was reset. The host could not be looked at: ")
    assert "Its BMC answers over the LAN." in text and "Not before X. (incident X)" in text
    assert sim.bmc.status().resets == 0


@pytest.mark.parametrize(
    "setting", ["force=true", "dry_run=false", "rungs=oob", "source=person", "key=x", "reason=x"]
)
@pytest.mark.parametrize("verb", ["reset host", "heal"])
def test_chat_sets_nothing_but_the_host(bot, verb, setting):
    name = setting.partition("=")[0]
    assert bot.refused(f"bmc {verb} {HOST} {setting}") == f"Immutable arguments cannot be overriden: {name}"


@pytest.mark.parametrize(
    "text",
    [
        f"bmc reset {HOST} timeout=3",
        f"bmc status {HOST} env={{}}",
        f"bmc diagnose {HOST} incident=x",
        f"bmc pause {HOST} user=bob",
        f"bmc pause {HOST} soon",
        "bmc reset",
    ],
)
def test_what_else_stackstorm_refuses_at_once(bot, text):
    assert bot.refused(text)


def test_two_hosts_are_one_too_many(alone, bot, chat, sim):
    for text in (
        f"bmc reset {HOST} host={OTHER}",
        f"bmc reset host {HOST} {OTHER}",
        f"bmc heal {HOST} host={OTHER}",
    ):
        assert bot.talk(text) == "Refused, nothing was reset. The command names two hosts."
    for verb in ("pause", "resume"):
        said = bot.talk(f"bmc {verb} {HOST} target=fleet")
        assert said == "The command names two targets. Nothing was changed."
    assert bot.talk("bmc status") == "2 hosts, mode auto. No heal is running."
    assert (chat.heard, sim.bmc.status().resets) == ([], 0), "who mistyped hears it, the others need not"


def test_what_is_typed_is_not_evaluated(alone, bot):
    """Orquesta evaluates its inputs, the datastore's secrets included; nothing of that kind gets so far."""
    alone.api.key(SECRET_KEY, SECRET, secret=True)
    jinja = f"{{{{st2kv('system.{SECRET_KEY}')}}}}"
    decrypted = f"{{{{st2kv('system.{SECRET_KEY}',decrypt=true)}}}}"
    yaql = f"<%st2kv('system.{SECRET_KEY}')%>"
    said = [
        bot.refused(text)
        for marks in (jinja, decrypted, yaql)
        for text in (f"bmc reset {marks}", f"bmc heal {HOST} {marks}", f"bmc reset {HOST} host={marks}")
    ]
    said.append(Bot(alone.api, decrypted).refused(f"bmc reset {HOST}"))
    plain = f"{{{{st2kv.system.{SECRET_KEY}|decrypt_kv}}}}"
    for text in (f"bmc status {plain}", f"bmc pause fleet 5 {plain}", f"bmc sweep {plain}"):
        execution = bot.order(text)
        ended = alone.api.ended(execution)
        said.append(json.dumps(ended["result"]) + alone.api.said(execution))
    assert SECRET not in "".join(said)
    alone.api.forget(SECRET_KEY)


def test_unknown_hosts_and_proposals(alone, bot, chat):
    assert bot.talk("bmc reset labhots") == (
        f"Refused, nothing was reset. There is no such host in the configuration; near it: {HOST}."
    )
    for text in ("bmc diagnose labhots", "bmc status labhots", "bmc pause labhots", "bmc resume labhots"):
        assert bot.talk(text) == UNKNOWN
    assert bot.talk("bmc sweep rack:r99") == "No BMC to sweep with label 'rack=r99'."
    assert chat.heard == []
    assert bot.talk(f"bmc heal {HOST} {HOST}-20260101-000000").startswith(
        f"{HOST}: refused, nothing was reset. What was given is no proposal for it "
    )


def test_looks(alone, bot):
    assert bot.talk("bmc sweep") == f"1 of 2 BMCs answer. Silent: {OTHER}."
    assert bot.talk("bmc sweep rack:r12") == f"0 of 1 BMCs answer. Silent: {OTHER}."
    assert bot.talk(f"bmc status {HOST}") == f"{HOST}: mode auto. No heal of it is known."
    assert bot.talk(f"bmc diagnose {HOST}").startswith(
        f"{HOST}: The host could not be looked at: no way onto"
    )
    hung(alone)
    assert bot.talk(f"bmc diagnose {HOST}").endswith(
        f" An out-of-band reset is due. A heal would go: oob -> load; it begins with `!bmc reset {HOST}`."
    )


def test_a_pause_from_its_beginning_to_its_end(alone, bot, chat):
    hung(alone)
    assert re.fullmatch(
        rf"fleet is paused until {UTC}: switch work\.", bot.talk("bmc pause fleet 5 switch work")
    )
    assert (
        bot.talk(f"bmc pause {HOST}") == f"{HOST} is paused until `bmc resume {HOST}`: no reason was given."
    )
    since = rf"by anna since {UTC}, until resumed: no reason was given \(pause: host={HOST}\)"
    said = rf"{HOST}: refused, nothing was reset\. It is paused {since}\. What to do: bmc resume {HOST}\."
    assert re.fullmatch(said, bot.talk(f"bmc reset {HOST}"))
    assert chat.titles == [f"{HOST}: BMC not touched"]
    paused = f"Paused: fleet by anna: switch work; {HOST} by anna: no reason was given."
    assert bot.talk("bmc status") == f"2 hosts, mode auto. No heal is running. {paused}"
    assert bot.talk(f"bmc resume {HOST}") == (
        f"{HOST}: the pause is over. It is still paused with the fleet: `bmc resume fleet`."
    )
    assert bot.talk("bmc resume fleet") == "fleet: the pause is over."
    assert bot.talk("bmc resume fleet") == "fleet was neither paused nor held."


def test_what_the_bot_says_by_itself(alone, bot):
    """The whole way: StackStorm's notifier, chatops' rule for hubot, its workflow."""
    execution = bot.order("bmc status", route="hubot")
    assert bot.posted_by_rule(execution) == "2 hosts, mode auto. No heal is running."
