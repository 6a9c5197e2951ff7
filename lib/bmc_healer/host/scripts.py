"""The constant shell scripts beside this file, as they are sent to a host: without comments."""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def script(name: str) -> str:
    """Text of `NAME.sh`; without comments, since old dropbear servers take 9,000 bytes of command at most."""
    lines = Path(__file__).with_name(f"{name}.sh").read_text(encoding="utf-8").splitlines()
    return "\n".join(line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#"))
