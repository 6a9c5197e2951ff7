"""Rung 3: unload the driver. Frees the CPU and drops what is queued in the driver; the BMC stays as it is."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..config.settings import LadderSettings
from ..host.access import HostAccess, Result
from ..host.facts import HostFacts
from ..host.modules import foreign_users, hotmod_params, unload_order
from ..host.observe import observe
from .outcome import RungOutcome, State
from .tools import absent, busy, died_how, ran, rmmod, write_parameter

_RETRY_SECONDS = 2.0
_EAGAIN_SECONDS = 20.0  # kernel 7.2 says EAGAIN for 15-20 s without any holder (KERNELS)
_HOLDER_SECONDS = 4.0  # a holder that is there this long after the reaping stays
_WATCH_SECONDS = 5.0


def unload(
    access: HostAccess,
    facts: HostFacts,
    *,
    watchdog_running: bool | None,
    settings: LadderSettings,
    may_send: Callable[[], None],
    mark: str,
    reset_follows: bool = True,
    steady: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> RungOutcome:
    """Remove the IPMI modules, holders first, or, with a built-in driver, its interfaces through hotmod.

    A rmmod that hangs in D is `stuck`, not failed: kipmi is gone already, and the out-of-band reset frees it.
    So is a write to hotmod; without such a reset to come it is watched: on old kernels it ends by itself.

    :param watchdog_running: the BMC's watchdog timer; None (not known) counts as running
    :param reset_follows: an out-of-band reset comes after this rung
    :returns: evidence `removed` and `params`, which `load` needs to bring back the same
    :raises HostAccessError: the host was lost; modules may be gone
    """
    if reason := _why_not(facts, watchdog_running):
        return RungOutcome("unload", "skipped", f"The driver was left loaded: {reason}.")
    if not facts.driver_loaded:
        return RungOutcome("unload", "skipped", "Nothing was unloaded: ipmi_si is not loaded.")
    deed = _Deed(access, settings, may_send, mark, reset_follows, steady, sleep)
    deed.evidence["params"] = [interface.params for interface in facts.interfaces if interface.params]
    if facts.modules.get("ipmi_si") is None:
        return deed.hotmod(facts)
    if facts.modules["ipmi_si"].refcount < 0:
        return deed.stuck("An earlier rmmod of ipmi_si")
    return deed.modules(facts)


def _why_not(facts: HostFacts, watchdog_running: bool | None) -> str:
    if facts.watchdog_module or "ipmi_watchdog" in facts.modules:
        return "ipmi_watchdog is loaded, and without its driver it may reboot the host"
    if watchdog_running is None:
        return "whether the BMC's watchdog runs is not known"
    if watchdog_running:
        return "the BMC's watchdog runs and may reboot the host"
    return ""


@dataclass
class _Deed:
    access: HostAccess
    settings: LadderSettings
    may_send: Callable[[], None]
    mark: str
    reset_follows: bool
    steady: Callable[[], float]
    sleep: Callable[[float], None]
    evidence: dict[str, Any] = field(default_factory=lambda: {"removed": [], "params": [], "steps": []})

    def modules(self, facts: HostFacts) -> RungOutcome:
        order = unload_order(facts.modules)
        self.evidence["order"] = list(order)
        if "ipmi_si" not in order:
            users = foreign_users(facts.modules)
            names = "; ".join(f"{module} is used by {', '.join(by)}" for module, by in users.items())
            return self._end("failed", f"ipmi_si cannot be unloaded: {names or 'its users form a circle'}.")
        if held := self._held(facts):
            return self._end("failed", f"{self._holders(held)} Nothing was unloaded.")
        for module in order:
            answer = self._remove(module)
            if answer.ok or absent(answer):
                self.evidence["removed"].append(module)
            elif answer.unkillable and module in observe(self.access, windows=0).modules:
                return self.stuck(f"rmmod {module}")
            elif answer.unkillable:
                self.evidence["removed"].append(module)  # it ended just after the KILL
            elif "ipmi_si" in self.evidence["removed"]:
                break  # what is left (ipmi_msghandler) polls nothing
            elif busy(answer):
                now = observe(self.access, windows=0)
                return self._end("failed", f"{self._holders(now, module)} {self._so_far()}")
            else:
                return self._end("failed", f"rmmod {module} {died_how(answer)}. {self._so_far()}")
        return self._end("done", self._so_far())

    def hotmod(self, facts: HostFacts) -> RungOutcome:
        """A built-in driver cannot be unloaded, but its interfaces can be taken from it."""
        if facts.parameter_write_hangs:
            return self._end("skipped", "Nothing was removed: another write to a module parameter hangs.")
        all_params = [hotmod_params(interface.params) for interface in facts.interfaces]
        if not all_params or None in all_params:
            return self._end("failed", "The driver is built in and does not say its interface's parameters.")
        for params in filter(None, all_params):
            self.may_send()
            began = self.steady()
            answer = write_parameter(
                self.access, "hotmod", f"remove,{params}", limit=self.settings.rmmod_limit, mark=self.mark
            )
            self.evidence["steps"].append(ran("hotmod remove", answer))
            if answer.unkillable:
                now = self._watch_write(began)
                if now.parameter_write_hangs:
                    return self.stuck("hotmod remove")
                self.evidence["hotmod_seconds"] = round(self.steady() - began)
            elif not answer.ok:
                return self._end("failed", f"hotmod remove {died_how(answer)}.")
        return self._end("done", "The interfaces of the built-in driver were removed through hotmod.")

    def _watch_write(self, began: float) -> HostFacts:
        """Look at a write that hangs until it has ended: 8 to 30 minutes on old kernels (RUNBOOK 3).

        A reset that follows frees it at once: it is not kept waiting.
        """
        while True:
            now = observe(self.access, windows=0)
            late = self.steady() - began >= self.settings.hotmod_limit
            if self.reset_follows or late or not now.parameter_write_hangs:
                return now
            self.sleep(_WATCH_SECONDS)

    def stuck(self, what: str) -> RungOutcome:
        """Not an end of the ladder: what hangs was told by the field to wait for the BMC only."""
        now = observe(self.access, windows=0)
        self.evidence["kipmi_gone"] = not now.kipmi
        if (driver := now.modules.get("ipmi_si")) is not None:
            self.evidence["refcount"] = driver.refcount
        relief = "kipmi is gone" if not now.kipmi else "kipmi is still there"
        return self._end(
            "stuck", f"{what} hangs in the kernel and cannot be killed until the BMC is back; {relief}."
        )

    def _held(self, facts: HostFacts) -> HostFacts | None:
        """Whether somebody has a device open and keeps it: seen before anything is taken apart."""
        began = self.steady()
        while facts.holders:
            if self.steady() - began >= _HOLDER_SECONDS:
                return facts
            self.sleep(_RETRY_SECONDS)
            facts = observe(self.access, windows=0)
        return None

    def _remove(self, module: str) -> Result:
        """rmmod, and again while the request of a killed client is pending; hardly for a holder."""
        began = self.steady()
        while True:
            self.may_send()
            answer = rmmod(self.access, module, limit=self.settings.rmmod_limit, mark=self.mark)
            self.evidence["steps"].append(ran(f"rmmod {module}", answer))
            if not busy(answer):
                return answer
            held = bool(observe(self.access, windows=0).holders)
            if self.steady() - began >= (_HOLDER_SECONDS if held else _EAGAIN_SECONDS):
                return answer
            self.sleep(_RETRY_SECONDS)

    def _holders(self, now: HostFacts, module: str = "The driver") -> str:
        self.evidence["holders"] = [
            {"pid": holder.pid, "program": holder.program, "device": holder.device}
            for holder in now.holders[:20]
        ]
        waiting = [client for client in now.clients if client.kind == "module"]
        names = [f"{holder.program} (pid {holder.pid})" for holder in now.holders[:3]]
        names += [f"{client.program} {client.subcommand} (pid {client.pid})" for client in waiting[:3]]
        return f"{module} is in use by {', '.join(names) or 'nobody that can be seen: a request is pending'}."

    def _so_far(self) -> str:
        removed = self.evidence["removed"]
        return f"Unloaded: {', '.join(removed)}." if removed else "Nothing was unloaded."

    def _end(self, state: State, sentence: str) -> RungOutcome:
        return RungOutcome("unload", state, sentence, self.evidence)
