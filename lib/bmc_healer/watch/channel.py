"""Samples of an SSH host: one long-lived channel on which `loop.sh` answers each request with one line.

Nothing is installed on the host; the loop ends with its stdin, and so with this process. asyncssh runs in
this process, so no ssh client is left behind either.
"""

from __future__ import annotations

import asyncio
import shlex
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from bmc_healer.config.settings import HostSettings
from bmc_healer.errors import HostAccessError
from bmc_healer.host.login import connect, reach, reason, where

from .snapshot import LINE_LIMIT, Hello, Sample, parse_hello, parse_snap

BANNER_LINES = 20  # a login shell may greet before the loop speaks
ANSWER_SECONDS = 20.0  # a snapshot takes milliseconds; a host that swaps may need longer
NOISE_SECONDS = 0.1  # what a host has sent to stderr is here already, and read without waiting
KEEPALIVE_SECONDS = 60.0
WINDOW = 4 * LINE_LIMIT  # bytes a host may send ahead before it is made to wait


@dataclass(frozen=True)
class Turns:
    """How many channels may be opened at once.

    :param reaching: TCP connections that are being made or still mute, or wait for the turn to log in
    :param opening: logins, with the start of the loop
    """

    reaching: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    opening: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))


@dataclass
class Channel:
    """The connection to one host, opened by the first `sample` and after every failure anew.

    :param turns: shared with the channels of other hosts
    """

    host: HostSettings
    turns: Turns = field(default_factory=Turns)
    _connection: Any = None
    _process: Any = None
    _hello: Hello | None = None
    _number: int = 0

    @property
    def where(self) -> str:
        """For errors."""
        return where(self.host)

    async def sample(self) -> Sample:
        """One look.

        :raises HostAccessError: SSH failed, or no proper answer came within 20 s; the channel is closed
        """
        try:
            return await self._sample()
        except BaseException:  # cancelled, too: the host was taken out of the configuration
            self.close()
            raise

    def close(self) -> None:
        """Give the connection up at once, without a word that could hang."""
        if self._connection is not None:
            self._connection.abort()
        self._connection = self._process = self._hello = None

    async def _sample(self) -> Sample:
        try:
            if self._hello is None:
                self._hello = await self._turn()
            self._number += 1
            self._process.stdin.write(f"{self._number}\n")
            line = await asyncio.wait_for(self._line(), ANSWER_SECONDS)
            return parse_snap(line, self._number, self._hello, self.where)
        except asyncio.TimeoutError:
            raise await self._silenced(
                "no answer in time", "look whether the host is up and not overloaded"
            ) from None
        except (OSError, asyncio.IncompleteReadError, _ssh_error()) as error:
            raise HostAccessError(f"SSH failed: {reason(error)}", self.where, "is sshd up?") from None

    async def _turn(self) -> Hello:
        """Open it. The turns to log in are there for the CPU: a dead or mute host must not hold one."""
        async with self.turns.reaching:
            sock = await reach(self.host)
            try:
                await self.turns.opening.acquire()
            except BaseException:  # cancelled
                sock.close()
                raise
        try:
            limit = self.host.ssh.connect_timeout + ANSWER_SECONDS
            return await asyncio.wait_for(self._open(sock), limit)
        finally:
            self.turns.opening.release()
            if self._connection is None:
                sock.close()

    async def _open(self, sock: socket.socket) -> Hello:
        import asyncssh

        self._connection = await connect(self.host, keepalive_seconds=KEEPALIVE_SECONDS, sock=sock)
        script = resources.files(__package__).joinpath("loop.sh").read_text()
        self._process = await self._connection.create_process(
            f"exec sh -c {shlex.quote(script)}", stderr=asyncssh.PIPE, errors="replace", window=WINDOW
        )  # nobody reads stderr: DEVNULL would take in whatever comes, without an end
        for _ in range(BANNER_LINES):
            hello = parse_hello(await self._line())
            if hello is not None:
                return hello
        raise HostAccessError(
            "the watching loop does not start", self.where, "look at the login shell's output"
        )

    async def _line(self) -> str:
        """One line; a host that floods without an end of line is cut off by the session's limit."""
        try:
            line: str = await self._process.stdout.readuntil("\n")
        except asyncio.IncompleteReadError:
            raise await self._silenced(
                "the watching loop ended", "check that `sh` runs there and the SSH session stays open"
            ) from None
        if len(line) > LINE_LIMIT:
            raise HostAccessError(
                "the watching loop sends too much", self.where, "look at what `sh` is there"
            )
        return line

    async def _silenced(self, what: str, hint: str) -> HostAccessError:
        """Why no line comes: the window, which stdout and stderr share, is full of the latter; or `what`."""
        noise = ""
        with suppress(asyncio.TimeoutError, OSError, _ssh_error()):
            if self._process is not None:
                noise = await asyncio.wait_for(self._process.stderr.read(WINDOW), NOISE_SECONDS)
        if len(noise) < WINDOW // 2:
            return HostAccessError(what, self.where, hint)
        hint = "look at what its login shell prints there, or what that starts"
        return HostAccessError("it sends too much to stderr", self.where, hint)


def _ssh_error() -> type[Exception]:
    import asyncssh

    error: type[Exception] = asyncssh.Error
    return error
