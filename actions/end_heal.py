"""Adapter of the action end_heal; what it does is in bmc_healer.verbs."""

from __future__ import annotations

from typing import Any

from st2common.runners.base_action import Action

from bmc_healer.verbs import perform


class EndHeal(Action):
    """Last step of a heal: concludes with an outcome and gives the lock back."""

    def run(self, **parameters: Any) -> tuple[bool, dict[str, Any]]:
        """See `bmc_healer.verbs`: (ok, result)."""
        return perform("end_heal", parameters, self.config, self.action_service, self.logger)
