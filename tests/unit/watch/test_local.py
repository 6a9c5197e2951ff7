import subprocess
import sys

import pytest

from bmc_healer.errors import HostAccessError
from bmc_healer.watch import local
from bmc_healer.watch.local import TRUSTED_POLLS, LocalProbe

from .fake_proc import FakeProc


@pytest.fixture
def fake(tmp_path):
    return FakeProc(tmp_path)


@pytest.fixture
def probe(fake):
    return LocalProbe(fake.proc, fake.sys, hz=100)


def pids(probe):
    return [client.pid for client in probe.sample().clients]


def test_fork_then_exec_is_seen_at_the_next_poll(fake, probe):
    fake.process(900, "sh")
    assert pids(probe) == []
    fake.process(900, "ipmitool", "ipmitool", "sdr")
    assert pids(probe) == [900]


def test_a_rename_and_a_pid_that_comes_back_are_seen_within_some_polls(fake, probe):
    fake.process(900, "sh")
    assert [pids(probe) for _ in range(3)] == [[], [], []]
    fake.process(900, "ipmitool", "ipmitool", "sdr")
    seen = [pids(probe) for _ in range(TRUSTED_POLLS)]
    assert [900] in seen
    fake.process(900, "sh")
    assert pids(probe) == []


def test_a_pid_that_was_away_is_another_process(fake, probe):
    fake.process(900, "sh")
    assert [pids(probe) for _ in range(3)] == [[], [], []]
    fake.end(900)
    assert pids(probe) == []
    fake.process(900, "ipmitool", "ipmitool", "sdr")
    assert pids(probe) == [900]


@pytest.mark.parametrize(("many", "at_once"), [(2000, 2), (10, 1)])
def test_a_known_name_is_read_again_once_in_a_while_and_never_all_at_once(
    fake, probe, monkeypatch, many, at_once
):
    monkeypatch.setattr(local, "MANY", many)
    polls = 2 * TRUSTED_POLLS // at_once
    processes = range(1000, 1000 + 2 * TRUSTED_POLLS)
    for pid in processes:
        fake.process(pid, "sh")
    opened = []
    read = LocalProbe._read
    monkeypatch.setattr(LocalProbe, "_read", lambda self, name: opened.append(name) or read(self, name))
    counts = []
    for _ in range(2 + polls):
        before = len(opened)
        probe.sample()
        counts.append(sum(name.endswith("/comm") for name in opened[before:]))
    assert counts == [len(processes)] * 2 + [at_once] * polls
    assert {opened.count(f"{pid}/comm") for pid in processes} == {3}


def test_the_command_line_of_a_process_in_d_is_not_read(fake, probe):
    fake.process(900, "ipmitool", "ipmitool", "-I", "lanplus", state="D")
    (client,) = probe.sample().clients
    assert (client.inband, client.kind) == (True, "client")


def test_a_proc_that_is_none_is_an_error(tmp_path):
    (tmp_path / "proc").mkdir()
    with pytest.raises(HostAccessError):
        LocalProbe(tmp_path / "proc", tmp_path).sample()


def test_a_poll_starts_no_process():
    script = (
        "import sys; from bmc_healer.watch.local import LocalProbe; told = []; "
        "sys.addaudithook(lambda event, _: told.append(event)); "
        "probe = LocalProbe(); [probe.sample() for _ in range(3)]; "
        "print({'open', 'os.listdir'} <= set(told)); "
        "starts = 'os.fork', 'os.posix_spawn', 'os.system', 'subprocess'; "
        "print([event for event in told if event.startswith(starts)])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["True", "[]"]


def test_this_machine():
    sample = LocalProbe().sample()
    assert sample.at > 0
    assert sample.cpu_ticks[0] > sample.cpu_ticks[1]
