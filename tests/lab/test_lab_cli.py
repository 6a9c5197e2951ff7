"""`python -m lab`: what it refuses, and its switches on a running BMC."""

import json

import pytest

from lab import BmcSim, cli


@pytest.fixture
def known(tmp_path, monkeypatch):
    """A BMC that stands where `up` would have left one; its guest is not needed for switches."""
    with BmcSim() as sim:
        monkeypatch.setenv("BMC_LAB_STATE", str(tmp_path))
        record = {"control_port": sim.control_port, "password": "", "guest": [], "oob": []}
        cli.record_of("labhost").write_text(json.dumps(record))
        yield sim


def test_nothing_is_up(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("BMC_LAB_STATE", str(tmp_path))
    assert cli.main(["status", "--name", "db01"]) == 1
    assert (
        capsys.readouterr().err == "lab: no lab 'db01' is up; start it with: python -m lab up --name db01\n"
    )


@pytest.mark.parametrize(
    ("words", "field", "value"),
    [
        (["hang"], "mode", "hang"),
        (["drop"], "mode", "drop"),
        (["slow", "2"], "mode", "slow"),
        (["lan-dead"], "lan_mode", "dead"),
        (["reboot", "60"], "reboots", 1),
    ],
)
def test_a_switch_and_back(known, capsys, words, field, value):
    assert cli.main(words) == 0
    assert json.loads(capsys.readouterr().out)[field] == value
    assert getattr(known.bmc.status(), field) == value
    assert cli.main(["restore"]) == 0
    assert getattr(known.bmc.status(), field) != value


def test_a_lab_that_was_killed_is_said_to_be_gone(known, capsys):
    known.close()
    assert cli.main(["status"]) == 1
    assert "does not answer" in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["slow"], ["hang", "now"], ["up", "--driver", "new"]])
def test_words_that_make_no_sense(words):
    with pytest.raises(SystemExit):
        cli.main(words)
