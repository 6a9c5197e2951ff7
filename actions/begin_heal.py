"""Adapter of the action begin_heal; what it does is in bmc_healer.verbs."""

from __future__ import annotations

from typing import Any

from st2common.runners.base_action import Action

from bmc_healer.verbs import perform


class BeginHeal(Action):
    """First task of a heal: checks the guardrails and takes the host's lock, or says why not."""

    def run(self, **parameters: Any) -> tuple[bool, dict[str, Any]]:
        """See `bmc_healer.verbs`: (ok, result)."""
        return perform("begin_heal", parameters, self.config, self.action_service, self.logger)
