"""snapshot.sh and command lines that may not be read: on a /proc of files, and on a real process in D."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from bmc_healer.host.clients import may_flash
from bmc_healer.host.observe import facts
from bmc_healer.host.procfs import parse
from bmc_healer.host.programs import INTERESTING
from bmc_healer.host.scripts import script
from tests.unit.watch.fake_proc import FakeProc

SHELLS = {"dash": ["dash"], "bash": ["bash", "--posix"], "busybox": ["busybox", "ash"]}
MANY = 655  # clients at once, seen in the field
DRIVER = "[<0>] ipmi_release+0x1f/0x30 [ipmi_devintf]\n[<0>] __fput+0x8e/0x250\n"
FAULT = "[<0>] folio_wait_bit_common+0x1/0x2\n[<0>] filemap_fault+0x1/0x2\n[<0>] handle_mm_fault+0x1/0x2\n"
READ = "[<0>] nfs_file_read+0x1/0x2 [nfs]\n[<0>] vfs_read+0x1/0x2\n"

# As the parent of a vfork that does not end: in D, for as long as its child lives (clone(2), CLONE_VFORK)
WAITS_IN_D = """
import ctypes, os, platform, signal, sys, time
open("/proc/self/comm", "w").write("ipmitool")
number = {"x86_64": 56, "aarch64": 220}[platform.machine()]
print(os.getpid(), flush=True)
if ctypes.CDLL(None).syscall(number, 0x4000 | signal.SIGCHLD, 0, 0, 0, 0) == 0:
    sys.stdin.read()
    os._exit(0)
"""


def looked_at(shell: str, folder):
    """What the script sees of a /proc in `folder`; the paths have as many parts as the real ones."""
    made = script("snapshot").replace("/proc/", "./proc/")
    ran = subprocess.run(
        [*SHELLS[shell], "-s", "--", INTERESTING],
        input=made, capture_output=True, text=True, timeout=30, cwd=folder, check=True,
    )  # fmt: skip
    return facts([parse(ran.stdout.replace("./proc/", "/proc/"))], privileged=True, now=0.0)


@pytest.fixture
def proc(tmp_path):
    return FakeProc(tmp_path)


def in_d(proc: FakeProc, pid: int, stack: str, *argv: str) -> None:
    proc.process(pid, argv[0], *argv, state="D")
    proc.write(f"{pid}/stack", stack)


@pytest.mark.parametrize("shell", sorted(SHELLS))
def test_the_command_line_of_each_that_hangs_in_the_driver_is_read(shell, proc, tmp_path):
    for pid in range(1000, 1000 + MANY):
        in_d(proc, pid, DRIVER, "ipmitool", "mc", "info")
    found = looked_at(shell, tmp_path)
    assert len(found.clients) == MANY
    assert {(client.known, client.subcommand) for client in found.clients} == {(True, "mc info")}
    assert all("ipmi_release" in client.stack[0] for client in found.clients)
    assert may_flash(found) == ""


@pytest.mark.parametrize("shell", sorted(SHELLS))
def test_a_flash_tool_among_hundreds_is_found(shell, proc, tmp_path):
    for pid in range(1000, 1000 + MANY):
        in_d(proc, pid, DRIVER, "ipmitool", "mc", "info")
    in_d(proc, 9999, READ, "ipmitool", "hpm", "upgrade", "/mnt/bmc.img")
    assert may_flash(looked_at(shell, tmp_path)) == "ipmitool is running on the host"


@pytest.mark.parametrize("shell", sorted(SHELLS))
def test_who_is_in_a_page_fault_is_not_read_and_told(shell, proc, tmp_path):
    in_d(proc, 1000, FAULT, "ipmitool", "hpm", "upgrade", "/mnt/bmc.img")
    in_d(proc, 1001, FAULT + DRIVER, "ipmitool", "raw", "6", "1")
    in_d(proc, 1002, FAULT, "tar", "x")
    proc.process(1003, "ipmitool", "mc", "info")
    found = looked_at(shell, tmp_path)
    assert {client.pid: client.known for client in found.clients} == {1000: False, 1001: False, 1003: True}
    assert "hpm" not in repr(found)
    assert "ipmitool (pid 1000)" in may_flash(found)


@pytest.mark.parametrize("shell", sorted(SHELLS))
@pytest.mark.parametrize("state", ["S", "D"])
def test_who_was_in_d_for_a_moment_is_read(shell, state, proc, tmp_path):
    """Its stack came too late: a process that runs shows none."""
    proc.process(1000, "ipmitool", "mc", "info", state="D")
    os.mkfifo(proc.proc / "1000/stack")

    def goes_on():
        with (proc.proc / "1000/stack").open("w"):  # `head` has it open by now
            proc.process(1000, "ipmitool", "mc", "info", state=state)

    thread = threading.Thread(target=goes_on, daemon=True)
    thread.start()
    (client,) = looked_at(shell, tmp_path).clients
    thread.join(10)
    assert client.known is (state == "S")


@pytest.fixture
def waiting():
    """A process by the name of ipmitool that is in D."""
    parent = subprocess.Popen(
        [sys.executable, "-c", WAITS_IN_D], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert int(parent.stdout.readline()) == parent.pid
    deadline = time.monotonic() + 10
    while ") D " not in Path(f"/proc/{parent.pid}/stat").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    yield parent
    parent.communicate("")


@pytest.mark.alone
@pytest.mark.parametrize("shell", sorted(SHELLS))
@pytest.mark.parametrize("user", [None, "nobody"])
def test_a_real_process_in_d(shell, user, waiting):
    """Root sees by its stack that its memory is free; who sees no stack does not read its command line."""
    if user is not None and os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    assert shutil.which(SHELLS[shell][0])
    ran = subprocess.run(
        [*SHELLS[shell], "-s", "--", INTERESTING],
        input=script("snapshot"), capture_output=True, text=True, timeout=30, user=user,
    )  # fmt: skip
    found = facts([parse(ran.stdout)], privileged=True, now=0.0)
    (seen,) = [client for client in found.clients if client.pid == waiting.pid]
    assert seen.state == "D"
    assert seen.known is (user is None and os.geteuid() == 0)
