"""Adapter of the action resume; what it does is in bmc_healer.verbs."""

from __future__ import annotations

from typing import Any

from st2common.runners.base_action import Action

from bmc_healer.verbs import perform


class Resume(Action):
    """Ends a pause, and lets an escalated host be healed again."""

    def run(self, **parameters: Any) -> tuple[bool, dict[str, Any]]:
        """See `bmc_healer.verbs`: (ok, result)."""
        return perform("resume", parameters, self.config, self.action_service, self.logger)
