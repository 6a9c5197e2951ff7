"""One watched host between two polls: its samples, its illness, and what its next look tells."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any

from bmc_healer.config.settings import Config, HostSettings

from . import payload, recovery
from .hysteresis import Event, Illness, Incident, acknowledge, advance
from .lan import LanSeen, Verdict, verdict
from .signature import Look, judge
from .snapshot import Sample

Line = dict[str, Any]


@dataclass
class Patient:
    """State of one host in the kipmi watch.

    :param last_answer: epoch seconds when in-band IPMI last completed something briskly, or was probed
    :param given_up: a probe came back with 0xC3 (a soft hang), and nothing has completed briskly since
    :param ask_at: epoch seconds when a probe may ask for GUID and firmware; None when that is done
    :param recovered: an incident that is over, until somebody has taken that up or another begins
    """

    host: HostSettings
    last_answer: float
    ask_at: float | None = None
    given_up: bool = False
    illness: Illness = field(default_factory=Illness)
    recovered: Incident | None = None
    lan: LanSeen = field(default_factory=LanSeen)
    samples: deque[Sample] = field(default_factory=deque)
    look: Look | None = None

    @property
    def closely(self) -> bool:
        """To be looked at every counter window: something is seen, or there is only one sample yet."""
        return self.look is None or self.look.suspicious or self.illness.pending_since is not None

    @property
    def still_well(self) -> bool:
        """What is over may be told again: nothing is seen, and without a driver nothing would be."""
        look = self.look
        seen = look is not None and look.window.completed is not None and not look.suspicious
        return seen and self.illness.incident is None and self.illness.pending_since is None

    def examine(
        self, sample: Sample, config: Config, now: float, *, held: bool, settle_seconds: float
    ) -> list[Line]:
        """Take in one sample; returns what is to be told: the incident to persist first, then the trigger.

        :param held: a mass outage holds back single triggers; `settle_seconds`: see `hysteresis.advance`
        """
        settings = config.watch
        self._keep(sample, settings.sustained_seconds + 2 * settings.poll_seconds)
        self.look = judge(self.samples, settings)
        if self.look is None:
            return []
        if self.look.window.brisk:
            self.last_answer = now
            self.given_up = False
        if self.given_up and self.look.signature is None:
            self.look = replace(self.look, signature="given_up", suspicious=True)
        says = self.lan_verdict(config, now)
        before, pending = self.illness.incident, self.illness.pending_since
        self.illness, event = advance(
            self.illness,
            self.look,
            says,
            host=self.host.name,
            boot_id=sample.boot_id,
            held=held,
            settle_seconds=settle_seconds,
            booting_seconds=config.guardrails.booting_seconds,
            settings=settings,
            now=now,
        )
        incident = self.illness.incident or before
        return [] if incident is None else self._tell(event, incident, self.look, says, pending, now)

    def lan_verdict(self, config: Config, now: float) -> Verdict:
        """What the BMC's LAN side says now; an answer counts for two counter windows.

        So it came when the driver had been stuck for a window at least, not before a reboot of the BMC.
        """
        fresh = 2 * config.watch.counter_window_seconds
        return verdict(self.lan, config.guardrails.booting_seconds, fresh, now)

    def acknowledge(self, keys: frozenset[str]) -> None:
        """Somebody took up the incident, or that it is over: it is not told again."""
        self.illness = acknowledge(self.illness, keys)
        if self.recovered is not None and self.recovered.key in keys:
            self.recovered = None

    def probe_due(self, config: Config, now: float) -> bool:
        """Whether one in-band question may be asked.

        Nobody has asked for long, or GUID and firmware are not known yet; and nothing speaks against it.
        """
        look, settings = self.look, config.watch
        unlearnt = self.ask_at is not None and now >= self.ask_at
        return bool(
            settings.probe_seconds
            and look is not None
            and look.window.completed is not None
            and not look.suspicious
            and self.illness.pending_since is None
            and look.clients < settings.ipmitool_limit
            and self.lan_verdict(config, now) in ("alive", "unknown")
            # An answer of the future came before the clock was set back.
            and (unlearnt or not 0.0 <= now - self.last_answer < settings.probe_seconds)
        )

    def probed(self, config: Config, now: float) -> None:
        """A probe was started: the next one is not before `probe_seconds` from now."""
        self.last_answer = now
        if self.ask_at is not None:
            self.ask_at = now + config.watch.probe_seconds

    def gave_up(self) -> None:
        """The interface gave the probe up in the BMC's place."""
        self.given_up = True

    def learnt(self) -> None:
        """The BMC told its GUID and firmware."""
        self.ask_at = None

    def _keep(self, sample: Sample, seconds: float) -> None:
        if self.samples and (self.samples[-1].boot_id != sample.boot_id or self.samples[-1].at >= sample.at):
            self.samples.clear()
        self.samples.append(sample)
        while len(self.samples) > 2 and sample.at - self.samples[1].at > seconds:
            self.samples.popleft()

    def _tell(
        self,
        event: Event,
        incident: Incident,
        look: Look,
        says: Verdict,
        pending: float | None,
        now: float,
    ) -> list[Line]:
        if event is Event.NONE:
            return []
        learnt = {}
        if event is Event.RECOVERED:
            self.recovered = recovery.over(incident, now)
            store, trigger = recovery.lines(self.recovered, "inband", now)
            if look.answering:
                learnt = {"inband_ok_at": now}
        else:
            address = self.host.bmc.address if self.host.bmc else None
            side = payload.lan_side(self.lan, says, address)
            trigger = payload.trigger(incident.trigger, payload.inband(incident, look, side, now))
            store = {"store": {f"incident:{incident.host}": incident.document()}}
            self.recovered = None
            if event is Event.ONSET and not look.answering:
                learnt = {"hang_since": pending or now - look.sustained_seconds}
            if look.signature == "stuck_counters" and says == "alive":
                learnt["hang_proven_at"] = now
        remember: list[Line] = [{"remember": {"host": incident.host, **learnt}}] if learnt else []
        return [store, *remember, trigger]
