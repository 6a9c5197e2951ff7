"""The one interface to a host: run an argv with a time limit. `local.py` and `ssh.py` implement it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

OUTPUT_LIMIT = 64 * 1024  # bytes kept of stdout and of stderr


@dataclass(frozen=True)
class Result:
    """What became of a command on the host.

    `status` is the exit status, or None when the command did not end within its limit. Then `unkillable`
    says whether it survived KILL (D state). `out` and `err` are bounded (64 KiB each unless asked otherwise).
    """

    status: int | None
    out: str
    err: str
    seconds: float
    unkillable: bool = False

    @property
    def ok(self) -> bool:
        """Ended by itself with exit status 0."""
        return self.status == 0


class HostAccess(Protocol):
    """A way onto one host. Use as a context manager; entering connects and raises HostAccessError."""

    name: str

    @property
    def privileged(self) -> bool:
        """We are root there, or `sudo -n` works; known once entered."""
        ...

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
        """Run `argv` (no shell) for at most `limit` seconds.

        :param mark: set in the command's environment as BMC_HEALER_MARK, so that it is found later
        :param root: prefix `sudo -n` when the login is not root
        :param most: bytes kept of each stream; the rest is read and dropped
        :raises HostAccessError: the connection broke (the command may still be running), or `root` is asked
            for where sudo refuses
        """
        ...

    def __enter__(self) -> HostAccess: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
