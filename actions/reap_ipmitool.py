"""Adapter of the action reap_ipmitool; what it does is in bmc_healer.verbs."""

from __future__ import annotations

from typing import Any

from st2common.runners.base_action import Action

from bmc_healer.verbs import perform


class ReapIpmitool(Action):
    """Step of a heal: ends IPMI clients that have hung for longer than the limit."""

    def run(self, **parameters: Any) -> tuple[bool, dict[str, Any]]:
        """See `bmc_healer.verbs`: (ok, result)."""
        return perform("reap_ipmitool", parameters, self.config, self.action_service, self.logger)
