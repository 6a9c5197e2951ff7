"""end.sh with real processes under every shell."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import pytest

from bmc_healer.host.scripts import script

SHELLS = {"dash": ["dash"], "bash": ["bash", "--posix"], "busybox": ["busybox", "ash"]}


@pytest.fixture(params=sorted(SHELLS))
def shell(request):
    argv = SHELLS[request.param]
    assert shutil.which(argv[0]), f"{argv[0]} is missing: install the package {argv[0]} (busybox-static)"
    return argv


@pytest.fixture
def started():
    processes: list[subprocess.Popen] = []

    def start(*argv: str) -> subprocess.Popen:
        processes.append(subprocess.Popen(argv, stdout=subprocess.PIPE, text=True))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


def born(process: subprocess.Popen) -> str:
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(") ")[2].split()[19]


def end(shell, *entries: str) -> list[str]:
    ran = subprocess.run(
        [*shell, "-c", script("end"), "bmc_healer"],
        input="".join(f"{entry}\n" for entry in entries),
        capture_output=True,
        text=True,
        timeout=60,
    )
    return ran.stdout.splitlines()


def test_term_then_kill(shell, started):
    mild = started("sleep", "300")
    stubborn = started("sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done")
    assert stubborn.stdout.readline() == "ready\n"
    began = time.monotonic()
    assert end(shell, f"{mild.pid} {born(mild)}", f"{stubborn.pid} {born(stubborn)}") == ["end"]
    assert mild.wait(timeout=5) == -15
    assert stubborn.wait(timeout=5) == -9
    assert time.monotonic() - began < 30


def test_another_process_with_the_same_number_is_left_alone(shell, started):
    other = started("sleep", "300")
    assert end(shell, f"{other.pid} {int(born(other)) - 1}", "999999999 5") == ["end"]
    assert other.poll() is None


def test_nothing_to_do(shell):
    assert end(shell) == ["end"]
