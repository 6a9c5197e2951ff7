"""Faults that take more than a switch: functions of the stage, named by `scene:` in a row."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

from lab.sim import BmcSim
from tests.guest.healer import HOST, Ended, Healer
from tests.guest.payload import kipmi_high_cpu

ROOT = Path(__file__).parents[3]

HOTMOD = "/sys/module/ipmi_si/parameters/hotmod"
STORM_SECONDS = 800
RACK = 6  # its BMCs at addresses of loopback where nobody listens


def rename_interface(stage: Any) -> None:
    """The interface is taken away and given back by hotmod: the thread of the new one is called kipmi1."""
    lab = stage.lab
    params = lab.guest("cat /sys/class/ipmi/ipmi0/device/params").out.strip()
    lab.guest(f"echo remove,{params} > {HOTMOD}; echo add,{params} > {HOTMOD}")
    lab.guest("until ls /dev/ipmi[0-9]; do sleep 0.1; done", timeout=30)
    assert "kipmi1" in lab.guest("cat /proc/[0-9]*/comm").out.split()


def look_built_in(stage: Any) -> None:
    """The driver is not in /proc/modules."""
    stage.lab.scenes.look_built_in()


def held(stage: Any) -> None:
    """Somebody holds /dev/ipmi0."""
    stage.lab.scenes.hold_device()


def silent_rack(stage: Any) -> None:
    """Hosts of its rack, whose BMCs are all silent."""
    stage.healer.host["labels"] = {"rack": "r12"}
    for number in range(RACK):
        stage.healer.config["hosts"][f"other{number}"] = {
            "transport": "none",
            "labels": {"rack": "r12"},
            "bmc": {"address": f"127.77.0.{number + 1}", "credential": "lab", "identity": "trust"},
        }


def two_heals(stage: Any) -> None:
    """Two processes of one installation; exactly one is refused."""
    stage.healer.argv()  # both read one configuration, written before either starts
    with ThreadPoolExecutor(2) as pool:
        _one_refused(stage, list(pool.map(lambda _: stage.healer.heal(), range(2))))


def two_installations(stage: Any) -> None:
    """Two installations with a datastore each: only the lease on the host stands between them."""
    folder = stage.folder / "other"
    folder.mkdir()
    other = Healer(stage.lab, folder)
    other.config = stage.healer.config
    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(lambda healer: healer.heal(), (stage.healer, other)))
    _one_refused(stage, ended)
    stage.installations.append(other)


def _one_refused(stage: Any, ended: list[Ended]) -> None:
    outcomes = sorted(ended, key=lambda one: one.told.get("outcome") == "refused")
    assert [one.told.get("outcome") == "refused" for one in outcomes] == [False, True], ended
    stage.ended = outcomes[0]


def chat_injects(stage: Any) -> None:
    """Parameters at the end of a command, as StackStorm's alias parser would take them."""
    for more in ("{{ st2kv.system.x }}", "force=true", "rungs=oob", "dry_run=false", "host=other"):
        stage.ended = stage.healer.run("chat", f"bmc reset host {HOST} {more}")
        assert stage.ended.status in (2, 3), stage.ended


def slow_datastore(stage: Any) -> None:
    """A heal whose datastore is locked for 3 s, free for 1 s, and so on."""
    stage.healer.run("status")  # makes it
    over = threading.Event()

    def hold() -> None:
        (file,) = (stage.folder / "state").glob("*.db")
        with closing(sqlite3.connect(file, timeout=30, isolation_level=None)) as database:
            while not over.wait(1):
                database.execute("BEGIN EXCLUSIVE")
                over.wait(3)
                database.execute("COMMIT")

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        stage.ended = stage.healer.heal()
    finally:
        over.set()
        holder.join()


D_STATE = "grep -l '^State:.D' $(grep -l '^Name:.ipmitool$' /proc/[0-9]*/status) | wc -l"


def clients_in_d(stage: Any) -> None:
    """Three clients that read what hangs (after 10 s of remembered answers): in D until the BMC answers."""
    read = "while :; do read line < /sys/devices/platform/ipmi_bmc.0/firmware_revision; sleep 0.5; done"
    stage.lab.guest(
        f"printf '#!/bin/sh\\n{read}\\n' > /tmp/ipmitool; chmod +x /tmp/ipmitool; "
        "for i in 1 2 3; do setsid /tmp/ipmitool > /dev/null 2>&1 < /dev/null & done"
    )
    assert stage.lab.guest(f"until [ $({D_STATE}) = 3 ]; do sleep 0.2; done").rc == 0


def _pretend_ipmitool(stage: Any, command: str) -> None:
    """A script by the name of ipmitool that waits; it is older than a client may hang when this returns."""
    script = "#!/bin/sh\\nwhile :; do read line < /tmp/fifo; done\\n"
    stage.lab.guest(
        f"mkfifo /tmp/fifo; printf '{script}' > /tmp/ipmitool; chmod +x /tmp/ipmitool; "
        f"setsid /tmp/ipmitool {command} > /dev/null 2>&1 < /dev/null & echo $! > /tmp/ipmitool.pid; sleep 11"
    )


def hpm_upgrade(stage: Any) -> None:
    """A firmware update by ipmitool."""
    _pretend_ipmitool(stage, "hpm upgrade firmware.img")


def sol_session(stage: Any) -> None:
    """Somebody's console."""
    _pretend_ipmitool(stage, "sol activate")


def still_there(stage: Any) -> None:
    """What waited still waits."""
    assert stage.lab.guest("kill -0 $(cat /tmp/ipmitool.pid)").rc == 0
    stage.lab.guest("kill -9 $(cat /tmp/ipmitool.pid)")


def ssh_stops(stage: Any) -> None:
    """New SSH connections are refused."""
    stage.lab.scenes.stop_ssh()


def ssh_starts(stage: Any) -> None:
    """They are accepted again."""
    stage.lab.scenes.start_ssh()


def foreign_write(stage: Any) -> None:
    """A write to hotmod that is not the product's, and hangs."""
    params = stage.lab.guest("cat /sys/class/ipmi/ipmi0/device/params").out.strip()
    stage.lab.guest(f"setsid sh -c 'echo remove,{params} > {HOTMOD}' > /dev/null 2>&1 &")


def two_refuse(stage: Any) -> None:
    """Two BMCs refuse the password, one after the other; then the first one's host is to be healed again."""
    config = stage.healer.config
    config["credentials"]["lab"]["password"] = "wrong"
    with BmcSim(name="other") as other:
        bmc = {"address": "127.0.0.1", "port": other.lan_port, "credential": "lab", "identity": "trust"}
        config["hosts"]["other"] = {"transport": "none", "bmc": bmc}
        for name in (HOST, "other"):
            assert stage.healer.heal("--force", host=name).status in (3, 4)
        stage.healer.run("resume", HOST)
        stage.ended = stage.healer.heal("--force")
        assert [sim.bmc.status().logins for sim in (stage.lab.sim, other)] == [1, 1]
        assert other.bmc.status().received == ()


def secret_in_argv(stage: Any) -> None:
    """A client of monitoring hangs that was given the BMC's password on its command line, as `ps` shows."""
    secret = stage.lab.password
    command = f"/usr/lib/lab/ipmitool -I open -U admin -P {secret} sensor"
    stage.lab.guest(f"setsid {command} > /dev/null 2>&1 < /dev/null &")
    assert stage.lab.guest("cat /proc/[0-9]*/cmdline | tr '\\000' ' '").out.count(command)


def hundred_triggers(stage: Any) -> None:
    """Some of one incident, some of others; all but one are refused, and what healed is what ended."""
    command = stage.healer.argv()
    config, state = command[command.index("--config") + 1], command[command.index("--state-dir") + 1]
    payloads = [kipmi_high_cpu(f"{HOST}:0:{number % 10}") for number in range(100)]
    ran = subprocess.run(
        [sys.executable, "-m", "tests.guest.matrix.storm", config, state],
        cwd=ROOT,
        input=json.dumps(payloads),
        capture_output=True,
        text=True,
        timeout=STORM_SECONDS,
        check=True,
    )
    told = json.loads(ran.stdout)
    assert told["seconds"] < 20, "they were to come at once"
    outcomes = [one.get("outcome") for one in told["ended"]]
    assert (len(outcomes), outcomes.count("refused")) == (100, 99), outcomes
    (healed,) = [one for one in told["ended"] if one["outcome"] != "refused"]
    stage.ended = Ended(0, healed, "")
