"""Adapter of the action reset_bmc_inband; what it does is in bmc_healer.verbs."""

from __future__ import annotations

from typing import Any

from st2common.runners.base_action import Action

from bmc_healer.verbs import perform


class ResetBmcInband(Action):
    """Step of a heal: cold reset of the BMC through the host's own driver."""

    def run(self, **parameters: Any) -> tuple[bool, dict[str, Any]]:
        """See `bmc_healer.verbs`: (ok, result)."""
        return perform("reset_bmc_inband", parameters, self.config, self.action_service, self.logger)
