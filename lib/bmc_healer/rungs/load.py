"""Rung 5: bring the driver back, only after the BMC answers over the LAN.

A loaded module proves nothing: ipmi_si that found no answering BMC stays loaded with status 0 and no device,
and would never look again (RUNBOOK 2).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..config.settings import LadderSettings
from ..host.access import HostAccess, Result
from ..host.facts import HostFacts
from ..host.modules import hotmod_params, unload_order
from ..host.observe import observe
from .outcome import RungOutcome, State
from .tools import died_how, duplicates, modprobe, ran, rmmod, write_parameter

_DEVICE_SECONDS = 10.0  # hotmod add is asynchronous, and udev makes the node after the driver
_BARE_SECONDS = 3.0  # modprobe is not: without an interface by then, the driver gave up
_POLL_SECONDS = 1.0
_WATCH_SECONDS = 5.0
_SHORT_LIMIT = 30.0
_NEEDED = ("ipmi_si", "ipmi_devintf")


def load(
    access: HostAccess,
    facts: HostFacts,
    *,
    settings: LadderSettings,
    may_send: Callable[[], None],
    mark: str,
    modules: Sequence[str] = (),
    params: Sequence[str] = (),
    steady: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> RungOutcome:
    """Remove stale device nodes, load ipmi_si and ipmi_devintf, and wait for /dev/ipmi0.

    :param modules: further modules that `unload` removed (evidence `removed`), e.g. acpi_ipmi
    :param params: the interfaces' parameters (evidence `params`), for a built-in driver
    :raises HostAccessError: the host was lost; the driver may be loading
    """
    if (driver := facts.modules.get("ipmi_si")) is not None and driver.refcount < 0:
        return RungOutcome("load", "stuck", "An earlier rmmod of ipmi_si still hangs in the kernel.")
    deed = _Deed(access, settings, may_send, mark, steady, sleep)
    if facts.parameter_write_hangs and "ipmi_si" in facts.builtin:
        facts = deed.watch_write(facts)
    waiting = [client for client in facts.clients if client.kind == "module" and client.state == "D"]
    if waiting:
        name = f"{waiting[0].program} {waiting[0].subcommand}".strip()
        return RungOutcome("load", "stuck", f"{name} (pid {waiting[0].pid}) still hangs in the kernel.")
    if failed := deed.remove_stale(facts):
        return failed
    if _complete(facts):
        state: State = "done" if deed.evidence["steps"] else "skipped"
        return RungOutcome("load", state, "The driver is loaded and has its device.", deed.evidence)
    if "ipmi_si" in facts.builtin:
        return deed.hotmod(facts, params)
    return deed.modules(facts, [name for name in modules if name not in _NEEDED])


def _complete(facts: HostFacts) -> bool:
    return bool(facts.interfaces) and any(device.owned for device in facts.devices)


@dataclass
class _Deed:
    access: HostAccess
    settings: LadderSettings
    may_send: Callable[[], None]
    mark: str
    steady: Callable[[], float]
    sleep: Callable[[float], None]
    evidence: dict[str, Any] = field(default_factory=lambda: {"steps": []})

    def remove_stale(self, facts: HostFacts) -> RungOutcome | None:
        """A node that no driver owns keeps the driver from making its own."""
        for device in facts.devices:
            if device.owned:
                continue
            self.may_send()
            answer = self.access.run(["rm", "-f", device.path], limit=_SHORT_LIMIT, mark=self.mark)
            if not self._note(f"rm {device.path}", answer).ok:
                return self._end("failed", f"The stale {device.path} stays: rm {died_how(answer)}.")
        return None

    def modules(self, facts: HostFacts, further: Sequence[str]) -> RungOutcome:
        """Load, and when the driver had given up on this BMC, unload and load once more."""
        further = list(further)
        if failed := self._load(_NEEDED):
            return failed
        now = self._await_device(_BARE_SECONDS)
        if not _complete(now):
            self.evidence["gave_up"] = True
            again = [name for name in unload_order(now.modules) if name != "ipmi_msghandler"]
            further += [name for name in again if name not in (*_NEEDED, *further)]
            if failed := self._unload(now, again) or self._load(_NEEDED):
                return failed
            now = self._await_device(_BARE_SECONDS)
        if not _complete(now):
            return self._end("failed", "ipmi_si was loaded and found no BMC that answers: no /dev/ipmi0.")
        if failed := self._load([name for name in further if name not in now.modules]):
            return failed
        return self._end("done", f"The driver is loaded and has {self._devices(now)}.")

    def hotmod(self, facts: HostFacts, params: Sequence[str]) -> RungOutcome:
        """Give a built-in driver its interfaces back."""
        if facts.parameter_write_hangs:
            return self._end("stuck", "Nothing was added: another write to a module parameter hangs.")
        known = [text for text in params if hotmod_params(text)]
        if not known:
            return self._end(
                "failed",
                "The driver is built in, and the parameters of its interface are not known: "
                "`dmidecode -t 38` names them for a write to hotmod.",
            )
        if "ipmi_devintf" not in facts.builtin and (failed := self._load_devintf()):
            return failed
        before = duplicates(self.access)
        if ended := self._hotmod("add", known) or self._has_device():
            return ended
        # An interface that gave up is still known to the driver: removed first, it can be added again.
        if before is None or duplicates(self.access) != before:
            self.evidence["duplicate"] = True
            ended = self._hotmod("remove", known) or self._hotmod("add", known) or self._has_device()
            if ended:
                return ended
        return self._end("failed", "hotmod add brought no device back: no BMC answers in-band.")

    def _load_devintf(self) -> RungOutcome | None:
        """It may be built in too: without parameters it then has no /sys/module entry, and no file."""
        failed = self._load(["ipmi_devintf"])
        return failed if failed and failed.state == "stuck" else None

    def watch_write(self, facts: HostFacts) -> HostFacts:
        """Wait for an earlier write to hotmod that hangs: the BMC is back, so it ends by itself."""
        began = self.steady()
        while facts.parameter_write_hangs and self.steady() - began < self.settings.hotmod_limit:
            self.sleep(_WATCH_SECONDS)
            facts = observe(self.access, windows=0)
        self.evidence["waited_for_write"] = round(self.steady() - began)
        return facts

    def _has_device(self) -> RungOutcome | None:
        now = self._await_device(_DEVICE_SECONDS)
        if not _complete(now):
            return None
        threads = ", ".join(thread.name for thread in now.kipmi)
        polled = f", polled by {threads}" if threads else ""
        return self._end("done", f"The built-in driver has {self._devices(now)} again{polled}.")

    def _hotmod(self, operation: str, params: Sequence[str]) -> RungOutcome | None:
        for text in params:
            self.may_send()
            answer = write_parameter(
                self.access,
                "hotmod",
                f"{operation},{text}",
                limit=self.settings.modprobe_limit,
                mark=self.mark,
            )
            self._note(f"hotmod {operation}", answer)
            if answer.unkillable:
                return self._end("stuck", f"hotmod {operation} {died_how(answer)}.")
            if not answer.ok and operation == "add":
                return self._end("failed", f"hotmod add {died_how(answer)}.")
        return None

    def _load(self, modules: Sequence[str]) -> RungOutcome | None:
        for module in modules:
            self.may_send()
            answer = modprobe(self.access, module, limit=self.settings.modprobe_limit, mark=self.mark)
            self._note(f"modprobe {module}", answer)
            if not answer.ok:
                state: State = "stuck" if answer.unkillable else "failed"
                return self._end(state, f"modprobe {module} {died_how(answer)}.")
        return None

    def _unload(self, now: HostFacts, order: Sequence[str]) -> RungOutcome | None:
        if now.watchdog_module:
            return self._end(
                "failed", "ipmi_si gave up on this BMC and cannot be reloaded under ipmi_watchdog."
            )
        for module in order:
            self.may_send()
            answer = rmmod(self.access, module, limit=self.settings.rmmod_limit, mark=self.mark)
            self._note(f"rmmod {module}", answer)
            if not answer.ok:
                state: State = "stuck" if answer.unkillable else "failed"
                return self._end(state, f"rmmod {module} {died_how(answer)}.")
        return None

    def _await_device(self, bare: float) -> HostFacts:
        """Look until the device is there; `bare` seconds as long as there is not even an interface."""
        began = self.steady()
        while True:
            now = observe(self.access, windows=0)
            patience = _DEVICE_SECONDS if now.interfaces else bare
            if _complete(now) or self.steady() - began >= patience:
                return now
            self.sleep(_POLL_SECONDS)

    def _devices(self, now: HostFacts) -> str:
        return ", ".join(device.path for device in now.devices if device.owned)

    def _note(self, command: str, answer: Result) -> Result:
        self.evidence["steps"].append(ran(command, answer))
        return answer

    def _end(self, state: State, sentence: str) -> RungOutcome:
        return RungOutcome("load", state, sentence, self.evidence)
