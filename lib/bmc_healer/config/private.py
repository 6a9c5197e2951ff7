"""Files that hold a secret: read only when nobody else could have."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from bmc_healer.errors import ConfigError


def read(path: Path, origin: str = "") -> tuple[bytes, str | None]:
    """The file's content, and why it may not hold a secret (None when it may: mode 0600 or less, and ours).

    Looked at through the open file, so that it cannot be exchanged in between.

    :param origin: what to name in the error, default the path
    :raises ConfigError: the file cannot be read
    """
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ConfigError("not a regular file", origin or str(path))
            content = file.read()
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", origin or str(path)) from None
    return content, _exposed(status)


def _exposed(status: os.stat_result) -> str | None:
    mode = stat.S_IMODE(status.st_mode)
    if status.st_uid != os.geteuid():
        return f"it belongs to user id {status.st_uid}, not to us ({os.geteuid()})"
    if mode & 0o077:
        return f"its mode is {mode:04o}, others could read or change it (0600 is needed)"
    return None


def read_secret(path: str, origin: str) -> bytes:
    """The secret in the file, without the line end after it.

    :raises ConfigError: not readable, empty, of more than one line, or open to others
    """
    content, exposed = read(Path(path), f"{origin} ({path})")
    if exposed:
        raise ConfigError(f"not used: {exposed}", f"{origin} ({path})", f"chmod 600 {path}")
    secret = content.removesuffix(b"\n").removesuffix(b"\r")
    if not secret:
        raise ConfigError("the file is empty", f"{origin} ({path})")
    if b"\n" in secret or b"\0" in secret:
        raise ConfigError("the file must hold one line of text", f"{origin} ({path})")
    return secret
