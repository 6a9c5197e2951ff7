"""Heals in the embedded runner: no secret in anything they wrote, in any argv, in anything they said.

Each secret is a text that nobody else has; each place that is searched is shown to hold something of the run.
"""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest
from misbehaving_bmc import MisbehavingBmc, silent_at
from redfish_mock import RESET, serving

from bmc_healer.config.secrets import BmcLogin
from lab import BmcSim
from tests.guest.chat import Chat
from tests.stackstorm.leaks import Processes, Secrets, canary, files

pytestmark = pytest.mark.alone  # looks at all processes of the machine

COMMAND = Path(sys.executable).with_name("bmc-healer")
CONFIG = """
mode: auto
inventory: {folder}/hosts.yaml
credentials:
  lab: {{username: admin, password_file: {secrets}/password}}
  wrong: {{username: admin, password_file: {secrets}/wrong}}
  web: {{username: admin, password_file: {secrets}/web}}
notify: [{{url_file: {secrets}/chat}}]
guardrails: {{settle_seconds: 0.2, heals_per_host_per_day: 9}}
ladder: {{dark_wait: 8, back_wait: 30, steady_interval: 0.2}}
"""
HOSTS = """
good:
  transport: none
  bmc: {{address: 127.0.0.1, port: {good}, credential: lab, identity: trust}}
bad:
  transport: none
  bmc: {{address: 127.0.0.1, port: {bad}, credential: wrong, identity: trust}}
web:
  transport: none
  bmc: {{address: 127.0.0.1, port: {silent}, credential: web, identity: trust, redfish: {{url: "{url}"}}}}
"""


def private(path, text):
    path.write_text(text)
    path.chmod(0o600)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A host healed by force, one whose BMC refuses the password, one that has only Redfish; and what may be
    asked then.
    """
    folder, kept = tmp_path_factory.mktemp("run"), tmp_path_factory.mktemp("secrets")
    secrets = {"BMC password": canary(), "wrong password": canary(), "chat token": canary()}
    secrets["Redfish password"] = canary()
    knows = BmcLogin(b"admin", secrets["Redfish password"].encode())
    output, told = [], []
    with (
        BmcSim(name="good", password=secrets["BMC password"], reset_seconds=1) as good,
        BmcSim(name="bad") as bad,
        MisbehavingBmc(silent_at("open")) as lan,
        serving(login=knows) as (web, _),
        Chat() as chat,
        Processes() as processes,
    ):
        private(kept / "password", secrets["BMC password"])
        private(kept / "wrong", secrets["wrong password"])
        private(kept / "web", secrets["Redfish password"])
        private(kept / "chat", f"{chat.url}/{secrets['chat token']}")
        private(folder / "bmc_healer.yaml", CONFIG.format(folder=folder, secrets=kept))
        hosts = HOSTS.format(good=good.lan_port, bad=bad.lan_port, silent=lan.port, url=web.url)
        (folder / "hosts.yaml").write_text(hosts)
        (folder / "hosts.yaml").chmod(0o644)
        base = [
            str(COMMAND),
            "--config",
            str(folder / "bmc_healer.yaml"),
            "--state-dir",
            str(folder / "state"),
        ]
        for words in (
            ("--debug", "heal", "good", "--force"),
            ("--debug", "heal", "bad", "--force"),
            ("--debug", "heal", "web", "--force"),
            ("--json", "incidents"),
            ("audit",),
        ):
            done = subprocess.run([*base, *words], capture_output=True, timeout=200, check=False)
            output.append((" ".join(words), done.stdout + done.stderr))
        told = list(chat.heard)
        resets = good.bmc.status().resets, [path for _, path, _ in web.seen].count(RESET)
    return Secrets(secrets), folder, output, told, processes, resets


def test_the_run_was_one(run):
    """What is searched below is of a heal that reset a BMC, and of a login that was refused."""
    _, _, output, told, _, resets = run
    assert resets == (1, 1)
    first, second = output[0][1].decode(), output[1][1].decode()
    assert "reset" in first and "good" in first
    assert "refused" in second.lower() or "password" in second.lower()
    assert any("good" in title for title, _ in told)


def test_no_secret_in_anything_the_run_wrote(run):
    secrets, folder, _, _, _, _ = run
    found = list(files(folder))
    assert any(b"good-2" in data for where, data in found if "state" in where), "the incident must be found"
    assert secrets.within(iter(found)) == []


def test_no_secret_in_what_was_printed_and_said(run):
    secrets, _, output, told, _, _ = run
    assert secrets.within(iter(output)) == []
    assert secrets.within(("chat", f"{title}\n{body}".encode()) for title, body in told) == []


def test_no_secret_in_the_arguments_or_the_environment_of_any_process(run):
    secrets, folder, _, _, processes, _ = run
    argv = list(processes.argv())
    assert any(str(folder).encode() in data for _, data in argv), "the run's own processes must be seen"
    assert any(b"action" in data for _, data in argv)
    assert secrets.within(iter(argv)) == []
    assert secrets.within(processes.environ()) == []


def test_every_file_the_product_wrote_is_private(run):
    _, folder, _, _, _, _ = run
    given = {folder / "bmc_healer.yaml", folder / "hosts.yaml"}
    written = [path for path in folder.rglob("*") if path.is_file() and path not in given]
    assert any(path.suffix == ".db" for path in written) and any(path.suffix == ".index" for path in written)
    modes = {str(path): oct(stat.S_IMODE(path.stat().st_mode)) for path in written}
    assert set(modes.values()) == {"0o600"}, modes
    folders = [path for path in folder.rglob("*") if path.is_dir()]
    assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in folders} <= {0}, folders


def test_a_search_finds_what_is_there():
    secrets = Secrets({"a": "cn0123456789abcd"})
    assert secrets.within(iter([("argv", b"x cn0123456789abcd y")]))
    assert secrets.within(iter([("hex", b"cn0123456789abcd".hex().encode())]))
