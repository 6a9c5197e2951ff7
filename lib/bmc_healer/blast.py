"""The blast radius: many BMCs silent at once are a switch or a management network, never the BMCs."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from bmc_healer.config.settings import HostSettings, WatchSettings
from bmc_healer.state.refs import Refusal


def judge(
    groups: Mapping[str, Collection[HostSettings]],
    sample: Collection[HostSettings],
    silent: Collection[str],
    watch: WatchSettings,
    *,
    skip: str,
) -> Refusal | None:
    """Refuse when a share of a label or of the fleet's sample is silent.

    :param groups: the hosts of each of the ill host's labels
    :param silent: names of the hosts whose BMC did not answer the sweep made just now
    :param skip: the ill host itself, which does not count
    """
    for name, hosts in (*groups.items(), ("the fleet", sample)):
        swept = [host for host in hosts if host.bmc is not None and host.name != skip]
        dark = [host for host in swept if host.name in silent]
        if len(dark) >= watch.mass_outage_hosts and len(dark) >= watch.mass_outage_share * len(swept):
            return Refusal(
                "mass_outage",
                f"{len(dark)} of {len(swept)}",
                f"{len(dark)} of {len(swept)} BMCs of {name} are silent at once: a switch or the management "
                "network, not the BMCs. Nothing is reset.",
                "Heal again when they answer.",
            )
    return None
