"""An SSH server on a free loopback port for the user who runs the bench, with keys of its own."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.measure import BenchError

# HOME: no login shell reads the start-up files of whoever runs this; they may wait for a lock.
CONFIG = """
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/id.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
SetEnv HOME={folder}
MaxStartups 1000
MaxSessions 1000
"""


@dataclass(frozen=True)
class Server:
    """Where it listens, and the folder with the user's key `id` and `known_hosts`."""

    port: int
    folder: Path
    user: str

    def ssh(self, *options: str) -> list[str]:
        """The command line of OpenSSH's client to it, without the command."""
        files = [f"UserKnownHostsFile={self.folder}/known_hosts", f"IdentityFile={self.folder}/id"]
        given = [word for option in (*files, "BatchMode=yes", *options) for word in ("-o", option)]
        return ["ssh", "-F", "none", *given, "-p", str(self.port), f"{self.user}@127.0.0.1"]


@contextlib.contextmanager
def sshd(folder: Path) -> Iterator[Server]:
    """A running server; it ends with the context."""
    program = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    if program is None:
        raise BenchError("sshd is missing: install the package openssh-server")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # it insists on that as root
    for name in ("host_key", "id"):
        keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "bench", "-f", str(folder / name)]
        subprocess.run(keygen, check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "sshd_config").write_text(CONFIG.format(port=port, folder=folder))
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {(folder / 'host_key.pub').read_text()}")
    with (folder / "log").open("w") as log:
        argv = [program, "-D", "-e", "-f", str(folder / "sshd_config")]
        process = subprocess.Popen(argv, stderr=log)
    try:
        _wait(process, port, folder)
        yield Server(port, folder, getpass.getuser())
    finally:
        process.terminate()
        process.wait()


def _wait(process: subprocess.Popen[bytes], port: int, folder: Path) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise BenchError(f"sshd does not start: {(folder / 'log').read_text()[-500:]}") from None
            time.sleep(0.05)
        else:
            return
