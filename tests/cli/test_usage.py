"""Usage and configuration errors: one sentence on stderr, status 2, no traceback; and where things are."""

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from bmc_healer.errors import ConfigError
from bmc_healer_cli import engine, places
from bmc_healer_cli.main import COMMANDS, run
from bmc_healer_cli.options import Options

SCRIPT = Path(sys.executable).with_name("bmc-healer")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--nonsense"],
        ["nonsense"],
        ["heal"],
        ["heal", "a", "b"],
        ["pause", "db01", "--minutes", "-1"],
        ["report"],
    ],
)
def test_usage_errors(cli, arguments):
    status, out, err = cli(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith("bmc-healer: ")
    assert err.count("\n") == 1


def test_without_a_command_it_shows_the_help(cli):
    status, out, _ = cli()
    assert status == 2
    assert "Exit status: 0 healed" in out
    assert all(command in out for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_the_four_options(cli, command):
    status, out, _ = cli(command, "--help")
    assert status == 0
    assert all(option in out for option in ("--config", "--state-dir", "--json", "--debug"))


def test_options_before_and_after_the_command(cli, config, tmp_path):
    status, out, _ = cli("status", "--json")
    assert (status, json.loads(out)["status"]) == (0, "succeeded")
    assert run(["--json", "status", "--config", str(config), "--state-dir", str(tmp_path / "state")]) == 0


@pytest.mark.parametrize("command", [["status"], ["heal", "db01"], ["run"]])
def test_a_broken_configuration(cli, config, command):
    config.write_text("hosts: {db01: {}}\n")
    status, out, err = cli(*command)
    assert (status, out) == (2, "")
    assert err.startswith(f"bmc-healer: {config}: mode: mode is missing, and it has no default")


def test_errors_are_json_too_when_asked(cli, config):
    config.write_text("mode: wrong\n")
    status, out, err = cli("status", "--json")
    assert status == 2
    assert json.loads(out) == {"sentence": err.removeprefix("bmc-healer: ").strip(), "error": True}


def test_a_pack_that_cannot_be_used(cli, monkeypatch, tmp_path):
    monkeypatch.setattr(places, "pack_dir", lambda: tmp_path)
    status, _, err = cli("status")
    assert status == 2
    assert "pack.yaml" in err


def test_a_library_without_its_pack(monkeypatch, tmp_path):
    monkeypatch.setattr(places, "SCHEMA_FILE", tmp_path / "config.schema.yaml")
    with pytest.raises(ConfigError, match=r"no pack\.yaml"):
        places.pack_dir()


def test_a_state_directory_that_cannot_be_made(config, tmp_path, capsys):
    (tmp_path / "file").touch()
    assert run(["status", "--config", str(config), "--state-dir", str(tmp_path / "file" / "state")]) == 2
    assert "Name another one with --state-dir" in capsys.readouterr().err


def test_a_damaged_database(cli, tmp_path):
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / engine.FILE_NAME).write_bytes(b"garbage" * 1000)
    for command, reason in (("status", "the database cannot be used"), ("incidents", "not a database")):
        status, _, err = cli(command)
        assert status == 1
        assert reason in err


def test_an_error_inside_is_one_sentence_and_a_traceback_with_debug(cli, monkeypatch):
    monkeypatch.setattr(engine, "state", lambda options: 1 / 0)
    status, _, err = cli("incidents")
    assert (status, err) == (1, "bmc-healer: failed inside (ZeroDivisionError); --debug shows where\n")
    with pytest.raises(ZeroDivisionError):
        cli("incidents", "--debug")


def test_the_configuration_is_looked_for_in_this_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(places, "CONFIG_FILES", (Path("bmc_healer.yaml"), tmp_path / "etc.yaml"))
    with pytest.raises(ConfigError, match="no configuration file"):
        places.config_file(None, {})
    (tmp_path / "etc.yaml").touch()
    assert places.config_file(None, {}) == tmp_path / "etc.yaml"
    (tmp_path / "bmc_healer.yaml").touch()
    assert places.config_file(None, {}) == tmp_path / "bmc_healer.yaml"
    assert places.config_file(None, {"BMC_HEALER_CONFIG": "/x.yaml"}) == Path("/x.yaml")
    assert places.config_file(Path("y.yaml"), {"BMC_HEALER_CONFIG": "/x.yaml"}) == Path("y.yaml")


def test_the_state_directory():
    home = Path("/home/somebody")
    assert places.state_dir(None, 0, home) == Path("/var/lib/bmc_healer")
    assert places.state_dir(None, 1000, home) == home / ".local/state/bmc_healer"
    assert places.state_dir(Path("/x"), 0, home) == Path("/x")


def test_the_state_is_private(cli, tmp_path):
    cli("incidents")
    state = tmp_path / "state"
    assert state.stat().st_mode & 0o777 == 0o700
    assert (state / engine.FILE_NAME).stat().st_mode & 0o777 == 0o600
    sqlite3.connect(state / engine.FILE_NAME).execute("SELECT 1 FROM executions")


def test_the_installed_script(config, tmp_path):
    environment = {**os.environ, "BMC_HEALER_CONFIG": str(tmp_path / "none.yaml")}
    done = subprocess.run([SCRIPT, "status"], capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"bmc-healer: {tmp_path}/none.yaml: cannot be read: No such file or directory.\n"


def test_a_user_id_without_a_name(monkeypatch):
    def nobody():
        raise KeyError("uid not found")

    monkeypatch.setattr(engine.getpass, "getuser", nobody)
    assert engine.user() == str(os.getuid())


def test_options_given_later_win():
    before = Options(config=Path("a"), json=True)
    assert before.under(Options(config=Path("b"), debug=True)) == Options(Path("b"), None, True, True)
