"""The product as an operator drives it: a configuration file, a state directory, the command line."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import pytest

COMMAND = Path(sys.executable).with_name("bmc-healer")
HOST = "labhost"
CONFIG = "bmc_healer.yaml"
HEAL_SECONDS = 400.0  # the longest heal here takes 120 s on two idle cores, 220 s were seen on busy ones

# Marks and limits are shortened where waiting proves nothing more; counter windows stay at their 10 s.
WATCH = {
    "sustained_seconds": 10,
    "stuck_windows": 1,
    "poll_seconds": 5,
    "bmc_poll_seconds": 3,
    "hung_client_seconds": 15,
    "recover_polls": 1,
    "probe_seconds": 0,
    "overdue_seconds": 60,
}
GUARDRAILS = {"settle_seconds": 0.5, "cooldown_seconds": 0, "heals_per_host_per_day": 20}
LADDER = {
    "inband_when_stuck": "skip",
    "rmmod_limit": 4,
    "dark_wait": 8,
    "back_wait": 60,
    "steady_interval": 0.5,
    "session_limit": 20,
}


def guest_host(lab: Any) -> dict[str, Any]:
    """The lab's guest over SSH, with its BMC, as it stands under `hosts`."""
    return {
        "address": "127.0.0.1",
        "ssh": {
            "port": lab.ssh_port,
            "user": "root",
            "key_file": str(lab.key_file),
            "known_hosts": str(lab.known_hosts),
            "connect_timeout": 20,  # the machine that runs the tests may be busy
        },
        "bmc": {"address": "127.0.0.1", "port": lab.lan_port, "credential": "lab"},
    }


class Ended(NamedTuple):
    """A finished command: its exit status, its JSON document (empty when it printed none), its stderr."""

    status: int
    told: dict[str, Any]
    err: str

    @property
    def ending(self) -> tuple[int, str | None, str]:
        """Exit status, outcome, and the rung that healed."""
        return self.status, self.told.get("outcome"), self.told.get("healed_by") or ""

    @property
    def sentence(self) -> str:
        """What an operator reads: of a workflow or of an action, or the complaint on stderr."""
        return str(self.told.get("summary") or self.told.get("sentence") or self.err)


class Child:
    """A command that runs, with its lines as they come."""

    def __init__(self, argv: list[str], log: Path) -> None:
        self._log = log.open("wb")
        self.process = subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=self._log, text=True, start_new_session=True
        )
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._seen: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def until(self, wanted: Callable[[str], bool], seconds: float, what: str = "the line") -> str:
        """The first line that is wanted; a failure when it does not come in time or the output ends."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            with suppress(queue.Empty):
                line = self._lines.get(timeout=left)
                if line is None:
                    break
                self._seen.append(line)
                if wanted(line):
                    return line
        return self._fail(f"{what} did not come")

    def event(self, wanted: Callable[[dict[str, Any]], bool], seconds: float, what: str) -> dict[str, Any]:
        """The next event of `--json run` that is wanted."""
        return json.loads(self.until(lambda line: wanted(json.loads(line)), seconds, what))

    def told(self, trigger: str, seconds: float = 120.0) -> dict[str, Any]:
        """The payload of a trigger, which may have come before what was looked at last."""

        def wanted(line: str) -> bool:
            return json.loads(line)["detail"].get("trigger") == f"bmc_healer.{trigger}"

        line = next((line for line in self._seen if wanted(line)), None)
        line = line or self.until(wanted, seconds, f"the trigger {trigger}")
        return json.loads(line)["detail"]["payload"]

    def heal_ended(self, seconds: float = HEAL_SECONDS) -> dict[str, Any]:
        """The output of the next heal of `--json run` that ends, other than those that did not begin."""

        def output(event: dict[str, Any]) -> dict[str, Any]:
            if event["kind"] != "execution.ended" or not event["action"].startswith("bmc_healer.heal"):
                return {}
            return (event["result"] or {}).get("output") or {"incident": "none", "outcome": event["status"]}

        return output(
            self.event(lambda event: bool(output(event).get("incident")), seconds, "the end of a heal")
        )

    def kill(self) -> None:
        """As kill -9: nothing is tidied up."""
        self.process.kill()
        self.process.wait()

    def finish(self, seconds: float = HEAL_SECONDS) -> int:
        """Wait for its end; its exit status."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return self._fail(f"it did not end within {seconds:.0f} s")

    def close(self) -> None:
        """End it."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._log.close()

    def _fail(self, what: str) -> NoReturn:
        """With the last lines of its output, and its errors."""
        with suppress(queue.Empty):
            while (line := self._lines.get_nowait()) is not None:
                self._seen.append(line)
        ending = "" if self.process.poll() is None else f"; it ended with status {self.process.returncode}"
        errors = Path(self._log.name).read_text()[-2000:]
        pytest.fail(f"{what}{ending}: {''.join(self._seen[-20:])} {errors}")


class Healer:
    """One installation of the product that watches one host."""

    def __init__(self, lab: Any, folder: Path) -> None:
        self.lab = lab
        self._folder = folder
        self._children: list[Child] = []
        self.config: dict[str, Any] = {
            "mode": "auto",
            "hosts": {HOST: guest_host(lab)},
            "credentials": {"lab": {"username": lab.user, "password": lab.password}},
            "watch": dict(WATCH),
            "guardrails": dict(GUARDRAILS),
            "ladder": dict(LADDER),
        }

    @property
    def host(self) -> dict[str, Any]:
        """The host's part of the configuration, to be changed before a command."""
        return self.config["hosts"][HOST]

    def settings(self, **changes: float | str | bool) -> None:
        """Change settings by their name, wherever they stand."""
        for name, value in changes.items():
            section = next(s for s in ("watch", "guardrails", "ladder") if name in ALL_SETTINGS[s])
            self.config[section][name] = value

    def argv(self, *arguments: str) -> list[str]:
        """The command line, after the configuration was written."""
        path = self._folder / CONFIG
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(self.config, file)
        return [str(COMMAND), "--config", str(path), "--state-dir", str(self._folder / "state"), *arguments]

    def run(self, *arguments: str, seconds: float = HEAL_SECONDS) -> Ended:
        """One command with --json, to its end."""
        done = subprocess.run(
            self.argv("--json", *arguments), capture_output=True, text=True, timeout=seconds, check=False
        )
        return Ended(done.returncode, json.loads(done.stdout or "{}"), done.stderr)

    def heal(self, *arguments: str, host: str = HOST) -> Ended:
        """`bmc-healer heal`."""
        return self.run("heal", host, *arguments)

    def trigger(self, name: str, **payload: Any) -> Ended:
        """Act as the sensor; the document is that of the execution which the rule started."""
        ended = self.run("trigger", name, json.dumps(payload))
        first = (ended.told.get("executions") or [{}])[0]
        return Ended(ended.status, first, ended.err)

    def start(self, *arguments: str) -> Child:
        """A command that goes on while the test does."""
        child = Child(self.argv(*arguments), self._folder / f"{len(self._children)}.log")
        self._children.append(child)
        return child

    def serve(self) -> Child:
        """`bmc-healer run`, when both sensors are at work."""
        child = self.start("--json", "run")
        for _ in range(2):
            child.event(lambda event: event["kind"] == "sensor.started", 60, "the start of a sensor")
        return child

    def report(self, incident: str) -> dict[str, Any]:
        """An incident's document."""
        return self.run("report", incident).told

    def incidents(self) -> list[dict[str, Any]]:
        """All incidents, the newest first."""
        return self.run("incidents").told["incidents"]

    def status(self) -> dict[str, Any]:
        """What is known of the host."""
        return self.run("status", HOST).told

    def close(self) -> None:
        """End what still runs."""
        for child in self._children:
            child.close()


ALL_SETTINGS = {
    "watch": {*WATCH, "repeat_seconds", "ipmitool_limit", "kipmi_cpu_low", "bmc_failures"},
    "guardrails": {
        *GUARDRAILS,
        "booting_seconds",
        "hang_proof_seconds",
        "heals_per_hour_fleet",
        "heals_per_hour_label",
    },
    "ladder": {*LADDER, "inband_limit", "probe_limit", "modprobe_limit"},
}
