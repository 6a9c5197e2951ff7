import pytest

from bmc_healer.errors import HostAccessError
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


def test_a_pid_that_ended_is_forgotten(fake, probe):
    fake.process(900, "sh")
    probe.sample()
    fake.end(900)
    probe.sample()
    assert probe._again == {}


def test_names_that_are_known_are_not_read_again(fake, probe):
    fake.process(900, "sh")
    probe.sample()
    probe.sample()
    (fake.proc / "900/comm").unlink()
    (fake.proc / "900/comm").mkdir()  # reading it would raise and forget the pid
    probe.sample()
    assert "900" in probe._again


def test_the_command_line_of_a_process_in_d_is_not_read(fake, probe):
    fake.process(900, "ipmitool", "ipmitool", "-I", "lanplus", state="D")
    (client,) = probe.sample().clients
    assert (client.inband, client.kind) == (True, "client")


def test_a_proc_that_is_none_is_an_error(tmp_path):
    (tmp_path / "proc").mkdir()
    with pytest.raises(HostAccessError):
        LocalProbe(tmp_path / "proc", tmp_path).sample()


def test_this_machine():
    sample = LocalProbe().sample()
    assert sample.at > 0
    assert sample.cpu_ticks[0] > sample.cpu_ticks[1]
