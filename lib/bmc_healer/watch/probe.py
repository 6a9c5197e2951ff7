"""The one rare in-band question to a host that nobody asks: an idle driver shows no sign of a hang (KERNELS).

It goes through the same access as every command; whether one is due decides `Patient.probe_due`. From a
healthy BMC it brings what later proves its identity: GUID and firmware. A BMC that hangs does not answer it,
and its request makes the counters tell; in a soft hang it is the answer, 0xC3, that tells.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from bmc_healer.bmc.identity import machine
from bmc_healer.config.settings import Config, HostSettings
from bmc_healer.diagnosis import soft_hang
from bmc_healer.errors import HealerError
from bmc_healer.host.facts import InbandAnswer

from .wire import Line, Lines

AT_ONCE = 4  # an unanswered one lasts a minute; more would be a load on the sensor's machine
MARK = "probe"
LEARNT = (
    "learnt:"  # names of the documents that say whose GUID and firmware are known: one a part of the fleet
)


class Probes:
    """Starts probes in threads of their own, a few at once."""

    def __init__(self, config: Config, lines: Lines, clock: Callable[[], float]) -> None:
        self._limit = config.ladder.probe_limit
        self._lines = lines
        self._clock = clock
        self._under_way: set[str] = set()
        self._told: dict[str, Line] = {}  # host name to what it has told last

    def start(self, host: HostSettings, learnt: Callable[[], None], gave_up: Callable[[], None]) -> bool:
        """Ask now; False when this host is being asked, or enough others are.

        :param learnt: called in the probe's thread when the BMC has answered
        :param gave_up: called there when the interface gave the request up in the BMC's place
        """
        if host.name in self._under_way or len(self._under_way) >= AT_ONCE:
            return False
        self._under_way.add(host.name)
        threading.Thread(
            target=self._ask, args=(host, learnt, gave_up), name=f"probe {host.name}", daemon=True
        ).start()
        return True

    def _ask(self, host: HostSettings, learnt: Callable[[], None], gave_up: Callable[[], None]) -> None:
        try:
            answer, told = learn(host, self._limit, self._clock)
            if soft_hang(answer):
                gave_up()
            if told:
                before, self._told[host.name] = self._told.get(host.name, {}), told
                news = {name: value for name, value in told.items() if before.get(name) != value}
                self._lines.put({"remember": {"host": host.name, **news}})  # a key to write for each of them
                learnt()
        except HealerError as error:
            self._lines.log("info", f"no in-band probe: {error.sentence}")
        finally:
            self._under_way.discard(host.name)


def learn(host: HostSettings, limit: float, clock: Callable[[], float]) -> tuple[InbandAnswer, Line]:
    """The answer, and what a healthy BMC says in-band, as members of HostMemory (empty: it did not answer).

    :raises HealerError: the host cannot be reached
    """
    from bmc_healer.host import open_access
    from bmc_healer.host.probe import inband_answer, inband_guid, machine_dmi

    with open_access(host) as access:
        answer = inband_answer(access, limit=limit, mark=MARK)
        if not answer.answered:
            return answer, {}
        learnt: Line = {"inband_ok_at": clock()}
        if answer.firmware:
            learnt["firmware"] = answer.firmware
        guid = inband_guid(access, limit=limit)
        if guid:
            # The GUID first: each is written by itself, and this one with an older machine proves nothing.
            learnt["bmc_guid"] = guid
            if of := machine(machine_dmi(access, limit=limit)):
                learnt["bmc_guid_machine"] = of
        return answer, learnt
