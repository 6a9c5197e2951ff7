"""Adapter of the action pause; what it does is in bmc_healer.verbs."""

from __future__ import annotations

from typing import Any

from st2common.runners.base_action import Action

from bmc_healer.verbs import perform


class Pause(Action):
    """Holds all heals of a host, a label or the fleet."""

    def run(self, **parameters: Any) -> tuple[bool, dict[str, Any]]:
        """See `bmc_healer.verbs`: (ok, result)."""
        return perform("pause", parameters, self.config, self.action_service, self.logger)
