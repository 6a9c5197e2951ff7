"""The watch processes behind the sensors against the real fault: what is told, and what must not be."""

import json
import os
import queue
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

import bmc_healer

LIBRARY = str(Path(bmc_healer.__file__).parent.parent)
# Three windows of 5 s instead of 10 s; the marks are the defaults.
WATCH = {"poll_seconds": 10, "counter_window_seconds": 5, "sustained_seconds": 30, "probe_seconds": 0}
POLLING = "(while :; do ipmitool mc info; sleep 1; done) >/dev/null 2>&1 </dev/null & echo $! >/run/polling"
NO_POLLING = "kill $(cat /run/polling); killall ipmitool; rm /run/polling"


class Watch:
    """A running watch process and what it has said."""

    def __init__(self, kind, config, state):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bmc_healer.watch", kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": LIBRARY},
        )
        self.lines = queue.Queue()
        self.process.stdin.write(json.dumps({"config": config, "state": state}).encode() + b"\n")
        self.process.stdin.flush()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for data in self.process.stdout:
            self.lines.put(json.loads(data))

    def next(self, seconds, wanted=("trigger",)):
        """The next line with one of these members, or None."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                line = self.lines.get(timeout=left)
            except queue.Empty:
                return None
            if any(member in line for member in wanted):
                return line
        return None


@contextmanager
def watching(lab, kind="kipmi", state=None, **settings):
    ssh = {"port": lab.ssh_port, "key_file": str(lab.key_file), "known_hosts": str(lab.known_hosts)}
    bmc = {"address": "127.0.0.1", "port": lab.lan_port, "credential": "lab"}
    config = {
        "mode": "observe",
        "hosts": {"db01": {"address": "127.0.0.1", "transport": "ssh", "ssh": ssh, "bmc": bmc}},
        "credentials": {"lab": {"username": lab.user, "password": lab.password}},
        "watch": WATCH | settings,
    }
    watch = Watch(kind, config, state or {})
    try:
        yield watch
    finally:
        started = time.monotonic()
        watch.process.stdin.close()
        watch.process.wait(5)
        watch.process.stdout.close()
    assert time.monotonic() - started < 0.5


@contextmanager
def polling(lab):
    lab.guest(POLLING)
    try:
        yield
    finally:
        lab.guest(NO_POLLING)


@pytest.mark.parametrize("lab", ["legacy", "stock"], indirect=True)
def test_a_hang_is_told_and_its_end_too(lab):
    with watching(lab) as watch, polling(lab):
        assert watch.next(12) is None
        lab.bmc.hang()
        told = watch.next(90)
        assert told is not None
        assert told["trigger"] == "bmc_healer.kipmi.high_cpu"
        payload = told["payload"]
        assert payload["signature"] in ("stuck_counters", "hosed_count")
        assert payload["lan"]["verdict"] == "alive"
        assert payload["driver"]["completed"] == 0
        assert payload["driver"]["timeouts"] > 50
        assert payload["threads"][0]["cpu_percent"] > (20 if lab.driver == "legacy" else 9)
        lab.bmc.ok()
        told = watch.next(120)
        assert told["trigger"] == "bmc_healer.kipmi.recovered"
        assert told["payload"]["key"] == f"{payload['key']}:recovered"


def test_a_bmc_that_reboots_by_itself_is_left_alone(lab):
    with watching(lab) as watch, polling(lab):
        assert watch.next(12) is None
        lab.bmc.reboot(30)
        assert watch.next(45) is None


@pytest.mark.parametrize("lab", ["stock"], indirect=True)
def test_a_slow_bmc_is_left_alone(lab):
    with watching(lab) as watch, polling(lab):
        lab.bmc.slow(3)
        assert watch.next(45) is None


def test_a_hang_that_nobody_sees_is_found_by_the_probe(lab):
    with watching(lab, probe_seconds=12) as watch:
        learnt = watch.next(60, wanted=("remember",))["remember"]
        assert learnt["bmc_guid"] == lab.guid
        lab.bmc.hang()
        told = watch.next(120)
        assert told is not None
        assert told["payload"]["signature"] in ("stuck_counters", "hosed_count")


def test_the_loop_needs_no_root(lab):
    """The user `ops` may do nothing on the guest; counters and threads are there for everybody."""
    ssh = {
        "port": lab.ssh_port,
        "user": "ops",
        "key_file": str(lab.key_file),
        "known_hosts": str(lab.known_hosts),
    }
    config = {
        "mode": "observe",
        "hosts": {"db01": {"address": "127.0.0.1", "transport": "ssh", "ssh": ssh}},
        "guardrails": {"booting_seconds": 0},
        "watch": WATCH,
    }
    watch = Watch("kipmi", config, {})
    try:
        with polling(lab):
            lab.bmc.hang()
            told = watch.next(90)
        assert told is not None
        assert told["payload"]["lan"]["verdict"] == "unknown"
        assert told["payload"]["ipmitool"]["count"] >= 1
    finally:
        watch.process.stdin.close()
        watch.process.wait(5)
        watch.process.stdout.close()
