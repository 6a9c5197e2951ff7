"""Times as people read and type them; always UTC."""

from __future__ import annotations

from datetime import datetime, timezone


def utc(when: float) -> str:
    """`2026-11-21 10:45:12 UTC`."""
    return datetime.fromtimestamp(when, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")


def compact(when: float) -> str:
    """`20261121-104512`: sorts by time, fits into an incident's id."""
    return datetime.fromtimestamp(when, timezone.utc).strftime("%Y%m%d-%H%M%S")
