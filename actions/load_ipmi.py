"""Adapter of the action load_ipmi; what it does is in bmc_healer.verbs."""

from __future__ import annotations

from typing import Any

from st2common.runners.base_action import Action

from bmc_healer.verbs import perform


class LoadIpmi(Action):
    """Step of a heal: brings the IPMI driver back and undoes a throttle."""

    def run(self, **parameters: Any) -> tuple[bool, dict[str, Any]]:
        """See `bmc_healer.verbs`: (ok, result)."""
        return perform("load_ipmi", parameters, self.config, self.action_service, self.logger)
