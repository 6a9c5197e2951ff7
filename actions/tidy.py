"""Adapter of the action tidy; what it does is in bmc_healer.verbs."""

from __future__ import annotations

from typing import Any

from st2common.runners.base_action import Action

from bmc_healer.verbs import perform


class Tidy(Action):
    """Ends a heal whose process died and frees its lock when that is safe."""

    def run(self, **parameters: Any) -> tuple[bool, dict[str, Any]]:
        """See `bmc_healer.verbs`: (ok, result)."""
        return perform("tidy", parameters, self.config, self.action_service, self.logger)
