"""Adapter of the action notify; what it does is in bmc_healer.verbs."""

from __future__ import annotations

from typing import Any

from st2common.runners.base_action import Action

from bmc_healer.verbs import perform


class Notify(Action):
    """Tells chat; what does not get out waits in the outbox."""

    def run(self, **parameters: Any) -> tuple[bool, dict[str, Any]]:
        """See `bmc_healer.verbs`: (ok, result)."""
        return perform("notify", parameters, self.config, self.action_service, self.logger)
