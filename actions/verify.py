"""Adapter of the action verify; what it does is in bmc_healer.verbs."""

from __future__ import annotations

from typing import Any

from st2common.runners.base_action import Action

from bmc_healer.verbs import perform


class Verify(Action):
    """Step of a heal: a gate, which waits for proof that the rung before it worked."""

    def run(self, **parameters: Any) -> tuple[bool, dict[str, Any]]:
        """See `bmc_healer.verbs`: (ok, result)."""
        return perform("verify", parameters, self.config, self.action_service, self.logger)
