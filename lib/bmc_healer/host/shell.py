"""What local and SSH access share: one conversation with one command, in an event loop of our own.

The loop runs in a thread, so that SSH keepalives are answered while the caller waits for a BMC, and so that
this works inside programs that run a loop themselves.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Sequence
from types import TracebackType
from typing import Any, Protocol, TypeVar

from ..errors import HostAccessError
from .access import OUTPUT_LIMIT, Result
from .wrapper import KILL_SECONDS, Capture, result, wrap

T = TypeVar("T")

# A host with a load of 194 (the field case) needs its time to start a shell.
GRACE_SECONDS = 20.0
_LOGIN_LIMIT = 20.0
# dropbear closes a channel that is opened while the last one is still ending (2022.83: 1 in 100).
_LEAVE_SECONDS = 1.0


class Reader(Protocol):
    """The reading half of asyncio's and asyncssh's pipes."""

    async def read(self, n: int = -1, /) -> bytes:
        """Up to `n` bytes; none at the end."""
        ...


class Channel(Protocol):
    """One started command: what it says, and a way to forget it."""

    @property
    def stdout(self) -> Reader:
        """The command's output."""
        ...

    @property
    def stderr(self) -> Reader:
        """The command's messages."""
        ...

    async def leave(self, patience: float) -> None:
        """Wait `patience` seconds for the shell to end, then give the channel up; signals nobody."""
        ...


class ShellAccess(ABC):
    """A host with a POSIX shell. Implements HostAccess but for how a command is started."""

    def __init__(self, name: str, where: str) -> None:
        self.name = name
        self._where = where
        self._loop = asyncio.new_event_loop()
        self._thread: threading.Thread | None = None
        self._root = False
        self._privileged = False
        self._sudo_says = ""

    @abstractmethod
    async def _connect(self) -> None:
        """Make ready to start commands; raises HostAccessError."""

    @abstractmethod
    async def _start(self, argv: list[str], data: bytes) -> Channel:
        """Start a command with `data` as its whole stdin; raises HostAccessError."""

    @abstractmethod
    async def _close(self) -> None:
        """Undo `_connect`; must not take long."""

    @property
    def privileged(self) -> bool:
        """We are root there, or `sudo -n` works; known once entered."""
        return self._privileged

    def __enter__(self) -> ShellAccess:
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"host-{self.name}", daemon=True)
        self._thread.start()
        try:
            self._call(self._connect())
            self._who()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def run(
        self,
        argv: Sequence[str],
        *,
        limit: float,
        stdin: str = "",
        mark: str | None = None,
        root: bool = True,
        most: int = OUTPUT_LIMIT,
    ) -> Result:
        """See `HostAccess.run`."""
        if root and not self._privileged:
            raise HostAccessError(
                f"root is needed and sudo refuses: {self._sudo_says or 'no reason given'}",
                self._where,
                "log in as root, or allow the login NOPASSWD: ALL in sudoers",
            )
        sudo = root and not self._root
        return self._call(self._converse(argv, limit, stdin, mark, sudo, most))

    def _who(self) -> None:
        uid = self.run(["id", "-u"], limit=_LOGIN_LIMIT, root=False)
        self._root = uid.out.strip() == "0"
        self._privileged = self._root
        if not self._root:
            try:
                trial = self._call(self._converse(["true"], _LOGIN_LIMIT, "", None, True, OUTPUT_LIMIT))
            except (_NoAnswerError, NotStartedError) as error:
                self._sudo_says = error.said
            else:
                self._privileged = trial.ok

    async def _converse(
        self, argv: Sequence[str], limit: float, stdin: str, mark: str | None, sudo: bool, most: int
    ) -> Result:
        end = f"--end-{secrets.token_hex(8)}"
        out, err = Capture(end, most), Capture(end, most)
        began = time.monotonic()
        channel = await self._start(
            wrap(argv, end=end, limit=limit, mark=mark, sudo=sudo), stdin.encode("utf-8")
        )
        try:
            errors = asyncio.ensure_future(_drain(channel.stderr, err))
            try:
                await asyncio.wait_for(_drain(channel.stdout, out), limit + KILL_SECONDS + GRACE_SECONDS)
                await asyncio.wait([errors], timeout=1.0)
            finally:
                errors.cancel()
        except asyncio.TimeoutError:
            raise HostAccessError(
                f"no word for {time.monotonic() - began:.0f} s from a command limited to {limit:.0f} s; "
                "it may still be running",
                self._where,
                "look at the host's console",
            ) from None
        finally:
            await channel.leave(_LEAVE_SECONDS)
        if out.word is None:
            raise _NoAnswerError(self._where, self._lost(), _one_line(err.text()))
        return result(out, err, seconds=time.monotonic() - began, where=self._where)

    def _lost(self) -> bool:
        """The connection itself is gone."""
        return False

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _stop(self) -> None:
        if self._thread is None:
            return
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5.0)
        self._thread = None
        if not self._loop.is_running():
            self._loop.close()


class NotStartedError(HostAccessError):
    """A program is not there, or may not be run by this user."""

    def __init__(self, said: str, where: str) -> None:
        self.said = said
        super().__init__(said, where, "install it, or let the user run it")


class _NoAnswerError(HostAccessError):
    """The streams ended without a word from the shell around the command."""

    def __init__(self, where: str, lost: bool, said: str) -> None:
        self.said = said
        if lost:
            super().__init__(
                "the connection broke while a command ran; the command may still be running",
                where,
                "look whether the host is up, then diagnose again",
            )
        else:
            super().__init__(
                f"the command's shell ended without an answer ({said or 'it said nothing'}); "
                "the command may still be running",
                where,
                "look at the login's shell and at sudo",
            )


async def _drain(stream: Reader, into: Capture) -> None:
    """Feed a stream into a capture until its end token or its end."""
    try:
        while data := await stream.read(16384):
            if into.feed(data):
                return
    except (OSError, EOFError):
        return


def _one_line(text: str) -> str:
    """The last line of somebody else's message, printable and short."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return "".join(char for char in (lines[-1] if lines else "") if char.isprintable())[:200]
