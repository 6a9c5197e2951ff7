"""The host's shell: what the pack's commands come to, and the clients of others around them."""

from __future__ import annotations

import itertools
import threading
import time
import uuid
from dataclasses import dataclass

from lab.sim import BmcSim
from tests.guest.played.driver import COLD_RESET, GET_DEVICE_ID, Driver
from year.host import CLAIM, INFO, Access

KERNEL = "6.1.0-56-amd64"
PATIENCE_SECONDS = 60.0  # of today's ipmitool; that of the fault's time waits for ever
RESET_SECONDS = 15.0  # `mc reset cold` on the hang says that it was sent; 47 s on the real one
PROBE_SECONDS = 8.0  # modprobe on a dead BMC; 189 s on the real one


class RealTime:
    """The clock of year's loop."""

    @property
    def now(self) -> float:
        """Epoch seconds."""
        return time.time()

    @staticmethod
    def sleep(seconds: float) -> None:
        """Tenths of a second of a shell are not waited for."""


@dataclass(frozen=True)
class Client:
    """A client of somebody that waits for an answer."""

    pid: int
    since: float
    patience: float


@dataclass(frozen=True)
class Machine:
    """What the host's own BMC says and the snapshot shows."""

    guid: str
    flashing: bool = False


class PlayedHost:
    """A host; the members are those that `year.host` reads."""

    kernel = KERNEL
    up = True
    boots = 0

    def __init__(self, sim: BmcSim) -> None:
        self.name = sim.name
        self.bmc = Machine(str(uuid.UUID(sim.guid)))
        self.sim = sim
        self.booted_at = time.time()
        self.boot_id = str(uuid.uuid4())
        self.throttle = 0
        self.lease: list[str] | None = None
        self.ipmi: Driver | None = None
        self.device = False
        self._clients: list[Client] = []
        self._pids = itertools.count(3000)
        self._lock = threading.Lock()
        self.load()

    @property
    def driver(self) -> bool:
        """Whether ipmi_si is loaded."""
        return self.ipmi is not None

    @property
    def completed(self) -> float:
        """The counter of the loaded driver."""
        return self.ipmi.completed if self.ipmi else 0.0

    @property
    def timeouts(self) -> float:
        """The counter of the loaded driver."""
        return self.ipmi.timeouts if self.ipmi else 0.0

    @property
    def ticks(self) -> float:
        """CPU of kipmi."""
        return self.ipmi.ticks if self.ipmi else 0.0

    @property
    def pile_since(self) -> float | None:
        """Somebody waits since then."""
        return min((one.since for one in self._clients), default=None)

    @pile_since.setter
    def pile_since(self, _: None) -> None:
        """end.sh has ended those that it was told to; what they asked stays in the driver."""
        self._clients = []

    def count(self, now: float) -> None:
        """The driver's counters go on by themselves; clients that have waited long enough leave."""
        if self.ipmi is not None:
            self.ipmi.throttled = self.throttle > 0
        self._clients = [one for one in self._clients if now - one.since < one.patience]

    def pile(self, now: float) -> list[tuple[int, float]]:
        """(pid, age) of the clients that wait."""
        return [(one.pid, now - one.since) for one in self._clients]

    def join(self, patience: float) -> None:
        """A client of somebody: in a thread, since nobody waits for it."""
        client = Client(next(self._pids), time.time(), patience)
        self._clients.append(client)

        def wait() -> None:
            if self.ipmi is not None:
                asked = self.ipmi.ask()
                asked.done.wait(patience if patience < 1e6 else None)
            self._clients = [one for one in self._clients if one is not client]

        threading.Thread(target=wait, daemon=True).start()

    def load(self) -> bool:
        """modprobe; whether it found its BMC."""
        self.ipmi = Driver(self.sim.kcs_port).__enter__()
        self.device = self.ipmi.ask().done.wait(PROBE_SECONDS)
        return self.device

    def unload(self) -> None:
        """rmmod."""
        driver, self.ipmi, self.device = self.ipmi, None, False
        if driver is not None:
            driver.close()


class Shell(Access):
    """`Access` on a played host: the driver is asked, and nothing else takes time."""

    def __init__(self, host: PlayedHost) -> None:
        self.name = host.name
        self._host, self._loop = host, RealTime()

    def _obey(self, argv: list[str], stdin: str, limit: float) -> tuple[int | None, str, str]:
        if argv[0] == "id":
            return 0, "0\n", ""
        if argv[0] == "/sbin/rmmod":
            if argv[1] == "ipmi_si":
                self._host.unload()
            return 0, "", ""
        return super()._obey(argv, stdin, limit)

    def _ipmitool(self, words: list[str], limit: float) -> tuple[int | None, str, str]:
        host, reset = self._host, words == ["mc", "reset", "cold"]
        if host.ipmi is None or not host.device:
            return (0, CLAIM, "") if reset else (1, "", "Could not open device at /dev/ipmi0\n")
        asked = host.ipmi.ask(COLD_RESET if reset else GET_DEVICE_ID)
        asked.done.wait(min(limit, RESET_SECONDS if reset else PATIENCE_SECONDS))
        if reset:
            return 0, CLAIM, ""
        if asked.code == 0:
            return 0, INFO.format(firmware=host.sim.bmc.status().firmware), ""
        return 1, "", "Get Device ID command failed\n"

    def _modprobe(self, module: str, limit: float) -> tuple[int | None, str, str]:
        if module == "ipmi_si" and self._host.ipmi is None:
            self._host.load()
        return 0, "", ""
