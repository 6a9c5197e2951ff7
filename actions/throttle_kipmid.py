"""Adapter of the action throttle_kipmid; what it does is in bmc_healer.verbs."""

from __future__ import annotations

from typing import Any

from st2common.runners.base_action import Action

from bmc_healer.verbs import perform


class ThrottleKipmid(Action):
    """Step of a heal: limits kipmi where the driver cannot be unloaded."""

    def run(self, **parameters: Any) -> tuple[bool, dict[str, Any]]:
        """See `bmc_healer.verbs`: (ok, result)."""
        return perform("throttle_kipmid", parameters, self.config, self.action_service, self.logger)
