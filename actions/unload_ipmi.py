"""Adapter of the action unload_ipmi; what it does is in bmc_healer.verbs."""

from __future__ import annotations

from typing import Any

from st2common.runners.base_action import Action

from bmc_healer.verbs import perform


class UnloadIpmi(Action):
    """Step of a heal: unloads the IPMI driver to free the CPU."""

    def run(self, **parameters: Any) -> tuple[bool, dict[str, Any]]:
        """See `bmc_healer.verbs`: (ok, result)."""
        return perform("unload_ipmi", parameters, self.config, self.action_service, self.logger)
