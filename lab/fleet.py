"""Thousands of BMCs in one process, for sweeps and benches: they answer from every address of 127.0.0.0/8."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from types import TracebackType

from lab import state, tools
from lab.errors import LabError

PACKAGES = {
    "gcc": "/usr/bin/gcc",
    "libc6-dev": "/usr/include/stdio.h",
    "libssl-dev": "/usr/include/openssl/evp.h",
}
USER, PASSWORD = "admin", "secret"  # any user may log in


def addresses(count: int) -> list[str]:
    """The first so many of the fleet: 127.10.0.1 to 127.10.0.250, 127.10.1.1 and so on."""
    return [f"127.{10 + n // 62500}.{n // 250 % 250}.{n % 250 + 1}" for n in range(count)]


def binary() -> Path:
    """The responder, compiled when its source has changed."""
    sources = sorted((state.DATA / "fleet").iterdir())
    built = state.state_dir() / f"fleet-{state.digest(files=sources)}"
    if not built.exists():
        tools.ensure(PACKAGES)
        half = built.with_suffix(f".{os.getpid()}")
        code = [str(source) for source in sources if source.suffix == ".c"]
        tools.run(["gcc", "-O2", "-Wall", "-o", str(half), *code, "-lcrypto"])
        half.rename(built)
    return built


class Fleet:
    """A running fleet; a context manager. It ends with this process, too.

    :param port: UDP port; 0 is a free one
    :param options: faults of BMCs and network, see `data/fleet/fleet.c`
    """

    def __init__(self, port: int = 0, **options: int) -> None:
        self._argv = [str(port), *(f"{name}={value}" for name, value in options.items())]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Fleet:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen([str(binary()), *self._argv], stdin=pipe, stdout=pipe, stderr=pipe)
        assert self._process.stdout is not None  # noqa: S101 - a pipe
        line = self._process.stdout.readline()
        if not line:
            said = self._process.communicate()[1].decode(errors="replace").strip()
            raise LabError(f"the fleet does not start: {said}")
        self.port = int(line)
        return self

    @property
    def requests(self) -> int:
        """How many it has received so far."""
        assert self._process and self._process.stdin and self._process.stdout  # noqa: S101 - within the context
        self._process.stdin.write(b".")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.communicate()  # closes its stdin
            self._process = None
