"""What a kernel does with a hung BMC, told from `uname -r`. Pure.

A version between two measured ones counts as the worse of them. A vendor's kernel may carry later changes
under an old number (RHEL); none was tried.
"""

from __future__ import annotations

import re

_VERSION = re.compile(r"(\d{1,3})\.(\d{1,4})")


def version(kernel: str) -> tuple[int, int]:
    """`6.1.0-56-amd64` -> (6, 1); (0, 0) for what is no version: the oldest, with every fault."""
    found = _VERSION.match(kernel)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def queues_inband_reset(kernel: str) -> bool:
    """An undelivered in-band reset is carried out when the BMC is back.

    Measured on 5.10, 6.1, 6.12 and the legacy driver (docs/kernels.md). 7.2 drops it: while the BMC hangs
    it answers EIO itself, so nothing is gained by sending one. What lies between was not measured.
    """
    return version(kernel) < (7, 2)


def one_inband_reset_per_boot(kernel: str) -> bool:
    """A second in-band reset in one boot may lock the machine up: about 6.1 to 6.17 (RUNBOOK 5, reported)."""
    return (6, 1) <= version(kernel) <= (6, 17)
