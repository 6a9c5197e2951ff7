"""Every command: what it prints, for people and for machines, and its exit status."""

import json

import pytest

from bmc_healer_cli import engine
from bmc_healer_cli.options import Options
from tests.cli.incident import INCIDENT


@pytest.mark.parametrize(
    ("host", "status", "outcome"),
    [
        ("db01", 0, "healed"),
        ("well", 0, "not_needed"),
        ("busy", 3, "refused"),
        ("asks", 3, "proposed"),
        ("half", 4, "relieved"),
        ("dead", 4, "escalated"),
        ("broken", 4, None),
    ],
)
def test_heal_ends_with_the_status_of_its_outcome(cli_json, host, status, outcome):
    got, document = cli_json("heal", host)
    assert (got, document["outcome"], document["host"]) == (status, outcome, host)
    assert next(iter(document)) == "summary"


def test_heal_shows_every_step_on_a_pipe_as_a_line_with_a_time(cli):
    status, out, err = cli("heal", "db01")
    assert (status, err) == (0, "")
    *steps, headline, _, story = out.splitlines()
    assert all(line[10] == "T" and line[19] == "Z" for line in steps)
    assert [line[21:] for line in steps if line.endswith(" ...")] == [
        "begin ...",
        "look and diagnose ...",
        "rung: in-band cold reset ...",
        "gate: in-band reset worked? ...",
        "rung: out-of-band cold reset ...",
        "gate: healthy again? ...",
        "conclude ...",
    ]
    failed = next(line for line in steps if "gate: in-band reset worked? failed after" in line)
    assert failed.endswith(" s: The BMC never went dark: nothing was reset.")
    assert headline == "db01: healed by oob. Healed by an out-of-band cold reset."
    assert story == "The whole story: bmc-healer report db01-20261121-104512"


def test_heal_hands_its_options_to_the_workflow(cli_json):
    asked = ("--force", "--dry-run", "--rungs", "oob,inband", "--incident", "well-1", "--reason", "a test")
    _, document = cli_json("heal", "well", *asked)
    assert document["asked"] == {
        "rungs": ["inband", "oob"],
        "force": True,
        "dry_run": True,
        "approves": "well-1",
        "reason": "a test",
        "source": "person",
    }


@pytest.mark.parametrize("rungs", ["", "oob,reboot", "reap"])
def test_heal_knows_its_rungs(cli, rungs):
    status, _, err = cli("heal", "db01", "--rungs", rungs)
    assert status == 2
    assert "choose from inband, unload, oob" in err


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        (["diagnose", "DB01"], {"host": "DB01"}),
        (["sweep", "--label", "rack=r1"], {"label": "rack=r1"}),
        (["status"], {}),
        (["status", "db01"], {"host": "db01"}),
        (["pause", "fleet", "--minutes", "5"], {"target": "fleet", "minutes": 5, "reason": "maintenance"}),
        (["resume", "rack=r1"], {"target": "rack=r1"}),
    ],
)
def test_the_other_verbs_pass_what_was_asked(cli_json, arguments, given):
    status, document = cli_json(*arguments)
    assert status == 0
    assert given.items() <= document.items()


def test_a_result_for_people_begins_with_its_sentence(cli):
    status, out, _ = cli("status", "db01")
    assert (status, out.splitlines()[0]) == (0, "All is well.")
    assert "\na\thealed\n" in out, "a table on a pipe is separated by tabs"


@pytest.mark.parametrize(("target", "status"), [("nowhere", 2), ("blind", 1)])
def test_an_action_that_fails(cli, target, status):
    got, out, _ = cli("resume", target)
    assert got == status
    assert out.startswith(("the host 'nowhere'", "The datastore"))


@pytest.mark.parametrize("command", ["status", "diagnose"])
@pytest.mark.parametrize("host", ["nosuch", "db01; reboot", "db\x1b[2J"])
def test_a_host_that_nobody_has_starts_nothing(cli, command, host):
    status, out, err = cli(command, host)
    assert (status, out) == (2, "")
    assert err.startswith("bmc-healer: ")
    assert err.strip().isprintable()


def test_chat_prints_what_chat_would_hear(cli, cli_json):
    status, out, _ = cli("chat", "!bmc reset db01")
    assert status == 0
    assert out.splitlines()[0].endswith(" Looking at db01.")
    assert out.splitlines()[-1] == "db01: healed."
    status, document = cli_json("chat", "bmc reset host busy")
    assert (status, document["ack"], document["text"]) == (3, "Looking at busy.", "busy: refused.")
    assert document["outcome"] == "refused"


def test_chat_that_nobody_understands(cli):
    status, _, err = cli("chat", "please help")
    assert (status, err) == (2, "bmc-healer: Command 'please help' matched no patterns\n")


def test_trigger_starts_what_the_rules_say(cli, cli_json):
    status, out, _ = cli("trigger", "kipmi.high_cpu", '{"host": "dead"}')
    assert status == 4
    assert "rule bmc_healer.heal starts bmc_healer.heal" in out
    status, document = cli_json("trigger", "bmc_healer.kipmi.high_cpu", '{"host": "well"}')
    assert (status, document["executions"][0]["outcome"]) == (0, "not_needed")


def test_trigger_that_no_rule_wants(cli, cli_json):
    assert cli_json("trigger", "kipmi.high_cpu", '{"host": "ignored"}')[1]["executions"] == []
    status, out, _ = cli("trigger", "kipmi.high_cpu", '{"host": "ignored"}')
    assert (status, out.split(": ")[1]) == (0, "no rule matches this payload, nothing was started.\n")


@pytest.mark.parametrize(
    ("ref", "payload", "reason"),
    [
        ("kipmi.high_cpu", "{", "not valid JSON"),
        ("kipmi.high_cpu", "[]", "must be a JSON object"),
        ("kipmi.high_cpu", "{}", "'host' is a required property"),
        ("no.such", "{}", "declares no such trigger type"),
    ],
)
def test_trigger_with_bad_input(cli, ref, payload, reason):
    status, _, err = cli("trigger", ref, payload)
    assert status == 2
    assert reason in err
    assert err.count("\n") == 1


@pytest.fixture
def incidents(tmp_path):
    state = engine.state(Options(state_dir=tmp_path / "state"))
    state.save_incident(INCIDENT)
    other = {"id": "db02-20261121-114512", "host": "db02", "started_at": INCIDENT["started_at"] + 3600}
    state.save_incident({**other, "reason": "a \x1b[31m person", "outcome": None, "steps": []})


def test_incidents(cli, cli_json, incidents):
    status, out, _ = cli("incidents")
    assert status == 0
    assert [line.split("\t")[:2] for line in out.splitlines()] == [
        ["db02-20261121-114512", "running"],
        ["db01-20261121-104512", "healed by oob"],
    ]
    assert "\x1b" not in out
    assert [i["host"] for i in cli_json("incidents", "--host", "DB01")[1]["incidents"]] == ["db01"]
    assert [i["host"] for i in cli_json("incidents", "--limit", "1")[1]["incidents"]] == ["db02"]


def test_no_incidents(cli, cli_json):
    assert cli("incidents")[:2] == (0, "No incident is known.\n")
    assert cli_json("incidents") == (0, {"incidents": []})


def test_report(cli, cli_json, incidents):
    status, out, _ = cli("report", INCIDENT["id"])
    assert status == 0
    assert "Outcome    healed by oob\n" in out
    assert cli_json("report", INCIDENT["id"]) == (0, json.loads(json.dumps(INCIDENT)))
    assert "\x1b" not in cli("report", "db02-20261121-114512")[1]


@pytest.mark.parametrize("identity", ["db01-20261121-000000", "../../etc/passwd", "x\x1b]0;y\x07"])
def test_report_of_nothing(cli, incidents, identity):
    status, _, err = cli("report", identity)
    assert status == 2
    assert "there is no incident" in err
    assert err.strip().isprintable()
