"""run.sh under every shell that a host may have as /bin/sh, with real processes."""

from __future__ import annotations

import os
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
    assert shutil.which(argv[0]), (
        f"{argv[0]} is missing: install the package {argv[0]} (busybox: busybox-static)"
    )
    return argv


def run(shell, *argv, limit="20", mark="", stdin=""):
    command = [*shell, "-c", script("run"), "bmc_healer", "--end-x", limit, mark, *argv]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60)


def test_true_exit_status_output_and_stdin(shell):
    ran = run(shell, "sh", "-c", "cat; echo out; echo err >&2; exit 7", stdin="in\n")
    assert ran.stdout == "in\nout\n\n--end-x 7\n"
    assert ran.stderr == "err\n\n--end-x\n"


def test_arguments_arrive_as_they_are(shell):
    odd = "a b; $(reboot) 'x' \"y\" *"
    assert run(shell, "printf", "%s", odd).stdout.startswith(odd + "\n--end-x 0")


def test_mark_is_in_the_environment_of_the_command(shell):
    assert "\nBMC_HEALER_MARK=inc:4\n" in run(shell, "env", mark="inc:4").stdout
    assert "BMC_HEALER_MARK" not in run(shell, "env").stdout


def test_missing_command_is_127(shell):
    assert "--end-x 127" in run(shell, "no-such-command-here").stdout


def test_killed_by_somebody_else_is_no_timeout(shell):
    assert "--end-x 137" in run(shell, "sh", "-c", "kill -KILL $$").stdout


def test_limit_ends_the_command_and_its_children(shell, tmp_path):
    pids = tmp_path / "pids"
    began = time.monotonic()
    ran = run(shell, "sh", "-c", 'sleep 300 & echo "$$ $!" > "$1"; wait', "x", str(pids), limit="1")
    assert ran.stdout.endswith("--end-x late\n")
    assert time.monotonic() - began < 10
    for pid in pids.read_text().split():
        assert _gone(int(pid))


def test_limit_ends_who_ignores_term(shell):
    began = time.monotonic()
    ran = run(shell, "sh", "-c", "trap '' TERM; while :; do sleep 1; done", limit="1")
    assert ran.stdout.endswith("--end-x late\n")
    assert 1 < time.monotonic() - began < 12


def test_answer_does_not_wait_for_who_keeps_the_pipes(shell):
    """A process in D cannot be had here; one that left the group and keeps stdout open looks alike."""
    with subprocess.Popen(
        [
            *shell,
            "-c",
            script("run"),
            "bmc_healer",
            "--end-x",
            "20",
            "",
            "sh",
            "-c",
            "setsid sleep 30 & echo hi",
        ],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        began = time.monotonic()
        lines = [process.stdout.readline() for _ in range(3)]
        assert lines == ["hi\n", "\n", "--end-x 0\n"]
        assert time.monotonic() - began < 10
        _end_children_holding(process.stdout.fileno())


def test_quick_command_leaves_no_alarm_behind(shell):
    limit = str(100_000 + os.getpid())  # no other test run's
    ran = run(shell, "sh", "-c", "echo $PPID", limit=limit)
    wrapper = ran.stdout.split()[0]
    assert "--end-x 0" in ran.stdout
    deadline = time.monotonic() + 5
    while left := _running("sleep", limit):
        assert time.monotonic() < deadline, f"the alarm of {wrapper} is left: {left}"
        time.sleep(0.05)


def test_comments_are_not_sent():
    assert "#" not in script("run").replace("${line##*)", "")
    assert len(script("run")) < 4000  # old dropbear takes 9,000 bytes of command


def _gone(pid: int) -> bool:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False


def _running(*argv: str) -> list[str]:
    wanted = "\0".join(argv) + "\0"
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_text().endswith(wanted):
                found.append(path.parent.name)
        except OSError:
            continue
    return found


def _end_children_holding(number: int) -> None:
    """End the `sleep 30` that holds the other end of our pipe: it is the only one with that inode."""
    inode = Path(f"/proc/self/fd/{number}").readlink()
    for path in Path("/proc").glob("[0-9]*/fd/1"):
        try:
            if path.readlink() == inode and path.parts[2] != str(os.getpid()):
                os.kill(int(path.parts[2]), 9)
        except OSError:
            continue
