"""What the sweeps found of all BMCs; `oob.py` is about one.

Of those that are well a sweep changes nothing but when they last answered, and to make ten thousand patients
anew each time cost more than half of asking the BMCs. So those at rest have that time together, and what a
sweep found is gone through for the others alone, and for those that did not answer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from bmc_healer.bmc.address import Peer

from .lan import LanSeen
from .oob import LanPatient


class Patients:
    """By host name."""

    def __init__(self) -> None:
        self._all: dict[str, LanPatient] = {}
        self._astir: dict[str, None] = {}  # those that are not at rest
        self._answered_at = float("-inf")  # when those at rest last answered, epoch seconds

    def keep(self, names: Iterable[str], known: Callable[[str], LanPatient]) -> None:
        """These from now on; `known` makes those that are new. All are looked at by the next sweep."""
        self._stir(self._all)
        self._all = {name: self._all.get(name) or known(name) for name in names}
        self._astir = dict.fromkeys(self._all)

    def get(self, name: str) -> LanPatient | None:
        """One of them."""
        patient = self._all.get(name)
        return patient if patient is None or name in self._astir else self._awake(patient)

    def put(self, name: str, patient: LanPatient) -> None:
        """One that has changed, and may be at rest now."""
        self._all[name] = patient
        if self._rests(patient):
            self._astir.pop(name, None)
        else:
            self._astir[name] = None

    def swept(
        self, peers: Mapping[str, Peer], alive: Collection[Peer], now: float
    ) -> list[tuple[str, LanPatient]]:
        """Those that a sweep may have changed, as they were; all others answered `now`, and that is all.

        :param peers: whom the sweep asked, at least all that are at rest
        """
        if now < self._answered_at:  # the clock was set back
            self._stir(self._all)
        astir = self._astir
        names = [name for name, peer in peers.items() if peer not in alive or name in astir]
        self._stir(names)
        self._answered_at = now
        return [(name, self._all[name]) for name in names]

    def astir(self) -> Iterator[tuple[str, LanPatient]]:
        """Those that are not at rest.

        Whoever is silent, never answered, has an incident, or had one whose end nobody took up is among them.
        """
        return ((name, self._all[name]) for name in list(self._astir))

    def answered(self) -> Iterator[tuple[str, LanSeen]]:
        """Those that ever answered, with what was seen of them."""
        for name, patient in self._all.items():
            if patient.answered:
                yield name, (patient if name in self._astir else self._awake(patient)).lan

    def _stir(self, names: Iterable[str]) -> None:
        for name in names:
            if name not in self._astir:
                self._all[name] = self._awake(self._all[name])
                self._astir[name] = None

    def _awake(self, patient: LanPatient) -> LanPatient:
        return replace(patient, lan=replace(patient.lan, alive_at=self._answered_at))

    def _rests(self, patient: LanPatient) -> bool:
        """Well, and answered in the latest sweep, not between two."""
        return (
            patient.answered
            and patient.lan.alive_at == self._answered_at
            and patient.incident is None
            and patient.recovered is None
            and not patient.failures
            and not patient.lan.dark_now
        )
