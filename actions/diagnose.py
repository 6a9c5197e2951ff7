"""Adapter of the action diagnose; what it does is in bmc_healer.verbs."""

from __future__ import annotations

from typing import Any

from st2common.runners.base_action import Action

from bmc_healer.verbs import perform


class Diagnose(Action):
    """Looks at a host and its BMC and says what is wrong; changes nothing."""

    def run(self, **parameters: Any) -> tuple[bool, dict[str, Any]]:
        """See `bmc_healer.verbs`: (ok, result)."""
        return perform("diagnose", parameters, self.config, self.action_service, self.logger)
