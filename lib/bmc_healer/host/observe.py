"""Looks at a host without touching its BMC: a snapshot, or several with the driver's counters between."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from ..config.settings import WatchSettings
from ..errors import HostAccessError
from .access import HostAccess
from .facts import ClientProcess, CounterWindow, HostFacts, Interface, KipmiThread
from .procfs import TICKS_PER_SECOND, ProcessLine, Snapshot, parse
from .programs import INTERESTING, classify, flashes_by_its_words
from .scripts import script

SNAPSHOT_LIMIT = 30.0  # it takes 0.1 s; the field's host with a load of 194 gets more
_SNAPSHOT_BYTES = 2 * 1024 * 1024  # 655 clients (seen in the field) make 300 KiB


def observe(
    access: HostAccess,
    *,
    windows: int = 1,
    window_seconds: float | None = None,
    settings: WatchSettings = WatchSettings(),  # noqa: B008 - frozen
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
    on_tick: Callable[[HostFacts], None] | None = None,
) -> HostFacts:
    """Watch a host for `windows` counter windows in a row.

    :param windows: 0 for one short look: no counters and no CPU of kipmi then
    :param window_seconds: default: the settings' 10 s, enough to see a stuck request on every kernel
    :param on_tick: called after each window with what is known so far
    :raises HostAccessError: no way in, no answer, nonsense, or a reboot in between
    """
    seconds = settings.counter_window_seconds if window_seconds is None else window_seconds
    snapshots = [snapshot(access)]
    for _ in range(windows):
        sleep(seconds)
        snapshots.append(snapshot(access))
        if snapshots[-1].boot_id != snapshots[0].boot_id:
            raise HostAccessError("it rebooted while it was observed", access.name, "diagnose again")
        if on_tick is not None:
            on_tick(facts(snapshots, privileged=access.privileged, now=clock()))
    return facts(snapshots, privileged=access.privileged, now=clock())


def snapshot(access: HostAccess) -> Snapshot:
    """One look; as root where we may, else with what every user may see.

    :raises HostAccessError: no answer within 30 s, or an answer that makes no sense
    """
    answer = access.run(
        ["sh", "-s", "--", INTERESTING],
        limit=SNAPSHOT_LIMIT,
        stdin=script("snapshot"),
        root=access.privileged,
        most=_SNAPSHOT_BYTES,
    )
    if answer.status is None:
        raise HostAccessError(
            f"the look at /proc did not end within {SNAPSHOT_LIMIT:.0f} s", access.name, "look at its console"
        )
    return parse(answer.out, where=access.name)


def facts(snapshots: Sequence[Snapshot], *, privileged: bool, now: float) -> HostFacts:
    """What one or more snapshots of one boot say together; the last one is the present. Pure."""
    first, last = snapshots[0], snapshots[-1]
    all_ticks = last.cpu_ticks - first.cpu_ticks
    iowait = 100.0 * (last.iowait_ticks - first.iowait_ticks) / all_ticks if all_ticks > 0 else 0.0
    interfaces = tuple(_interface(name, snapshots) for name in sorted(last.interfaces))
    kipmi = tuple(_kipmi(first, last))
    return HostFacts(
        observed_at=now,
        seconds=max(0.0, last.uptime - first.uptime),
        boot_id=last.boot_id,
        kernel=last.kernel,
        load1=last.load1,
        iowait_percent=max(0.0, iowait),
        kipmi=kipmi,
        clients=tuple(_clients(last)),
        interfaces=interfaces,
        modules={name: module for name, module in last.modules.items() if _of_ipmi(name, last)},
        builtin=last.builtin - last.modules.keys(),
        devices=last.devices,
        holders=last.holders,
        dmi=last.dmi,
        throttle_us=last.throttle_us,
        watchdog_module="ipmi_watchdog" in last.modules or "ipmi_watchdog" in last.builtin,
        ipmitool=last.ipmitool,
        privileged=privileged,
        parameter_write_hangs=last.parameter_write_hangs,
        # A driver alone proves nothing: some kernels have it built in.
        had_bmc=last.had_bmc or bool(interfaces or kipmi) or any(device.owned for device in last.devices),
    )


def _kipmi(first: Snapshot, last: Snapshot) -> Iterator[KipmiThread]:
    before = {(line.pid, line.start_ticks): line.cpu_ticks for line in first.processes}
    elapsed = last.uptime - first.uptime
    for line in last.processes:
        if not (line.kernel_thread and line.comm.startswith("kipmi")):
            continue
        born = line.start_ticks / TICKS_PER_SECOND
        seconds = min(elapsed, last.uptime - born)
        ticks = line.cpu_ticks - before.get((line.pid, line.start_ticks), 0)
        percent = 100.0 * ticks / TICKS_PER_SECOND / seconds if seconds > 0 else 0.0
        yield KipmiThread(line.pid, line.comm, max(0.0, percent))


def _clients(now: Snapshot) -> Iterator[ClientProcess]:
    for line in now.processes:
        if line.kernel_thread or line.state in ("Z", "X"):
            continue
        what = classify(line.comm, line.argv)
        inside = _inside_driver(line)
        named = "ipmi" in what.program.lower() or what.program.startswith("bmc-")
        named = named or (line.unread and flashes_by_its_words(what.program))
        if not inside and (
            (what.kind == "other" and not named) or (what.kind == "module" and not what.subcommand)
        ):
            continue
        kind = "module" if line.writes else what.kind
        yield ClientProcess(
            pid=line.pid,
            start_ticks=line.start_ticks,
            program=what.program,
            subcommand=what.subcommand,
            age_seconds=max(0.0, now.uptime - line.start_ticks / TICKS_PER_SECOND),
            state=line.state,
            wchan=line.wchan,
            stack=line.stack,
            mark=line.mark,
            kind=kind,
            known=not line.unread,
            inband=what.inband,
        )


def _inside_driver(line: ProcessLine) -> bool:
    """Whatever the program: a write to hotmod, or in D with a read of firmware_revision."""
    return line.writes or (line.state == "D" and any("ipmi" in frame for frame in (*line.stack, line.wchan)))


def _interface(name: str, snapshots: Sequence[Snapshot]) -> Interface:
    params = snapshots[-1].interfaces[name].get("params")
    irq = None
    for word in (params or "").split(","):
        if word.startswith("irq="):
            irq = word != "irq=0"
    windows = (_window(name, before, after) for before, after in pairwise(snapshots))
    return Interface(name, params, tuple(window for window in windows if window is not None), irq)


def _window(name: str, before: Snapshot, after: Snapshot) -> CounterWindow | None:
    """The differences, or None when the driver was loaded anew in between or shows no counters."""
    old, new = before.interfaces.get(name, {}), after.interfaces.get(name, {})
    try:
        delta = {
            key: int(new[key]) - int(old[key])
            for key in ("complete_transactions", "short_timeouts", "long_timeouts", "hosed_count")
        }
    except (KeyError, ValueError):
        return None
    if min(delta.values()) < 0:
        return None
    return CounterWindow(
        seconds=after.uptime - before.uptime,
        completed=delta["complete_transactions"],
        timeouts=delta["short_timeouts"] + delta["long_timeouts"],
        hosed=delta["hosed_count"],
    )


def _of_ipmi(name: str, now: Snapshot) -> bool:
    """An IPMI module, or one that uses such a module."""
    return "ipmi" in name or any(name in module.users for key, module in now.modules.items() if "ipmi" in key)
