"""ipmi_si as it was seen: one request at a time, and one that the BMC does not answer holds up the rest."""

from __future__ import annotations

import contextlib
import itertools
import queue
import socket
import threading
import time
from dataclasses import dataclass, field

from lab.bmc import codec

APP = 0x06 << 2
GET_DEVICE_ID, COLD_RESET = 0x01, 0x02
LOST = 0xC3  # what QEMU answers for a BMC that says nothing for 4 s
QEMU_SECONDS = 4.0
TICK_SECONDS = 0.1
SPINS, TIMEOUTS = 16.0, 90.0  # percent of a core, and short timeouts a second: docs/kernels.md, 6.1


@dataclass
class Request:
    """One command; `code` is its completion code once it is `done`."""

    command: int
    done: threading.Event = field(default_factory=threading.Event)
    code: int | None = None


class Driver:
    """The loaded driver and its kipmi; a context manager around a connection to the BMC's in-band port.

    completed, timeouts: as in sysfs; ticks: CPU of kipmi in 1/100 s
    """

    def __init__(self, kcs_port: int) -> None:
        self.completed = self.timeouts = self.ticks = 0.0
        self.throttled = False
        self._link = socket.create_connection(("127.0.0.1", kcs_port))
        self._link.settimeout(TICK_SECONDS)
        self._waiting: queue.Queue[Request] = queue.Queue()
        self._numbers = itertools.count(1)
        self._left = False
        self._thread = threading.Thread(target=self._work, daemon=True)

    def ask(self, command: int = GET_DEVICE_ID) -> Request:
        """Send a command, after those that wait."""
        wanted = Request(command)
        self._waiting.put(wanted)
        return wanted

    def __enter__(self) -> Driver:
        self._thread.start()
        return self

    def close(self) -> None:
        """rmmod: whatever waits is dropped."""
        self._left = True
        self._thread.join()
        self._link.close()

    def _work(self) -> None:
        while not self._left:
            with contextlib.suppress(queue.Empty):
                wanted = self._waiting.get(timeout=TICK_SECONDS)
                wanted.code = self._transact(wanted.command)
                wanted.done.set()

    def _transact(self, command: int) -> int | None:
        number = next(self._numbers) & 0x7F
        frames, began, held = codec.FrameReader(), time.monotonic(), False
        self._link.sendall(codec.message(number, APP, command))
        while not self._left:
            for frame in self._heard(frames):
                body = codec.payload(frame)
                if codec.is_message(frame) and body[0] == number:
                    self.completed += 1
                    return body[3]
                held = held or codec.is_message(frame)
            if not held and time.monotonic() - began > QEMU_SECONDS:
                self.completed += 1
                return LOST
            self.timeouts += TIMEOUTS * TICK_SECONDS
            self.ticks += SPINS * TICK_SECONDS * (0.03 if self.throttled else 1.0)
        return None

    def _heard(self, frames: codec.FrameReader) -> list[bytes]:
        try:
            return frames.feed(self._link.recv(4096))
        except TimeoutError:
            return []
