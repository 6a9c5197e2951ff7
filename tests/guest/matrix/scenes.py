"""Faults that take more than a switch: functions of the stage, named by `scene:` in a row."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.guest.healer import HOST, Ended, Healer

HOTMOD = "/sys/module/ipmi_si/parameters/hotmod"
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
