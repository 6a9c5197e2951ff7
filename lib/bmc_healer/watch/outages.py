"""Mass outages of one watch: which are on, the telling of begin and end, what guardrails must know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

from bmc_healer.config.settings import WatchSettings

from . import payload
from .mass import FLEET, Outage, assess, groups_out, held
from .wire import Lines

LAPSE_SECONDS = 900.0  # a declared outage lapses after this when nobody renews it: the watch may have died
RENEW_SECONDS = 300.0


class Outages:
    """:param path: inband or oob: what fell silent
    :param state: documents of an earlier watch, those named `mass:<label>` are taken up
    """

    def __init__(
        self, path: str, settings: WatchSettings, state: Mapping[str, dict[str, Any]], lines: Lines
    ) -> None:
        self._path = path
        self._settings = settings
        self._lines = lines
        documents = [document for name, document in state.items() if name.startswith("mass:")]
        self._active = {
            d["label"]: Outage(d["key"], d["label"], d["since"], tuple(d["hosts"]), d.get("calm_since"))
            for d in documents
        }
        self._out: frozenset[str] = frozenset(self._active)
        self._renewed = 0.0

    @property
    def hosts(self) -> frozenset[str]:
        """Those that were ill when an outage that is on began."""
        return frozenset(host for outage in self._active.values() for host in outage.hosts)

    def hold(self, labels: tuple[str, ...]) -> bool:
        """Whether a host with these labels must not be told of by itself now."""
        return held(labels, self._out)

    def assess(
        self,
        members: Mapping[str, tuple[str, ...]],
        ill: Mapping[str, float],
        suspects: Mapping[str, float],
        now: float,
        *,
        unsure: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
    ) -> None:
        """One more look at who is ill.

        :param members: hosts that count, with their labels; `ill` and `suspects`: since when, epoch seconds
        :param suspects: who may be ill: enough of them hold single triggers back, but tell nothing yet
        :param unsure: see `mass.assess`
        """
        change = assess(members, ill, self._active, self._settings, now, unsure=unsure)
        before, self._active = self._active, change.active
        self._out = frozenset(change.active) | frozenset(groups_out(members, suspects, self._settings))
        for outage in change.ended:
            self._lines.put({"store": {f"mass:{outage.label}": None}})
            self._lines.put({"mass": {"label": outage.label, "hosts": [], "until": None}})
            self._lines.log("info", f"the mass outage of {outage.label} is over")
        for label, outage in change.active.items():
            if before.get(label) != outage:
                self._lines.put({"store": {f"mass:{label}": asdict(outage)}})
        for outage in change.began:
            total = sum(outage.label == FLEET or outage.label in labels for labels in members.values())
            told = payload.mass_outage(outage, self._path, total, now)
            self._declare(outage, now)
            self._lines.put(payload.trigger("bmc.mass_outage", told))
        if now - self._renewed >= RENEW_SECONDS:
            self._renewed = now
            for outage in self._active.values():
                self._declare(outage, now)

    def _declare(self, outage: Outage, now: float) -> None:
        told = {"label": outage.label, "hosts": list(outage.hosts), "until": now + LAPSE_SECONDS}
        self._lines.put({"mass": told})
