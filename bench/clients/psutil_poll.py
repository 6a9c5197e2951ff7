"""psutil_poll name|full: psutil.process_iter over all processes, names alone or what a watch needs."""

from __future__ import annotations

import sys

import psutil

from bench.clients.meter import metered

ATTRIBUTES = {"name": ["name"], "full": ["name", "status", "cpu_times", "cmdline", "create_time"]}


def main(kind: str) -> None:
    """Look again and again, as a long-lived process does."""

    def look() -> int:
        return sum("ipmi" in process.info["name"] for process in psutil.process_iter(ATTRIBUTES[kind]))

    metered(look, 5)


if __name__ == "__main__":
    main(sys.argv[1])
