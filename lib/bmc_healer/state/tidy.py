"""When the lock of a dead heal may be given back (SAFETY 6): never because time has passed alone."""

from __future__ import annotations

from bmc_healer.state.documents import Lock
from bmc_healer.state.stamp import utc
from bmc_healer.state.views import HostState

# Two machines that are each within 30 s of the engine's clock are this far apart at most
CLOCKS_APART_SECONDS = 60.0


def why_not_free(lock: Lock, host: HostState, now: float, *, no_marked_process_left: bool) -> str | None:
    """What still speaks against freeing `lock`, as a sentence; None: free it.

    :param host: read after the fence was raised
    :param no_marked_process_left: seen on the host itself; False also when nobody could look
    """
    if host.fence.incident == lock.incident:
        return f"the fence of {lock.incident} is not raised yet"
    if not no_marked_process_left:
        return f"processes that {lock.incident} started may still run on {lock.host}"
    late = max((i.not_after for i in host.open_intents if i.incident == lock.incident), default=0.0)
    if late + CLOCKS_APART_SECONDS > now:
        return f"{lock.incident} may still send something until {utc(late + CLOCKS_APART_SECONDS)}"
    return None
