"""StackStorm's execution statuses."""

from __future__ import annotations

REQUESTED = "requested"
DELAYED = "delayed"
RUNNING = "running"
SUCCEEDED = "succeeded"
FAILED = "failed"
TIMEOUT = "timeout"
ABANDONED = "abandoned"
CANCELING = "canceling"
CANCELED = "canceled"

FINAL = frozenset({SUCCEEDED, FAILED, TIMEOUT, ABANDONED, CANCELED})
ABENDED = frozenset({FAILED, TIMEOUT, ABANDONED})
