"""Where the lab keeps what it makes."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

DATA = Path(__file__).resolve().parent / "data"


def state_dir() -> Path:
    """Downloads, builds and keys: `BMC_LAB_STATE`, or ~/.cache/bmc-healer-lab. It may be deleted any time."""
    path = (
        Path(os.environ.get("BMC_LAB_STATE") or Path.home() / ".cache" / "bmc-healer-lab")
        .expanduser()
        .resolve()
    )
    path.mkdir(parents=True, exist_ok=True)
    return path


def new_run_dir(name: str) -> Path:
    """A directory for one run's logs and sockets; short, since a socket's path may have 107 characters."""
    return Path(tempfile.mkdtemp(prefix=f"bmc-lab-{name}-"))


@contextmanager
def locked(what: str) -> Iterator[None]:
    """One process at a time makes `what`; the others wait and find it made."""
    with (state_dir() / f"{what}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def digest(*parts: str, files: Iterable[Path] = ()) -> str:
    """A short hash of words and of files' contents: the name of a build made from them."""
    sha = hashlib.sha256("\0".join(parts).encode())
    for path in files:
        sha.update(path.name.encode() + b"\0" + path.read_bytes())
    return sha.hexdigest()[:16]


@contextmanager
def made(final: Path) -> Iterator[Path]:
    """A directory to build in, which becomes `final` only when the building succeeded."""
    half = final.with_name(f"{final.name}.half")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(parents=True)
    yield half
    shutil.rmtree(final, ignore_errors=True)
    half.rename(final)
