"""Commands on another machine over SSH."""

from __future__ import annotations

import asyncio
import shlex
from contextlib import suppress
from typing import TYPE_CHECKING

from ..config.settings import HostSettings
from ..errors import HostAccessError
from .login import connect, reason, where
from .shell import Channel, Reader, ShellAccess

if TYPE_CHECKING:
    import asyncssh

_KEEPALIVE_SECONDS = 10.0


class SshAccess(ShellAccess):
    """HostAccess over one SSH connection; a connection lost between two commands is made again."""

    def __init__(self, host: HostSettings) -> None:
        super().__init__(host.name, where(host))
        self._host = host
        self._connection: asyncssh.SSHClientConnection | None = None
        self._gone = True

    async def _connect(self) -> None:
        self._connection = await connect(
            self._host, keepalive_seconds=_KEEPALIVE_SECONDS, lost=self._note_loss
        )
        self._gone = False

    def _note_loss(self) -> None:
        self._gone = True

    async def _start(self, argv: list[str], data: bytes) -> Channel:
        import asyncssh

        if self._gone or self._connection is None:
            await self._connect()
        assert self._connection is not None  # noqa: S101 - _connect raises otherwise
        try:
            process = await self._connection.create_process(shlex.join(argv), encoding=None)
        except (OSError, asyncssh.Error) as error:
            raise HostAccessError(
                f"SSH started no command: {reason(error)}", self._where, "is MaxSessions reached?"
            ) from None
        with suppress(OSError):  # it may have ended already; its output says why
            process.stdin.write(data)
            process.stdin.write_eof()
        return _SshChannel(process)

    async def _close(self) -> None:
        if self._connection is None:
            return
        self._connection.close()
        with suppress(asyncio.TimeoutError, OSError):
            await asyncio.wait_for(self._connection.wait_closed(), 2.0)

    def _lost(self) -> bool:
        return self._gone


class _SshChannel:
    def __init__(self, process: asyncssh.SSHClientProcess[bytes]) -> None:
        self._process = process
        self.stdout: Reader = _Quiet(process.stdout)
        self.stderr: Reader = _Quiet(process.stderr)

    async def leave(self, patience: float) -> None:
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._process.wait_closed(), patience)
        self._process.close()


class _Quiet:
    """A pipe whose breaking reads as its end: the missing last word tells the rest."""

    def __init__(self, stream: asyncssh.SSHReader[bytes]) -> None:
        self._stream = stream

    async def read(self, n: int = -1, /) -> bytes:
        import asyncssh

        try:
            return await self._stream.read(n)
        except (asyncssh.Error, OSError):
            return b""
