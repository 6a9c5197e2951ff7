"""The first look at a host, while begin_heal waits out its settle time: does somebody else hold it?

It saves a heal that another healer's lease would refuse after the whole diagnosis. Nothing depends on its
coming in time: `diagnose` takes the lease, and that is what holds others off.
"""

from __future__ import annotations

import threading

from bmc_healer.config.settings import HostSettings
from bmc_healer.errors import HealerError
from bmc_healer.host.lease import ForeignLease, look
from bmc_healer.verbs.runtime import Runtime


class FirstLook:
    """Starts at once, in a thread that nobody waits for: a host may hang."""

    def __init__(self, rt: Runtime, host: HostSettings) -> None:
        self._found: ForeignLease | None = None
        threading.Thread(target=self._look, args=(rt, host), name="first look", daemon=True).start()

    def _look(self, rt: Runtime, host: HostSettings) -> None:
        try:
            with rt.access(host) as access:
                self._found = look(access, owner=rt.owner())
        except HealerError as error:
            rt.logger.info("first look: %s", error.sentence)

    @property
    def foreign(self) -> ForeignLease | None:
        """The lease of another healer, when one was seen by now."""
        return self._found
