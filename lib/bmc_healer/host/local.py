"""Commands on this very machine."""

from __future__ import annotations

import asyncio
import subprocess
import tempfile
from contextlib import suppress
from typing import IO

from .shell import Channel, NotStartedError, Reader, ShellAccess


class LocalAccess(ShellAccess):
    """HostAccess to the machine this runs on; `sudo -n` when we are not root."""

    def __init__(self, name: str) -> None:
        super().__init__(name, f"{name} (this machine)")

    async def _connect(self) -> None:
        return

    async def _start(self, argv: list[str], data: bytes) -> Channel:
        with tempfile.TemporaryFile() as stdin:  # a pipe could block us, a file cannot
            stdin.write(data)
            stdin.seek(0)
            try:
                process = subprocess.Popen(
                    argv,
                    stdin=stdin,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    start_new_session=True,
                )
            except OSError as error:
                raise NotStartedError(
                    f"{argv[0]} could not be started ({error.strerror})", self._where
                ) from None
        return await _LocalChannel.open(process)

    async def _close(self) -> None:
        return


class _LocalChannel:
    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._transports: list[asyncio.ReadTransport] = []
        self.stdout: Reader
        self.stderr: Reader

    @classmethod
    async def open(cls, process: subprocess.Popen[bytes]) -> _LocalChannel:
        channel = cls(process)
        channel.stdout = await channel._reader(process.stdout)
        channel.stderr = await channel._reader(process.stderr)
        return channel

    async def _reader(self, pipe: IO[bytes] | None) -> asyncio.StreamReader:
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), pipe
        )
        self._transports.append(transport)
        return reader

    async def leave(self, patience: float) -> None:
        for transport in self._transports:
            transport.close()
        with suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(self._process.wait, patience)
