"""Looking at a host's BMC when something that the look needs is missing."""

import json
from dataclasses import replace

import pytest

from bmc_healer.bmc.facts import Login
from bmc_healer.bmc.identity import machine
from bmc_healer.config.settings import GuardrailSettings, WatchSettings
from bmc_healer.diagnosis import Verdict, diagnose
from bmc_healer.errors import BmcError, BmcLoginError
from bmc_healer.host.facts import Dmi
from bmc_healer.state import keys
from bmc_healer.verbs import look
from bmc_healer.verbs import step as step_module
from bmc_healer.verbs.begin_heal import begin_heal
from bmc_healer.verbs.step import Step
from tests.unit import made
from tests.unit.verbs import SILENT_PORT, config, first_looks_ended, host, runtime


def test_the_bios_is_remembered_for_the_day_on_which_the_host_cannot_be_looked_at():
    rt = runtime()
    seen = made.found(replace(made.host(), dmi=replace(made.host().dmi, bios_version="2.19")), made.bmc())
    look.remember(rt, rt.host("db01"), seen, diagnose(seen, WatchSettings(), GuardrailSettings()))
    memory = rt.state.memory("db01")
    assert memory.bios == "2.19"
    unseen = replace(made.found(None, made.bmc()), memory=memory)
    told = look.evidence(unseen, diagnose(unseen, WatchSettings(), GuardrailSettings()))
    assert told["bios_remembered"] == "2.19"


def test_the_firmware_is_remembered_though_in_band_hangs():
    """A host that hung before it was ever seen well: the next refusal to heal it names its firmware."""
    rt = runtime()
    seen = made.found(made.host((made.STUCK,)), replace(made.bmc(), firmware="6.9"))
    look.remember(rt, rt.host("db01"), seen, diagnose(seen, WatchSettings(), GuardrailSettings()))
    assert rt.state.memory("db01").firmware == "6.9"


@pytest.mark.parametrize(
    ("found", "proven"),
    [
        (made.found(made.host((made.STUCK,)), made.bmc()), True),
        (made.found(made.host((made.BUSY,)), made.bmc(), replace(made.NO_ANSWER, given_up=True)), True),
        (made.found(made.host(), made.bmc(), made.NO_ANSWER), False),
    ],
    ids=["counters", "soft hang", "a probe without an answer"],
)
def test_a_proven_hang_is_remembered_for_when_the_host_cannot_be_reached(found, proven):
    rt = runtime()
    look.remember(rt, rt.host("db01"), found, diagnose(found, WatchSettings(), GuardrailSettings()))
    memory = rt.state.memory("db01")
    assert (memory.hang_proven_at is not None, memory.hang_since) == (proven, found.now)


@pytest.mark.parametrize(
    ("credential", "why"),
    [
        ({"password_key": "bmc_dell"}, "the datastore gives no value for the key 'bmc_dell'"),
        ({"password_file": "/nowhere/dell"}, "cannot be read: No such file or directory"),
    ],
)
def test_a_credential_that_cannot_be_read_is_a_session_that_failed_and_says_why(credential, why):
    settings = config() | {"credentials": {"lab": {"username": "admin", **credential}}}
    rt = runtime(settings)
    found = rt.look_at_bmc(rt.host("db01"), "127.0.23.1")
    assert (found.alive, found.login) == (False, Login.FAILED)
    assert "credentials.lab" in found.error and why in found.error
    assert rt.state.fleet().bad_logins == ()


@pytest.mark.parametrize("force", [False, True])
def test_nothing_is_reset_while_redfish_cannot_be_asked_for_want_of_the_credential(force):
    """A Redfish task is no symptom: who insists does not get around it either."""
    bmc = {**host()["bmc"], "redfish": {"url": "https://127.0.23.1"}}
    settings = config({"db01": host(bmc=bmc)})
    settings["credentials"] = {"lab": {"username": "admin", "password_key": "bmc_dell"}}
    rt = runtime(settings)
    incident = rt.state.incident(begin_heal(rt, {"host": "db01"})["incident"])
    due = {"plan": ["oob"], "next": {"task": "reset_out_of_band", "index": 0}, "force": force}
    rt.state.save_incident({**incident, **due})
    hung = made.found(made.host(windows=(made.STUCK,) * 3, kipmi=100.0), made.bmc())
    with Step(rt, "reset_out_of_band", {"host": "db01", "incident": incident["id"]}) as step:
        verdict, why = step.why_not(diagnose(hung, WatchSettings(), GuardrailSettings()), hung)
    assert verdict == "stop"
    assert "Whether a Redfish task runs cannot be known" in why and "'bmc_dell'" in why


def asked_for_a_task(rt, monkeypatch, answer, meanwhile=lambda: None):
    """What a heal of db01 hears of its BMC's Redfish tasks, and how often the BMC was asked."""
    asked = []

    def task_running(settings, login, *, limit):
        asked.append(settings.url)
        if answer is not None:
            raise answer
        return False

    monkeypatch.setattr(step_module.redfish, "task_running", task_running)
    incident = rt.state.incident(begin_heal(rt, {"host": "db01"})["incident"])
    first_looks_ended()
    due = {"plan": ["oob"], "next": {"task": "reset_out_of_band", "index": 0}}
    rt.state.save_incident({**incident, **due})
    meanwhile()
    hung = made.found(made.host(windows=(made.STUCK,) * 3, kipmi=100.0), made.bmc())
    with Step(rt, "reset_out_of_band", {"host": "db01", "incident": incident["id"]}) as step:
        said = [step.why_not(diagnose(hung, WatchSettings(), GuardrailSettings()), hung) for _ in range(2)]
    return said, len(asked)


@pytest.fixture
def with_redfish():
    return runtime(config({"db01": host(bmc={**host()["bmc"], "redfish": {"url": "https://127.0.23.1"}})}))


def test_a_login_that_redfish_refuses_counts_as_refused_by_this_bmc(with_redfish, monkeypatch):
    """IPMI took it: only this question finds it wrong, and would in every heal."""
    rt = with_redfish
    refused = BmcLoginError("Redfish refuses the login", "https://127.0.23.1")
    said, asked = asked_for_a_task(rt, monkeypatch, refused)
    assert asked == 1
    assert [verdict for verdict, _ in said] == ["stop", "stop"]
    assert "Redfish refuses the login" in said[0][1] and "the BMC refused the credential lab" in said[1][1]
    assert [(bad.credential, bad.bmc_address) for bad in rt.state.fleet().bad_logins] == [
        ("lab", f"127.0.23.1:{SILENT_PORT}")
    ]


def test_a_credential_that_is_stopped_is_not_tried_over_redfish(with_redfish, monkeypatch):
    def meanwhile():  # it is other hosts' BMCs that refuse it, while this heal is under way
        with_redfish.state.stop_credential("lab", "refused by 10.1.0.5:623, 10.1.0.6:623")

    said, asked = asked_for_a_task(with_redfish, monkeypatch, None, meanwhile)
    assert asked == 0
    assert said[0][0] == "stop" and "the credential lab is stopped" in said[0][1]


def test_a_redfish_that_cannot_be_asked_says_nothing_of_the_login(with_redfish, monkeypatch):
    said, asked = asked_for_a_task(with_redfish, monkeypatch, BmcError("Redfish does not answer properly"))
    assert asked == 2 and said[0][0] == "stop"
    assert with_redfish.state.fleet().bad_logins == ()


@pytest.mark.parametrize("watch", ["bmc", "kipmi"])
def test_a_bmc_whose_lan_a_watch_saw_silent_minutes_ago_is_booting(watch):
    rt = runtime()
    rt.look_at_bmc = lambda host, pinned: made.bmc()
    key = keys.key(keys.LAN, keys.fleet_part("db01"), watch)
    seen = {"db01": [rt.clock() - 50, rt.clock() - 60, rt.clock() - 120], "db02": [None, None, None]}
    assert look.gather(rt, rt.host("db01"), None, "127.0.23.1")[1].verdict is not Verdict.BOOTING
    rt.datastore.rows[key] = json.dumps({"name": "lan", "document": seen})
    found, diagnosis = look.gather(rt, rt.host("db01"), None, "127.0.23.1")
    assert found.memory.lan_dark_since == rt.clock() - 120
    assert diagnosis.verdict is Verdict.BOOTING


def test_a_bmc_that_was_dark_for_hours_and_answers_now_is_booting():
    """The watches keep when its silence began, not that it lasted until a second ago."""
    rt = runtime()
    rt.look_at_bmc = lambda host, pinned: made.bmc()
    key = keys.key(keys.LAN, keys.fleet_part("db01"), "bmc")
    seen = {"db01": [rt.clock() - 20_000, rt.clock() - 18_000, rt.clock() - 18_000]}
    rt.datastore.rows[key] = json.dumps({"name": "lan", "document": seen})

    def booting():
        return look.gather(rt, rt.host("db01"), None, "127.0.23.1")[1].verdict is Verdict.BOOTING

    assert booting()
    rt.clock.sleep(590)
    assert booting()
    rt.clock.sleep(20)
    assert not booting()


OLD, NEW = (Dmi(uuid=f"{digit * 8}-90de-4f10-a1b2-c3d4e5f60718") for digit in "78")
ODD = replace(made.bmc(), guid="ab" * 15 + "cd")  # in no byte order the UUID of either machine


def identified(rt, dmi):
    """The identity of db01's BMC, once the host was looked at; `dmi` None: it cannot be reached."""
    rt.look_at_bmc = lambda host, pinned: ODD
    db01 = rt.host("db01")
    facts = replace(made.host((made.STUCK,)), dmi=dmi) if dmi else None
    seen = replace(made.found(facts, ODD), memory=rt.state.memory("db01"))
    look.remember(rt, db01, seen, diagnose(seen, WatchSettings(), GuardrailSettings()))
    return look.identify(rt, db01, facts, ODD, rt.state.memory("db01"))


def test_a_guid_that_was_learnt_on_another_machine_proves_nothing():
    """The disks of db01 are in another chassis, and bmc.address is still that of the one before."""
    rt = runtime()
    rt.state.remember("db01", bmc_guid=ODD.guid, bmc_guid_machine=machine(OLD))
    assert identified(rt, OLD).how == "remembered"
    assert identified(rt, None).how == "remembered"
    moved = identified(rt, NEW)
    assert not moved.proven
    assert machine(OLD) in moved.sentence and machine(NEW) in moved.sentence
    assert not identified(rt, None).proven, "it was last seen on the new machine"
    assert identified(rt, OLD).how == "remembered"


def test_a_guid_that_was_remembered_without_its_machine_holds():
    rt = runtime()
    rt.state.remember("db01", bmc_guid=ODD.guid)
    assert identified(rt, NEW).how == "remembered"
