"""One step of a running heal: taken up in its turn, recorded in the incident, pointing to the next task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Any

from bmc_healer import ladder
from bmc_healer.bmc import redfish
from bmc_healer.bmc.lanwatch import LanWatch
from bmc_healer.diagnosis import Diagnosis, Findings, Inband, Verdict
from bmc_healer.errors import BmcError, BmcLoginError, ConfigError, HostAccessError, StateError
from bmc_healer.host.access import HostAccess
from bmc_healer.host.lease import ForeignLease, record_deed, take
from bmc_healer.plan import hang_proven
from bmc_healer.rungs.outcome import DeedRefusedError, RungOutcome
from bmc_healer.state.refs import HealRef, Intent
from bmc_healer.verbs.runtime import Runtime

RUNG_OF_TASK = {task: rung for rung, task in ladder.RUNG_TASKS.items()}


def queued_resets(rt: Runtime, host: str, incident: Mapping[str, Any]) -> list[Intent]:
    """Open intents of in-band resets; those of an earlier boot went with its driver and are closed."""
    boot_id = incident.get("baseline", {}).get("boot_id")
    queued = [intent for intent in rt.state.open_intents(host) if intent.rung == "inband"]
    for intent in queued:
        if boot_id and intent.boot_id != boot_id:
            rt.state.close_intent(intent, "the host has rebooted since")
    return [intent for intent in queued if not boot_id or intent.boot_id == boot_id]


class Step:
    """A task's turn in the ladder.

    :raises StateError: there is no such heal, it has ended, or it is another task's turn. So a task that an
        engine starts twice, or that a person starts by hand, does nothing.
    """

    def __init__(self, rt: Runtime, task: str, parameters: Mapping[str, Any]) -> None:
        self.rt = rt
        self.task = task
        self.ref: HealRef = rt.ref(parameters)
        self.host = rt.host(self.ref.host)
        self.started, self._began = rt.clock(), rt.steady()
        self.incident: dict[str, Any] = rt.state.incident(self.ref.incident) or {}
        turn = self.incident.get("next") or {}
        if turn.get("task") != task:
            due = f"it is the turn of {turn['task']}" if turn.get("task") else "it has ended"
            raise StateError(
                f"{task} is not due in heal {self.ref.incident}: {due}",
                self.ref.host,
                "start a heal (bmc heal HOST, or the action bmc_healer.heal) instead of a single step",
            )
        self.index = int(turn.get("index", 0))
        self.said = ""  # what it did or saw so far: told even when it cannot be written down

    def __enter__(self) -> Step:
        """The heartbeat runs while a step is at work, also while it only looks or waits."""
        self._pulse = self.rt.state.alive(self.ref)
        self._pulse.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pulse.__exit__(kind, error, trace)
        if self.said and isinstance(error, StateError):
            raise StateError(f"{self.said} This could not be recorded: {error.what}", do=error.do) from error

    @property
    def pinned(self) -> str | None:
        """The BMC's address that this heal holds on to, without the port."""
        return self.incident.get("bmc_ip")

    def rung(self, act: Callable[[], RungOutcome]) -> dict[str, Any]:
        """Run a rung and record what it says.

        A deed refused at the last moment ends the ladder. A host or a BMC that is lost on the way fails the
        rung: what was under way may have happened (its intent stays open), and the gate looks.
        """
        name = RUNG_OF_TASK[self.task]
        try:
            outcome = act()
        except DeedRefusedError as refused:
            return self.done("stop", refused.sentence, {}, name=name)
        except (HostAccessError, BmcError) as lost:
            said = lost.sentence.removeprefix(f"{self.ref.host}: ")  # it is shown behind the host's name
            return self.done("failed", said[:1].upper() + said[1:], {}, name=name)
        return self.done(outcome.state, outcome.sentence, outcome.evidence, name=name)

    def done(
        self,
        verdict: str,
        sentence: str,
        evidence: Mapping[str, Any],
        *,
        name: str | None = None,
        proof: bool = False,
        warnings: tuple[str, ...] = (),
    ) -> dict[str, Any]:
        """Record the verdict, move the incident on, and give the action's result.

        :param name: the rung's name, when it is not a gate
        :param proof: what this gate saw proves that a deed of this heal happened
        """
        self.said = sentence
        self._still_mine()
        plan = self.incident["plan"]
        position = ladder.after(name or self.task, verdict, plan, self.index)
        seconds = round(self.rt.steady() - self._began, 1)
        record = {
            "step": self.task,
            "rung": name or plan[min(self.index, len(plan) - 1)],
            "ok": verdict in ("done", "passed", "skipped", "well"),
            "verdict": verdict,
            "sentence": sentence,
            "seconds": seconds,
            "at": self.started,
            "evidence": dict(evidence),
            **({"proof": True} if proof else {}),
            **({"warnings": list(warnings)} if warnings else {}),
        }
        self.incident["steps"].append(record)
        self.incident["next"] = {"task": position.task, "index": position.index}
        self.rt.state.save_incident(self.incident)
        return {
            "sentence": sentence,
            "verdict": verdict,
            "next": position.task,
            "host": self.ref.host,
            "incident": self.ref.incident,
            **{key: record[key] for key in ("ok", "step", "seconds", "evidence")},
        }

    def why_not(self, diagnosis: Diagnosis, found: Findings) -> tuple[str, str] | None:
        """What a fresh look says against a reset: (`well` or `stop`, sentence); None: it is still needed."""
        said = diagnosis.sentence
        if diagnosis.verdict in (Verdict.UPDATING, Verdict.BOOTING):
            return "stop", said
        if diagnosis.booting:
            return "stop", f"{said} The BMC may be booting: {diagnosis.booting}."
        if self.found_well(diagnosis):
            return "well", said
        unreachable = diagnosis.verdict is Verdict.UNREACHABLE and not self.forced
        if unreachable and not hang_proven(found, self.rt.config.guardrails):
            return "stop", said
        if (why := self._redfish_task()) != "":
            return "stop", why
        return None

    @property
    def forced(self) -> bool:
        """A person insists; it spares the symptom, and of the first reset only."""
        return bool(self.incident["force"]) and not any(step.get("proof") for step in self.incident["steps"])

    def found_well(self, diagnosis: Diagnosis) -> bool:
        """In-band answers again, so that there is no need any more."""
        answers = diagnosis.inband is Inband.ANSWERS and diagnosis.verdict is not Verdict.LAN_ONLY_DEAD
        return answers and not self.forced

    def _redfish_task(self) -> str:
        """A task of the BMC, such as a firmware update, that is not finished (asked through Redfish).

        A login that was refused once is not tried again (SAFETY 7): the BMC may have another account for
        Redfish than for IPMI, so that only this question finds it wrong.
        """
        bmc = self.host.bmc
        if bmc is None or bmc.redfish is None:
            return ""
        unknown = "Whether a Redfish task runs cannot be known:"
        credential, address = bmc.credential or "", f"{self.pinned}:{bmc.port}"
        if refused := self.rt.refused_before(credential, address):
            return f"{unknown} {refused}."
        try:
            login = self.rt.login(self.host)
            running = redfish.task_running(bmc.redfish, login, limit=self.rt.config.ladder.session_limit)
        except BmcLoginError as error:
            self.rt.state.bad_login(credential, address)
            return f"{unknown} {error.sentence}"
        except (BmcError, ConfigError) as error:
            return f"{unknown} {error.sentence}"
        return "A Redfish task of the BMC is not finished: it may be a firmware update." if running else ""

    def queued_resets(self) -> list[Intent]:
        """In-band resets, of this heal or an earlier one, that may still be queued in the host's driver."""
        return queued_resets(self.rt, self.ref.host, self.incident)

    def watch(self, stack: ExitStack, *, alive: bool = False) -> LanWatch | None:
        """A watch of the BMC's LAN side for as long as `stack` lasts; None without a BMC address.

        :param alive: a step before has seen it answer
        """
        if self.pinned is None or self.host.bmc is None:
            return None
        return stack.enter_context(LanWatch(self.pinned, self.host.bmc.port, alive=alive))

    def see_reset(self, lan: LanWatch, *, session_dead: bool = False) -> bool:
        """Wait for the dark period of a reset, and for its end: only then is it known to be one.

        A late answer takes a dark period back: a BMC that stalls has not restarted.

        :returns: whether the BMC answers again
        """
        ladder = self.rt.config.ladder
        if not session_dead:
            lan.wait_dark(ladder.dark_wait)
        back = lan.wait_back(ladder.back_wait)
        if dark := lan.dark_periods:  # a BMC that was dark is booting: nobody resets it again for a while
            ended = dark[-1].end or self.rt.clock()
            seen = {"lan_dark_since": dark[-1].start, "lan_dark_at": ended}
            self.rt.state.remember(
                self.ref.host, **seen, **({"lan_alive_at": self.rt.clock()} if back else {})
            )
        return back

    def _still_mine(self) -> None:
        """A step that outlived its heal (tidy has ended it) leaves the incident alone.

        :raises StateError: the heal was ended meanwhile
        """
        now = self.rt.state.incident(self.ref.incident) or {}
        if now.get("next") != self.incident["next"]:
            raise StateError(
                f"heal {self.ref.incident} was ended while {self.task} was at work", self.ref.host
            )

    def lease(self, access: HostAccess, boot_id: str, deed: str) -> str | None:
        """Write the coming deed into our lease on the host; a sentence when the lease is foreign."""
        owner, incident = self.rt.owner(), self.ref.incident
        if self.incident["baseline"]["boot_id"]:
            held = record_deed(access, owner=owner, incident=incident, boot_id=boot_id, deed=deed)
        else:  # the host could not be reached when the ladder was planned: the lease is taken now
            held = take(access, owner=owner, incident=incident, boot_id=boot_id)
        return held.sentence if isinstance(held, ForeignLease) else None

    def last(self, task: str) -> dict[str, Any] | None:
        """The latest record of another task in this heal."""
        return next((step for step in reversed(self.incident["steps"]) if step["step"] == task), None)
