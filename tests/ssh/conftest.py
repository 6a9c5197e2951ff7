"""A real sshd on a free loopback port, with its own host key, for the user who runs the tests."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bmc_healer.config.settings import HostSettings, SshSettings

# HOME: no login shell reads the start-up files of whoever runs the tests; they may wait for a lock.
CONFIG = """
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile {folder}/sshd.pid
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
SetEnv PATH={path} HOME={folder}
{more}
"""


@dataclass
class Server:
    """One sshd: where it listens and what a client needs."""

    folder: Path
    port: int
    process: subprocess.Popen

    def settings(self, **changes) -> HostSettings:
        ssh = {
            "port": self.port,
            "user": getpass.getuser(),
            "key_file": str(self.folder / "id"),
            "known_hosts": str(self.folder / "known_hosts"),
        }
        return HostSettings("db01", "127.0.0.1", "ssh", SshSettings(**{**ssh, **changes}))

    def drop_connections(self) -> None:
        """End the server's sessions, not the listener nor what they have started."""
        for pid in _children(self.process.pid):
            below = _children(pid)
            for session in (pid, *below):
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # ends by itself just now
                    if "sshd" in Path(f"/proc/{session}/comm").read_text():
                        os.kill(session, signal.SIGKILL)


def keygen(path: Path, kind: str = "ed25519", comment: str = "") -> None:
    command = ["ssh-keygen", "-q", "-t", kind, "-N", comment, "-C", "test", "-f", str(path)]
    subprocess.run(command, check=True)


def fingerprint(server: Server) -> str:
    """Of its host key, as ssh-keygen prints it."""
    print_key = ["ssh-keygen", "-lf", str(server.folder / "host_key.pub")]
    return subprocess.run(print_key, capture_output=True, text=True, check=True).stdout.split()[1]


def start(folder: Path, *, more: str = "", host_key: str = "ed25519", key: str = "ed25519") -> Server:
    sshd = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    assert sshd, "sshd is missing: install the package openssh-server"
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # sshd insists on it as root
    keygen(folder / "host_key", host_key)
    keygen(folder / "id", key)
    (folder / "authorized_keys").write_text((folder / "id.pub").read_text())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    text = CONFIG.format(port=port, folder=folder, path=os.environ["PATH"], more=more)
    (folder / "sshd_config").write_text(text)
    public = (folder / "host_key.pub").read_text()
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {public}")
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([sshd, "-D", "-e", "-f", str(folder / "sshd_config")], stderr=log)
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return Server(folder, port, process)
        except OSError:
            assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.05)


@pytest.fixture(scope="session")
def server(tmp_path_factory) -> Iterator[Server]:
    running = start(tmp_path_factory.mktemp("sshd"))
    yield running
    running.process.terminate()
    running.process.wait(timeout=10)


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []
