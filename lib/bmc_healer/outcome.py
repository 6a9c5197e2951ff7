"""How a heal ends: a pure function from the incident's steps to outcome, rung and one sentence.

`healed` needs all of it: a deed of this heal, proof that it happened, and the last gate passed after it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Rungs that may have changed something on the host or its BMC, by task
DEEDS = {
    "reap_clients",
    "reset_in_band",
    "unload_driver",
    "throttle_kipmi",
    "reset_out_of_band",
    "load_driver",
}
CURES = {"gate_in_band_reset": "inband", "gate_out_of_band_reset": "oob"}


@dataclass(frozen=True)
class Ending:
    """`healed_by` is the rung (`inband`, `oob`) or empty; `latch`: hold the host for a person."""

    outcome: str
    healed_by: str
    sentence: str
    repair: bool = (
        False  # the ladder was walked to its end, not past it: what is left is hardware or firmware
    )

    @property
    def latch(self) -> bool:
        """An escalated host is left alone until `resume` or recovery."""
        return self.outcome == "escalated"


@dataclass(frozen=True)
class LastLook:
    """Seen at the very end; None is unknown. `unharmed`: the host did not reboot."""

    kipmi_idle: bool | None
    unharmed: bool | None
    inband_dead: bool | None
    lan_dead: bool | None


def conclude(steps: Sequence[Mapping[str, Any]], look: LastLook) -> Ending:
    """Judge a heal that had a plan; heals without one end as their plan said.

    :param steps: the incident's steps in order, each with `step`, `verdict`, `sentence`
    """
    health = [step for step in steps if step["step"] == "gate_health"]
    proven = [CURES[s["step"]] for s in steps if s["step"] in CURES and s.get("proof")]
    if health and health[-1]["verdict"] == "passed":
        if proven:
            return Ending("healed", proven[-1], _healed(proven[-1], health[-1]["sentence"]))
        return Ending("not_needed", "", f"Well without a reset that was proven: {health[-1]['sentence']}")
    stop = next((step for step in steps if step["verdict"] == "stop"), None)
    sent = any(s["step"] in DEEDS and s["verdict"] in ("done", "failed", "stuck") for s in steps)
    if stop is not None and not sent:
        return Ending("refused", "", str(stop["sentence"]))
    why = next((s["sentence"] for s in reversed(steps) if s["verdict"] in ("failed", "stop", "stuck")), "")
    if look.lan_dead and look.inband_dead and look.kipmi_idle and look.unharmed:
        return Ending("relieved", "", f"The host is relieved, the BMC is not healed. {why}".strip())
    if stop is not None:
        return Ending("escalated", "", f"The ladder was stopped half-way. {why}".strip())
    return Ending("escalated", "", f"The ladder ended without health. {why}".strip(), repair=sent)


def _healed(rung: str, sentence: str) -> str:
    how = {"inband": "an in-band cold reset", "oob": "an out-of-band cold reset"}[rung]
    return f"Healed by {how}. {sentence}"
