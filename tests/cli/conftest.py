"""The command line on a stand-in pack: its results are made up, its runner, workflow and datastore are real.

The stand-in is `tests/cli/pack`: a heal of the real pack needs a host whose BMC hangs (tests/guest has one).
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bmc_healer_cli import places
from bmc_healer_cli.main import run

PACK = Path(__file__).parent / "pack"
HOSTS = ("db01", "well", "busy", "asks", "dead", "half", "broken", "slow")
LAUNCHER = """
import signal
import sys
from pathlib import Path
# A test run that was started in the background hands SIGINT on as ignored; on a terminal it is not.
signal.signal(signal.SIGINT, signal.default_int_handler)
from bmc_healer_cli import main, places
pack = Path(sys.argv.pop(1))
places.pack_dir = lambda: pack
main.main()
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "bmc_healer.yaml"
    hosts = "".join(f"  {host}: {{}}\n" for host in HOSTS)
    path.write_text(f"mode: auto\nhosts:\n{hosts}")
    return path


@pytest.fixture
def cli(config, tmp_path, monkeypatch, capsys):
    """Call the command line in this process: status, stdout, stderr."""
    monkeypatch.setattr(places, "pack_dir", lambda: PACK)
    monkeypatch.setenv("COLUMNS", "80")

    def call(*arguments):
        given = ["--config", str(config), "--state-dir", str(tmp_path / "state"), *arguments]
        status = run(given)
        out, err = capsys.readouterr()
        return status, out, err

    return call


@pytest.fixture
def cli_json(cli):
    """Status and the one JSON document."""

    def call(*arguments):
        status, out, _ = cli(*arguments, "--json")
        return status, json.loads(out)

    return call


@pytest.fixture
def process(config, tmp_path):
    """Start the command line as a process of its own."""
    started = []

    def start(*arguments):
        command = [sys.executable, "-c", LAUNCHER, str(PACK), "--config", str(config)]
        command += ["--state-dir", str(tmp_path / "state"), *arguments]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(child)
        return child

    yield start
    for child in started:
        if child.poll() is None:
            child.kill()
        child.communicate()
