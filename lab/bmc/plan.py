"""How the BMC takes its next resets."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ResetPlan:
    """What happens when a reset command is acknowledged.

    seconds: how long the BMC is dark (None: for ever)
    ack_seconds: how long it goes on answering before it goes dark; its acknowledgement needs some of it
    ignored: the channels ("inband", "lan") on which a reset is acknowledged and ignored
    answers: in-band replies after its return before it hangs again (0: at once; None: it stays healthy)
    firmware: the version it has after its return (None: the same)
    """

    seconds: float | None = 10.0
    ack_seconds: float = 0.2
    ignored: tuple[str, ...] = ()
    answers: int | None = None
    firmware: str | None = None
