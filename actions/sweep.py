"""Adapter of the action sweep; what it does is in bmc_healer.verbs."""

from __future__ import annotations

from typing import Any

from st2common.runners.base_action import Action

from bmc_healer.verbs import perform


class Sweep(Action):
    """Asks every BMC for one answer, without a login, and names the silent ones."""

    def run(self, **parameters: Any) -> tuple[bool, dict[str, Any]]:
        """See `bmc_healer.verbs`: (ok, result)."""
        return perform("sweep", parameters, self.config, self.action_service, self.logger)
