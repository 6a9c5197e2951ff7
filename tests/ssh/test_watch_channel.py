"""The watch's channel over a real sshd: what it reads, and hosts that refuse, hang, flood or greet."""

import asyncio
import os
import time
from pathlib import Path

import pytest

from bmc_healer.errors import HostAccessError
from bmc_healer.watch import channel
from bmc_healer.watch.channel import Channel
from bmc_healer.watch.local import LocalProbe
from bmc_healer.watch.prober import OPENING_AT_ONCE, Probers
from tests.silence import mute_port, silent_port

from .conftest import fingerprint, start


def run(main):
    return asyncio.run(main)


async def samples(host, count=1):
    there = Channel(host)
    try:
        return [await there.sample() for _ in range(count)]
    finally:
        there.close()


def refused(host):
    with pytest.raises(HostAccessError) as caught:
        run(samples(host))
    assert caught.value.where == f"db01 ({host.ssh.user}@127.0.0.1:{host.ssh.port})"
    return caught.value.sentence


def test_it_sees_what_the_local_probe_sees(server):
    first, second = run(samples(server.settings(), 2))
    here = LocalProbe().sample()
    assert (first.boot_id, first.kernel, first.hz) == (here.boot_id, here.kernel, here.hz)
    assert 0 <= second.at - first.at < 5


def test_one_login_for_many_samples_and_nothing_left_behind(server):
    async def main():
        there = Channel(server.settings())
        await there.sample()
        loops = _loops(server)
        assert loops
        for _ in range(20):
            await there.sample()
        assert _loops(server) <= loops  # those of earlier tests may still be ending
        there.close()
        deadline = time.monotonic() + 10
        while _loops(server) & loops and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        return _loops(server) & loops

    assert run(main()) == set()


def _loops(server):
    """Watching loops on this server, also one that has lost its parent."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            reached = f" {server.port}\0".encode() in (entry / "environ").read_bytes()  # SSH_CONNECTION's end
            if reached and b"hello 1 $hz" in (entry / "cmdline").read_bytes():
                found.add(int(entry.name))
        except OSError:
            continue
    return found


def test_a_lost_connection_is_said_and_the_next_sample_connects_anew(server):
    async def main():
        there = Channel(server.settings())
        await there.sample()
        server.drop_connections()
        with pytest.raises(HostAccessError):
            await there.sample()
        sample = await there.sample()
        there.close()
        return sample

    assert run(main()).at > 0


def test_an_unknown_host_key_is_refused_with_its_fingerprint(server, tmp_path):
    (tmp_path / "known_hosts").write_text("")
    sentence = refused(server.settings(known_hosts=str(tmp_path / "known_hosts")))
    assert fingerprint(server) in sentence and f"ssh-keyscan -p {server.port} 127.0.0.1" in sentence


def test_a_stranger_is_refused(server):
    assert "refused the login" in refused(server.settings(user="nobody"))


def test_missing_files_and_nobody_listening_have_a_sentence_each(server):
    assert "/nonexistent" in refused(server.settings(key_file="/nonexistent"))
    assert "known hosts in /nonexistent cannot be read" in refused(
        server.settings(known_hosts="/nonexistent")
    )
    assert "SSH failed" in refused(server.settings(port=9))


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("yes greetings", "does not start"),
        ("cat /dev/zero", "ended"),  # a flood without an end of line is cut at the window
        ("cat /dev/zero >&2", "too much to stderr"),
        ("exit 0", "ended"),
        ("sleep 60", "no answer in time"),
        ("echo hello 1 100 boot kernel; yes snap 99", "something else than a snapshot"),
    ],
)
def test_a_host_that_does_not_play_along(tmp_path, monkeypatch, command, says):
    monkeypatch.setattr(channel, "ANSWER_SECONDS", 1.0)
    server = start(tmp_path, more=f'ForceCommand sh -c "{command}"')
    try:
        assert says in refused(server.settings(connect_timeout=3.0))
    finally:
        server.process.terminate()
        server.process.wait(10)


@pytest.mark.parametrize(("noise", "understood"), [(24_000, True), (4_000_000, False)])
def test_noise_beside_the_answers_is_not_taken_in_without_an_end(tmp_path, monkeypatch, noise, understood):
    """What is not read at the end of the noise was not sent: the host is made to wait."""
    monkeypatch.setattr(channel, "ANSWER_SECONDS", 1.0)
    begin = f'head -c {noise} /dev/zero >&2; eval "$SSH_ORIGINAL_COMMAND"'
    server = start(tmp_path, more=f"ForceCommand {begin}")
    try:
        if understood:
            assert len(run(samples(server.settings(), 20))) == 20
        else:
            assert "too much to stderr" in refused(server.settings(connect_timeout=3.0))
    finally:
        server.process.terminate()
        server.process.wait(10)


def test_noise_that_begins_later_is_told_too(tmp_path, monkeypatch):
    monkeypatch.setattr(channel, "ANSWER_SECONDS", 1.0)
    noise = f"(until [ -e {tmp_path}/go ]; do sleep 0.05; done; exec cat /dev/zero >&2)"
    server = start(tmp_path, more=f'ForceCommand {noise} & eval "$SSH_ORIGINAL_COMMAND"')

    async def main():
        there = Channel(server.settings())
        await there.sample()
        (tmp_path / "go").touch()
        deadline = time.monotonic() + 20
        try:
            with pytest.raises(HostAccessError, match="too much to stderr"):
                while time.monotonic() < deadline:
                    await there.sample()
        finally:
            there.close()

    try:
        run(main())
    finally:
        server.process.terminate()
        server.process.wait(10)


def test_a_greeting_shell_is_understood(tmp_path):
    server = start(tmp_path, more='ForceCommand echo Welcome to db01; eval "$SSH_ORIGINAL_COMMAND"')
    try:
        assert run(samples(server.settings()))[0].at > 0
    finally:
        server.process.terminate()
        server.process.wait(10)


@pytest.mark.parametrize("port", [silent_port, mute_port])
def test_hosts_that_are_not_there_or_hang_do_not_hold_back_one_that_is(server, port):
    """More of them than there are turns to log in, all begun with before it."""

    async def main(silent):
        probers = Probers()
        dead = server.settings(port=silent, connect_timeout=60.0)
        looks = [asyncio.ensure_future(probers(dead).sample()) for _ in range(2 * OPENING_AT_ONCE)]
        await asyncio.sleep(0)
        there = probers(server.settings())
        try:
            assert (await asyncio.wait_for(there.sample(), 50)).at > 0
            assert not any(look.done() for look in looks)
        finally:
            there.close()
            for look in looks:
                look.cancel()
            await asyncio.gather(*looks, return_exceptions=True)

    with port() as silent:
        run(main(silent))


@pytest.mark.parametrize("port", [silent_port, mute_port])
def test_a_host_that_is_not_there_or_hangs_is_given_up_in_time(server, port):
    with port() as silent:
        began = time.monotonic()
        assert "no login within 1 s" in refused(server.settings(port=silent, connect_timeout=1.0))
        assert time.monotonic() - began < 5


def test_no_ssh_client_is_started(server):
    async def main():
        there = Channel(server.settings())
        await there.sample()
        own = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
        there.close()
        return [Path(f"/proc/{pid}/comm").read_text().strip() for pid in own]

    assert "ssh" not in run(main())
