"""snapshot.sh on this machine under every shell that a host may have, with real processes."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from bmc_healer.host.observe import facts
from bmc_healer.host.procfs import parse
from bmc_healer.host.programs import INTERESTING
from bmc_healer.host.scripts import script

pytestmark = pytest.mark.alone
SHELLS = {"dash": ["dash"], "bash": ["bash", "--posix"], "busybox": ["busybox", "ash"]}
MANY = 300  # clients at once; the field has seen 655


@pytest.fixture(scope="module")
def clients(tmp_path_factory):
    """Processes by the name of ipmitool, which wait; the first carries a mark and a password."""
    program = tmp_path_factory.mktemp("bin") / "ipmitool"
    shutil.copy(shutil.which("bash"), program)
    processes = [
        subprocess.Popen(
            [program, "-c", "read -r line", "ipmitool", "-P", "s3cret"],
            stdin=subprocess.PIPE,
            env={"BMC_HEALER_MARK": f"inc:{number}", "PADDING": "x" * 3000} if number < 2 else {},
        )
        for number in range(MANY)
    ]
    yield processes
    for process in processes:
        process.kill()
        process.stdin.close()
        process.wait()


@pytest.mark.parametrize("shell", sorted(SHELLS))
def test_snapshot_of_a_pile_of_clients(shell, clients):
    argv = SHELLS[shell]
    assert shutil.which(argv[0]), f"{argv[0]} is missing: install the package {argv[0]} (busybox-static)"
    began = time.monotonic()
    ran = subprocess.run(
        [*argv, "-s", "--", INTERESTING], input=script("snapshot"), capture_output=True, text=True, timeout=30
    )
    seconds = time.monotonic() - began
    assert (ran.returncode, ran.stderr) == (0, "")
    found = facts([parse(ran.stdout)], privileged=True, now=0.0)
    assert found.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    ours = {process.pid for process in clients}
    seen = {client.pid: client for client in found.clients if client.pid in ours}
    assert seen.keys() == ours
    assert {client.program for client in seen.values()} == {"ipmitool"}
    assert seen[clients[1].pid].mark == "inc:1"
    assert seen[clients[2].pid].mark is None
    assert 0 <= seen[clients[0].pid].age_seconds < 120
    assert {client.state for client in seen.values()} == {"S"}
    if os.geteuid() == 0 and Path("/proc/self/stack").exists():
        # 200 are told whole, in the order of names (10000 comes before 9999); some may be of others
        assert 150 <= sum(1 for client in seen.values() if client.stack) <= 200
    assert "s3cret" not in repr(found)
    # Measured on two busy cores with 700 clients: 0.3 s (dash) to 0.6 s (busybox)
    assert seconds < 5


def test_a_cut_script_does_nothing():
    """The script is one function, called in its last line: half of it is no command."""
    half = script("snapshot")[: len(script("snapshot")) // 2]
    ran = subprocess.run(["sh", "-s", "--", "x"], input=half, capture_output=True, text=True, timeout=10)
    assert "@@" not in ran.stdout
