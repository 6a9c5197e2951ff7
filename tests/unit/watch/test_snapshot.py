"""The loop under every shell it must work in, and that it sees what the local probe sees.

/proc and /sys are replaced in the script's text by folders of plain files; a shell reads both alike.
"""

import shutil
import subprocess
import time
from dataclasses import replace
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmc_healer.errors import HostAccessError
from bmc_healer.host.programs import classify
from bmc_healer.watch.local import LocalProbe
from bmc_healer.watch.snapshot import Hello, parse_hello, parse_snap

from .fake_proc import FakeProc

LOOP = resources.files("bmc_healer.watch").joinpath("loop.sh").read_text()
SHELLS = {"dash": ["dash"], "bash": ["bash", "--posix"], "busybox": ["busybox", "ash"]}
HELLO = Hello(100, "boot", "6.1")


@pytest.fixture(params=SHELLS)
def shell(request):
    argv = SHELLS[request.param]
    assert shutil.which(argv[0]), f"the package {argv[0]} is missing"
    return argv


@pytest.fixture
def fake(tmp_path):
    fake = FakeProc(tmp_path)
    fake.process(1, "systemd")
    fake.process(55, "kipmi0", parent=2, cpu=(3, 9000), state="R", start=300)
    fake.process(56, "kipmi1", parent=1, cpu=(3, 9000))  # a program with that name
    fake.process(900, "ipmitool", "/usr/bin/ipmitool", "mc", "info")
    fake.process(901, "ipmitool", "ipmitool", "-I", "lanplus", "-H", "10.1.0.5", "-P", "secret", "mc", "info")
    fake.process(902, "ipmitool", "ipmitool", "shell")
    fake.process(903, "ipmitool", "ipmitool", "-I", "lanplus", state="D", wchan="")  # not to be read
    fake.process(904, "ipmi-sensors", "ipmi-sensors", "-h", "10.1.0.5")
    fake.process(905, "ipmievd", "ipmievd", "daemon")
    fake.process(906, "a) R 2 kipmi0 (", "x")
    fake.interface("ipmi0", 500, 700, 30, 2)
    return fake


def script_on(fake):
    return LOOP.replace("/proc/", f"{fake.proc}/").replace("/sys/class", f"{fake.sys}/class")


def ask(argv, fake, *lines):
    done = subprocess.run(
        [*argv, "-c", script_on(fake)],
        input="".join(f"{line}\n" for line in lines),
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert done.stderr == ""
    hello, *answers = done.stdout.splitlines()
    hello = parse_hello(hello)
    return [parse_snap(answer, int(line), hello, "db01") for answer, line in zip(answers, lines, strict=True)]


def facts(sample):
    clients = {c.pid: (c.state, c.kind, c.inband, c.wchan, round(c.age_seconds)) for c in sample.clients}
    return replace(sample, clients=()), clients


def test_the_loop_and_the_local_probe_see_the_same(shell, fake):
    (there,) = ask(shell, fake, 7)
    here = LocalProbe(fake.proc, fake.sys, hz=there.hz).sample()
    assert facts(there) == facts(here)
    assert [(t.pid, t.ticks) for t in here.kipmi] == [(55, 9003)]
    assert here.client_count == 5
    assert facts(here)[1] == {
        900: ("S", "client", True, "do_select", 600),
        901: ("S", "client", False, "do_select", 600),
        902: ("S", "console", True, "do_select", 600),
        903: ("D", "client", True, "", 600),
        904: ("S", "client", False, "do_select", 600),
    }
    assert (here.counters["ipmi0"].completed, here.counters["ipmi0"].timeouts) == (500, 730)
    assert (here.load1, here.cpu_ticks) == (3.14, (3359, 40))


def test_old_kernels_have_their_counters_in_proc(shell, tmp_path):
    fake = FakeProc(tmp_path)
    fake.process(1, "init")
    fake.si_stats(0, 500, 700, 30, 2)
    (there,) = ask(shell, fake, 1)
    assert facts(there) == facts(LocalProbe(fake.proc, fake.sys, hz=there.hz).sample())
    assert there.counters["ipmi0"].hosed == 2


class Loop:
    """A loop that is asked again and again; a context manager."""

    def __init__(self, argv, script):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self._process = subprocess.Popen([*argv, "-c", script], text=True, bufsize=1, **pipes)
        self._hello = parse_hello(self._process.stdout.readline())
        self._number = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.communicate()

    def ask(self):
        """One snapshot line."""
        self._number += 1
        self._process.stdin.write(f"{self._number}\n")
        return self._process.stdout.readline()

    def clients(self):
        return [client.pid for client in parse_snap(self.ask(), self._number, self._hello, "db01").clients]


def test_fork_then_exec_is_seen_at_the_next_request(shell, fake):
    fake.process(1000, "sh")
    with Loop(shell, script_on(fake)) as loop:
        assert 1000 not in loop.clients()
        fake.process(1000, "ipmitool", "ipmitool", "sdr")
        assert 1000 in loop.clients()


def test_a_new_name_is_seen_within_some_requests_and_from_then_on(shell, fake):
    fake.process(1000, "sh")
    with Loop(shell, script_on(fake)) as loop:
        assert not any(1000 in loop.clients() for _ in range(20))
        fake.process(1000, "ipmitool", "ipmitool", "sdr")
        seen = [1000 in loop.clients() for _ in range(40)]
        assert True in seen[:16] and seen == sorted(seen)
        fake.process(1000, "sh")
        assert not any(1000 in loop.clients() for _ in range(40))


def test_processes_that_are_gone_are_forgotten(shell, fake):
    """What it remembers is read from its variables; more than a thousand processes come and go."""
    script = script_on(fake).replace('$items"', '$items remembers:$(set | grep -c "^p[0-9]")"')
    remembers = []
    with Loop(shell, script) as loop:
        for number in range(10_000, 10_000 + 4 * 300, 4):
            for pid in range(number, number + 4):
                fake.process(pid, "sh")
            remembers.append(int(loop.ask().rpartition(":")[2]))
            for pid in range(number, number + 4):
                fake.end(pid)
    assert max(remembers) > 1000 and remembers[-1] < 300


def test_a_pile_is_counted_and_its_first_are_looked_at(shell, tmp_path):
    fake = FakeProc(tmp_path)
    for pid in range(1000, 1655):
        fake.process(pid, "ipmitool", "ipmitool", "sdr")
    (there,) = ask(shell, fake, 1)
    here = LocalProbe(fake.proc, fake.sys, hz=there.hz).sample()
    assert (there.client_count, len(there.clients)) == (here.client_count, len(here.clients)) == (655, 64)


def test_no_argument_leaves_the_host(shell, fake):
    script = LOOP.replace("/proc/", f"{fake.proc}/")
    done = subprocess.run([*shell, "-c", script], input="1\n", capture_output=True, text=True, timeout=20)
    assert "secret" not in done.stdout


def test_the_loop_starts_no_process_and_ends_with_its_stdin(shell):
    loop = subprocess.Popen([*shell, "-c", LOOP], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    hello = parse_hello(loop.stdout.readline())
    spent = []
    for number in (1, 2, 3):
        loop.stdin.write(f"{number}\n")
        loop.stdin.flush()
        parse_snap(loop.stdout.readline(), number, hello, "here")
        spent.append(_children_ticks(loop.pid))
    loop.stdin.close()
    assert loop.wait(5) is not None
    loop.stdout.close()
    assert len(set(spent)) == 1


def _children_ticks(pid):
    """Minor faults of children that were waited for: every fork adds some."""
    with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
        return file.read().rpartition(") ")[2].split()[8]


def test_the_names_in_the_loop_are_those_of_the_table():
    line = LOOP[LOOP.index("ipmitool | ") :].split(")")[0].replace("\\\n", " ")
    names = [name.strip().rstrip("*") for name in line.split("|")]
    assert len(names) > 10
    assert {classify(name, ()).kind for name in names} == {"client"}


def test_banners_are_no_hello():
    assert parse_hello("Welcome to db01\n") is None
    assert parse_hello("hello 1 0 x y") is None
    assert parse_hello("hello 1 100 boot 6.1\n") == HELLO


@pytest.mark.parametrize(
    "line",
    [
        "",
        "snap 2 1.0 0.1 1 1 1 1 1 1 1 1 0",  # the answer to another request
        "snap 1 1.0 0.1 1 1 1 1 1 1 1 1 x",
        "snap 1 1.0 0.1 1 1 1",
        "snap 1 1.0 0.1 1 1 1 1 1 1 1 1 0 k:1:2",
        "snap 1 1.0 0.1 1 1 1 1 1 1 1 1 0 c:1:2:S:b:ipmitool",
        "snap 1 1.0 0.1 1 1 1 1 1 1 1 1 0 d:ipmi0:1:2:3:",
    ],
)
def test_another_answer_is_an_error_with_the_host_in_it(line):
    with pytest.raises(HostAccessError, match="db01"):
        parse_snap(line, 1, HELLO, "db01")


@given(st.text(max_size=300))
def test_garbage_never_crashes(text):
    with pytest.raises(HostAccessError):
        parse_snap(text, 1, HELLO, "db01")
    with pytest.raises(HostAccessError):
        parse_snap(f"snap 1 1.0 0.1 1 1 1 1 1 1 1 1 0 k:{text}", 1, HELLO, "db01")


def test_a_snapshot_is_cheap():
    loop = subprocess.Popen(["dash", "-c", LOOP], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    loop.stdout.readline()
    started = time.monotonic()
    for number in range(20):
        loop.stdin.write(f"{number}\n")
        loop.stdin.flush()
        loop.stdout.readline()
    loop.stdin.close()
    loop.wait(5)
    loop.stdout.close()
    assert (time.monotonic() - started) / 20 < 0.1  # 2 ms on an idle machine with 100 processes
