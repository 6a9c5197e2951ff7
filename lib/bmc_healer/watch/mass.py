"""Many at once: a switch or a monitoring storm, not the BMCs. Pure functions (RUNBOOK 4, SAFETY 7)."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from bmc_healer.config.settings import WatchSettings

FLEET = "fleet"


@dataclass(frozen=True)
class Outage:
    """A mass outage that was told. `label` is `fleet` or `key=value`; times are epoch seconds.

    :param hosts: those that were ill when it began
    :param calm_since: since when less than half of what began it is ill; None while it is more
    """

    key: str
    label: str
    since: float
    hosts: tuple[str, ...]
    calm_since: float | None = None


@dataclass(frozen=True)
class Change:
    """The outages after one more look, and which of them began and ended with it."""

    active: dict[str, Outage]
    began: tuple[Outage, ...] = ()
    ended: tuple[Outage, ...] = ()


def groups_out(
    members: Mapping[str, tuple[str, ...]], ill: Mapping[str, float], settings: WatchSettings
) -> dict[str, tuple[str, ...]]:
    """Label to ill hosts, of each group of which enough fell ill within one window.

    :param members: the hosts that count, with their labels as `key=value`
    :param ill: those of them that are ill, with the epoch seconds since when
    """
    sick: dict[str, list[str]] = {}
    for host in ill.keys() & members.keys():
        for label in (FLEET, *members[host]):
            sick.setdefault(label, []).append(host)
    many = {label: hosts for label, hosts in sick.items() if len(hosts) >= settings.mass_outage_hosts}
    sizes: Counter[str] = Counter({FLEET: len(members)})
    if many.keys() - {FLEET}:  # counting ten thousand hosts costs more than the rest of a look: seldom
        sizes.update(label for labels in members.values() for label in labels if label in many)
    return {
        label: tuple(sorted(hosts))
        for label, hosts in many.items()
        if _at_once([ill[host] for host in hosts], settings.mass_outage_window_seconds)
        >= max(settings.mass_outage_hosts, settings.mass_outage_share * sizes[label])
    }


def assess(
    members: Mapping[str, tuple[str, ...]],
    ill: Mapping[str, float],
    active: Mapping[str, Outage],
    settings: WatchSettings,
    now: float,
    *,
    unsure: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
) -> Change:
    """Which outages go on, begin and end.

    One ends when less than half of what began it has been ill for `mass_outage_window_seconds` without a
    break: a switch that flaps is one outage. While the whole fleet is out, no label is told beside it.

    :param unsure: hosts, with their labels, that were ill and have not been seen well since: with them an
        outage goes on, and none begins
    """
    going: dict[str, Outage] = {}
    ended: list[Outage] = []
    known = {**members, **unsure} if active else members
    for label, outage in active.items():
        group = [host for host, labels in known.items() if label == FLEET or label in labels]
        still = sum(host in ill or host in unsure for host in group)
        enough = max(settings.mass_outage_hosts, settings.mass_outage_share * len(group)) / 2
        calm_since = None if still >= enough else now
        if calm_since is not None and outage.calm_since is not None:
            calm_since = min(outage.calm_since, now)  # of the future: the clock was set back
        if calm_since is not None and now - calm_since >= settings.mass_outage_window_seconds:
            ended.append(outage)
        else:
            going[label] = replace(outage, calm_since=calm_since)
    out = groups_out(members, ill, settings)
    labels = [FLEET] if FLEET in out else sorted(out)
    began = tuple(
        Outage(f"mass:{label}:{int(now)}", label, now, out[label])
        for label in labels
        if label not in going and FLEET not in going
    )
    going.update({outage.label: outage for outage in began})
    return Change(going, began, tuple(ended))


def held(labels: tuple[str, ...], out: Collection[str]) -> bool:
    """Whether a host's own trigger is held back: the fleet or one of its labels is out."""
    return FLEET in out or any(label in out for label in labels)


def _at_once(times: list[float], window: float) -> int:
    """The most that fell ill within one window."""
    times = sorted(times)
    return max(bisect_right(times, start + window) - index for index, start in enumerate(times))
