"""SSH access against a real sshd: commands, limits, and each way of being refused."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from bmc_healer.config.settings import HostSettings
from bmc_healer.errors import HostAccessError, HostKeyError, HostLoginError
from bmc_healer.host import open_access
from bmc_healer.host.observe import observe

from .conftest import fingerprint, keygen, start


def refused(settings: HostSettings) -> HostAccessError:
    with pytest.raises(HostAccessError) as caught, open_access(settings):
        pass
    assert "db01" in caught.value.sentence
    return caught.value


def test_command_has_its_status_output_stdin_and_mark(server):
    with open_access(server.settings()) as access:
        script = 'cat; echo "$1"; echo "$BMC_HEALER_MARK"; echo err >&2; exit 5'
        argv = ["sh", "-c", script, "x", "it's; $(false)"]
        ran = access.run(argv, limit=20, stdin="in\n", mark="inc:4", root=False)
    assert (ran.status, ran.out, ran.err) == (5, "in\nit's; $(false)\ninc:4\n", "err\n")
    assert not ran.ok and not ran.unkillable


def test_limit_is_kept_on_the_host(server, tmp_path):
    pid = tmp_path / "pid"
    began = time.monotonic()
    with open_access(server.settings()) as access:
        ran = access.run(["sh", "-c", 'echo $$ > "$1"; exec sleep 300', "x", str(pid)], limit=1, root=False)
    assert (ran.status, ran.unkillable) == (None, False)
    assert time.monotonic() - began < 15
    assert gone(pid)


def test_output_is_bounded(server):
    with open_access(server.settings()) as access:
        ran = access.run(["sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x"], limit=30, root=False)
    assert ran.status == 0
    assert ran.out == "x" * 65536


def test_one_connection_serves_several_threads(server):
    with open_access(server.settings()) as access:
        threads = [
            threading.Thread(target=access.run, args=(["sleep", "1"],), kwargs={"limit": 9, "root": False})
            for _ in range(4)
        ]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert time.monotonic() - began < 3.5


def test_broken_connection_says_that_the_command_may_still_run(server, tmp_path):
    pid = tmp_path / "pid"
    with open_access(server.settings()) as access:
        breaker = threading.Thread(target=lambda: (wait_for(pid), server.drop_connections()))
        breaker.start()
        with pytest.raises(HostAccessError, match="may still be running") as caught:
            access.run(["sh", "-c", 'echo $$ > "$1"; exec sleep 5', "x", str(pid)], limit=2, root=False)
        breaker.join()
        assert "connection broke" in caught.value.what
        # The limit holds on the host although nobody is connected any more.
        assert gone(pid)
        # The next command makes a new connection.
        assert access.run(["true"], limit=9, root=False).ok


def test_observe_this_machine_over_ssh(server):
    with open_access(server.settings()) as access:
        facts = observe(access, windows=1, window_seconds=0.2)
    assert facts.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert facts.kernel == Path("/proc/sys/kernel/osrelease").read_text().strip()
    assert 0.1 < facts.seconds < 5
    assert facts.privileged is access.privileged


def test_unknown_host_key_names_fingerprint_and_keyscan(server, tmp_path):
    (tmp_path / "known_hosts").write_text("")
    error = refused(server.settings(known_hosts=str(tmp_path / "known_hosts")))
    assert isinstance(error, HostKeyError)
    assert fingerprint(server) in error.what
    assert f"ssh-keyscan -p {server.port} 127.0.0.1" in error.do


def test_another_host_key_is_refused_and_told_from_an_unknown_one(server, tmp_path):
    keygen(tmp_path / "other")
    known = tmp_path / "known_hosts"
    known.write_text(f"[127.0.0.1]:{server.port} {(tmp_path / 'other.pub').read_text()}")
    error = refused(server.settings(known_hosts=str(known)))
    assert isinstance(error, HostKeyError)
    assert f"{fingerprint(server)} is not the one in {known}: it was reinstalled, or is another" in error.what
    # What it says to do helps, once the fingerprint was compared.
    for command in error.do.split("`")[1::2]:
        subprocess.run(command, shell=True, check=True, capture_output=True)
    with open_access(server.settings(known_hosts=str(known))):
        pass


def test_a_revoked_host_key_is_refused(server, tmp_path):
    known = tmp_path / "known_hosts"
    known.write_text(f"@revoked * {(server.folder / 'host_key.pub').read_text()}")
    error = refused(server.settings(known_hosts=str(known)))
    assert isinstance(error, HostKeyError)
    assert "revoked" in error.what


def test_missing_known_hosts_file_is_refused(server, tmp_path):
    error = refused(server.settings(known_hosts=str(tmp_path / "none")))
    assert isinstance(error, HostKeyError)
    assert "known hosts" in error.what


def test_unknown_key_is_refused(server, tmp_path):
    keygen(tmp_path / "id")
    error = refused(server.settings(key_file=str(tmp_path / "id")))
    assert isinstance(error, HostLoginError)
    assert "refused the login" in error.what


@pytest.mark.parametrize("content", [None, "garbage", "passphrase"])
def test_useless_key_file_is_refused(server, tmp_path, content):
    path = tmp_path / "id"
    if content == "passphrase":
        keygen(path, comment="secret words")
    elif content:
        path.write_text(content)
    error = refused(server.settings(key_file=str(path)))
    assert str(path) in error.sentence


def test_closed_port_is_refused(server):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        error = refused(server.settings(port=unused.getsockname()[1]))
    assert "SSH failed" in error.what
    assert error.sentence.endswith("is sshd up?")


def test_silent_port_is_given_up(server):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        error = refused(server.settings(port=silent.getsockname()[1], connect_timeout=1.0))
    assert "within 1 s" in error.what
    assert time.monotonic() - began < 5


def test_something_else_on_the_port_is_refused(server):
    with socket.create_server(("127.0.0.1", 0)) as other:

        def answer() -> None:
            client, _ = other.accept()
            with client:
                client.sendall(b"\x00\xffHTTP/1.1 400 Bad Request\r\n\r\n" * 50)

        threading.Thread(target=answer, daemon=True).start()
        refused(server.settings(port=other.getsockname()[1], connect_timeout=3.0))


@pytest.mark.filterwarnings("ignore:Diffie-Hellman over finite fields")
def test_algorithms_of_rhel_6_suffice(tmp_path):
    """A new sshd plays OpenSSH 5.3, all but its way of asking for an RSA signature of the user's key."""
    algorithms = "HostKeyAlgorithms ssh-rsa\nKexAlgorithms diffie-hellman-group14-sha1\n"
    old = start(tmp_path, host_key="rsa", key="rsa", more=algorithms + "Ciphers aes128-ctr\nMACs hmac-sha1")
    try:
        with open_access(old.settings()) as access:
            assert access.run(["true"], limit=9, root=False).ok
    finally:
        old.process.terminate()
        old.process.wait(timeout=10)


def test_login_that_only_refuses_commands(tmp_path):
    forced = start(tmp_path, more='ForceCommand echo "This account is not available." >&2; false')
    try:
        error = refused(forced.settings())
        assert "This account is not available." in error.what
    finally:
        forced.process.terminate()
        forced.process.wait(timeout=10)


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 10
    while not (path.exists() and path.read_text().strip()):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def gone(path: Path) -> bool:
    """The process whose number is in the file ends within ten seconds."""
    stat = Path(f"/proc/{path.read_text().strip()}/stat")
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            if stat.read_text().rpartition(") ")[2][0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False


def test_a_known_hosts_file_is_read_once_and_again_when_it_changed(server, tmp_path, monkeypatch):
    import asyncssh

    read, real = [], asyncssh.read_known_hosts
    monkeypatch.setattr(asyncssh, "read_known_hosts", lambda file: read.append(file) or real(file))
    known = tmp_path / "known_hosts"
    known.write_text((server.folder / "known_hosts").read_text())
    settings = server.settings(known_hosts=str(known))
    for _ in range(2):
        with open_access(settings):
            pass
    assert len(read) == 1
    known.write_text("")
    assert "does not hold its host key" in refused(settings).sentence
    assert len(read) == 2
