"""Where the library reaches out: sockets, sessions, a host's shell, threads. All lead to the world."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import SimpleNamespace, TracebackType
from typing import Any
from unittest.mock import patch

from bmc_healer.bmc.address import Peer
from bmc_healer.bmc.darkness import DarkPeriod
from bmc_healer.bmc.facts import BmcFacts, Login, ResetAnswer
from bmc_healer.bmc.ping import SweepResult
from bmc_healer.config.inventory import Inventory
from bmc_healer.config.settings import Config, HostSettings
from bmc_healer.errors import StateError
from bmc_healer.executions import Executions
from bmc_healer.state.heal_state import HealState
from bmc_healer.state.heartbeat import INTERVAL_SECONDS, Pulse
from bmc_healer.state.refs import HealRef
from bmc_healer.verbs.runtime import Runtime
from year.host import Access
from year.loop import Loop, Process
from year.memory import Memory
from year.world import Bmc, World

SESSION_SECONDS = 1.5
DEAD_SECONDS = 4.0  # a ping that nobody answers
WATCH_SECONDS = 1.0  # between two pings of the stand-in for LanWatch


class Beat(Pulse):
    """The heartbeat without its thread: renewed by the loop, as long as its process lives."""

    loop: Loop
    process: Process | None
    left = False

    def __enter__(self) -> Pulse:
        self.process = self.loop.current
        self._renew()
        self.loop.after(INTERVAL_SECONDS, self._again)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.left = True

    def _again(self) -> None:
        if self.left or (self.process is not None and (self.process.killed or self.process.ended)):
            return
        with suppress(StateError):
            self._renew()
        self.loop.after(INTERVAL_SECONDS, self._again)


class State(HealState):
    """The real one, but for the heartbeat's thread."""

    def __init__(self, loop: Loop, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._loop = loop

    def alive(self, ref: HealRef) -> Pulse:
        """A heartbeat in virtual time."""
        beat = Beat(self._store, ref, self._owner, self._clock, self._steady, INTERVAL_SECONDS)
        beat.loop = self._loop
        return beat


class Made(Runtime):
    """What an action is given, in the world."""

    def __init__(
        self,
        world: World,
        config: Config,
        inventory: Inventory,
        memory: Memory,
        engine: Executions,
        token: Callable[[], str],
    ) -> None:
        self._world, self._engine = world, engine
        time: dict[str, Any] = {"clock": world.loop, "steady": world.loop, "sleep": world.loop.sleep}
        with patch("bmc_healer.verbs.runtime.Inventory", lambda _: inventory):
            super().__init__(config, memory, environ={}, **time)
        self.state = State(
            world.loop,
            memory,
            **time,
            owner="year",
            executions=engine,
            token=token,
        )

    def _executions(self) -> Executions | None:
        return self._engine

    def access(self, host: HostSettings) -> Access:
        """The way onto the made-up host."""
        return Access(self._world, self._world.hosts[host.name])

    def owner(self) -> str:
        """One installation."""
        return "year"


class Unseen:
    """No first look: it is a thread that only saves work, and nothing depends on it."""

    foreign = None

    def __init__(self, *_: object) -> None:
        pass


class Network:
    """What the library's functions of the same names would find."""

    def __init__(self, world: World) -> None:
        self._world, self._loop = world, world.loop

    def ping(self, address: str, port: int, **_: object) -> bool:
        """One BMC."""
        alive = self._bmc(address).lan(self._loop.now)
        self._loop.sleep(0.01 if alive else DEAD_SECONDS)
        return alive

    def sweep(self, targets: Iterable[Peer], **_: object) -> SweepResult:
        """Many BMCs."""
        peers = frozenset(targets)
        alive = frozenset(peer for peer in peers if self._bmc(peer[0]).lan(self._loop.now))
        self._loop.sleep(0.1 if alive == peers else DEAD_SECONDS)
        return SweepResult(alive, peers - alive)

    def look(self, address: str, port: int, login: object, **_: object) -> BmcFacts:
        """A session."""
        bmc, now = self._bmc(address), self._loop.now
        if not bmc.lan(now):
            self._loop.sleep(DEAD_SECONDS)
            return BmcFacts(now, address, alive=False, error="no answer on the LAN")
        self._loop.sleep(SESSION_SECONDS)
        return BmcFacts(
            now,
            address,
            alive=True,
            login=Login.OK,
            guid=bmc.guid,
            firmware=bmc.firmware,
            device_available=not bmc.flashing,
            power_on=True,
            watchdog_running=False,
        )

    def cold_reset(
        self,
        address: str,
        port: int,
        login: object,
        *,
        limit: float,
        guid: str | None,
        may_send: Callable[[], None],
    ) -> ResetAnswer:
        """The reset over the LAN."""
        bmc = self._bmc(address)
        self._loop.sleep(SESSION_SECONDS)
        if not bmc.lan(self._loop.now):
            return ResetAnswer(False, None, error="no session", login=Login.FAILED)
        if guid is not None and guid != bmc.guid:
            return ResetAnswer(False, None, error="another BMC", login=Login.OK)
        may_send()
        self._world.reset(bmc, "oob")
        self._loop.sleep(2.0)
        return ResetAnswer(True, 0, session_dead=not bmc.lan(self._loop.now), login=Login.OK)

    def watch(self, address: str, port: int, *, alive: bool = False) -> Watch:
        """LanWatch."""
        return Watch((address, port), self._bmc(address), self._loop, alive=alive)

    def _bmc(self, address: str) -> Bmc:
        return self._world.by_address[address]


class Watch:
    """LanWatch without its thread: notes what it sees while somebody waits, and from its beginning."""

    def __init__(self, peer: tuple[str, int], bmc: Bmc, loop: Loop, *, alive: bool) -> None:
        self.peer = peer
        self._bmc, self._loop = bmc, loop
        self._periods: list[DarkPeriod] = []
        self._known_alive = alive
        self._before = 0

    def __enter__(self) -> Watch:
        self._look()
        return self

    def __exit__(self, *_: object) -> None:
        return None

    @property
    def dark_periods(self) -> tuple[DarkPeriod, ...]:
        """As LanWatch gives them."""
        self._look()
        return tuple(self._periods)

    @property
    def alive(self) -> bool:
        """It answers now."""
        return self._bmc.lan(self._loop.now)

    def reset_goes_out(self) -> None:
        """As LanWatch takes it; nothing takes a dark period back here."""
        self._before = len(self.dark_periods)

    @property
    def dark_since_reset(self) -> tuple[DarkPeriod, ...]:
        """As LanWatch gives them."""
        return self.dark_periods[self._before :]

    def wait_dark(self, timeout: float, *, count: int = 1) -> bool:
        """Until so many dark periods have begun."""
        return self._wait(timeout, lambda: len(self._periods) - self._before >= count)

    def wait_back(self, timeout: float) -> bool:
        """Until it answers."""
        return self._wait(timeout, lambda: self.alive)

    def _wait(self, timeout: float, enough: Callable[[], bool]) -> bool:
        deadline = self._loop.now + timeout
        while True:
            self._look()
            if enough():
                return True
            if self._loop.now >= deadline:
                return False
            self._loop.sleep(WATCH_SECONDS)

    def _look(self) -> None:
        now, alive = self._loop.now, self.alive
        dark = bool(self._periods) and self._periods[-1].end is None
        if dark and alive:
            self._periods[-1] = DarkPeriod(self._periods[-1].start, now)
        elif not dark and not alive and self._known_alive:  # only who has answered can go dark
            self._periods.append(DarkPeriod(now))
        self._known_alive |= alive


@contextmanager
def replaced(world: World) -> Iterator[None]:
    """The library's ways out lead to `world` while this lasts."""
    network = Network(world)
    places: dict[str, object] = {
        "verbs.begin_heal.FirstLook": Unseen,
        "verbs.begin_heal.random": SimpleNamespace(SystemRandom=lambda: world.rng),
        "verbs.begin_heal.sweep": network.sweep,
        "verbs.end_heal.ping": network.ping,
        "verbs.host_rungs.ping": network.ping,
        "verbs.reset_bmc_oob.ping": network.ping,
        "verbs.verify.ping": network.ping,
        "bmc.ping.ping": network.ping,
        "bmc.session.look": network.look,
        "bmc.session.cold_reset": network.cold_reset,
        "bmc.session.fru_serial": lambda *_, **__: None,
        "verbs.step.LanWatch": network.watch,
        "verbs.reset_bmc_oob.LanWatch": network.watch,
    }
    with ExitStack() as stack:
        for place, stand_in in places.items():
            stack.enter_context(patch(f"bmc_healer.{place}", stand_in))
        yield
