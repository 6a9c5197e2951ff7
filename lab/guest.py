"""A booted guest: QEMU, and SSH into it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from lab import children
from lab.bmc.simulator import free_port
from lab.build import Build
from lab.errors import LabError
from lab.sim import Ran

BOOT_SECONDS = 120.0  # 4 s on two idle cores
MASTER_SECONDS = 30.0
START_ATTEMPTS = 3
# no_timer_check: on a machine that is busy the emulated timer is late, and the kernel panics for it.
# mitigations=off, tsc=unstable, random.trust_cpu: quicker when emulated; panic=-1: a panic ends QEMU.
KERNEL_LINE = (
    "console=ttyS0 quiet loglevel=4 panic=-1 tsc=unstable random.trust_cpu=on mitigations=off nokaslr "
    "no_timer_check 8250.nr_uarts=1 lab.name={name} lab.ipmi={ipmi}"
)


@dataclass(frozen=True)
class Machine:
    """What a guest is made of.

    kcs_port: the simulated BMC's port, None for a machine without IPMI; irq: of the KCS interface, 0 for none
    (kipmi polls); second: the number of another KCS interface, which has a BMC of QEMU's own
    smbios_uuid: as 32 hexadecimal digits
    """

    name: str
    build: Build
    kcs_port: int | None
    irq: int
    smbios_uuid: str
    load_driver: bool
    memory_mb: int = 256
    cpus: int = 2
    second: int | None = None


def qemu_command(machine: Machine, run_dir: Path, ssh_port: int) -> list[str]:
    """QEMU's command line: software emulation, loopback only, no disk."""
    line = KERNEL_LINE.format(name=machine.name, ipmi=int(machine.load_driver))
    argv = ["qemu-system-x86_64", "-name", machine.name, "-uuid", str(uuid.UUID(machine.smbios_uuid))]
    argv += ["-accel", "tcg,thread=multi", "-cpu", "max", "-M", "pc"]
    argv += ["-smp", str(machine.cpus), "-m", str(machine.memory_mb)]
    argv += ["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"]
    argv += ["-kernel", machine.build.kernel.vmlinux, "-initrd", str(machine.build.initrd), "-append", line]
    argv += ["-chardev", f"file,id=console,path={run_dir / 'console.log'}", "-serial", "chardev:console"]
    argv += ["-netdev", f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{ssh_port}-:22"]
    argv += ["-device", "virtio-net-pci,netdev=net,romfile="]
    other = ["-device", "ipmi-bmc-sim,id=other", "-device", "isa-ipmi-kcs,bmc=other,ioport=0xcaa,irq=0"]
    if machine.second == 1:  # the guest numbers them from the last to the first
        argv += other
    if machine.kcs_port is not None:
        argv += ["-chardev", f"socket,id=kcs,host=127.0.0.1,port={machine.kcs_port},reconnect=1"]
        argv += [
            "-device",
            "ipmi-bmc-extern,id=own,chardev=kcs",
            "-device",
            f"isa-ipmi-kcs,bmc=own,irq={machine.irq}",
        ]
    return argv + other if machine.second == 0 else argv


class Guest:
    """A guest, booted by `boot` and ended by `close`."""

    def __init__(self, machine: Machine, run_dir: Path) -> None:
        self._machine = machine
        self._run_dir = run_dir
        self._qemu: subprocess.Popen[bytes] | None = None
        self._master: subprocess.Popen[bytes] | None = None
        self.ssh_port = 0
        self.key_file = machine.build.client_key
        self.known_hosts = run_dir / "known_hosts"

    def boot(self) -> float:
        """Start the guest and wait until it answers SSH with its drivers loaded; the seconds it took.

        :raises LabError: it did not come up
        """
        started = time.monotonic()
        for attempt in range(START_ATTEMPTS):
            self.ssh_port = self.ssh_port or free_port(socket.SOCK_STREAM)
            console = self._run_dir / "console.log"
            console.write_bytes(b"")
            self._qemu = children.keep(
                qemu_command(self._machine, self._run_dir, self.ssh_port), log=self._run_dir / "qemu.log"
            )
            if self._wait_ready(console, started + BOOT_SECONDS):
                break
            self.close()
            words = (self._run_dir / "qemu.log").read_text(errors="replace")
            if attempt + 1 == START_ATTEMPTS or "host forwarding" not in words:
                raise LabError(f"the guest {self._machine.name} ended while booting: {words[-1000:]}")
            self.ssh_port = 0  # somebody took it
        self.known_hosts.write_text(f"[127.0.0.1]:{self.ssh_port} {self._machine.build.server_key}\n")
        self.run("true", timeout=MASTER_SECONDS)
        return time.monotonic() - started

    def _wait_ready(self, console: Path, deadline: float) -> bool:
        """False when QEMU ended."""
        while b"LAB-READY" not in console.read_bytes():
            if self._qemu is None or self._qemu.poll() is not None:
                return False
            if time.monotonic() > deadline:
                self.close()
                words = console.read_text(errors="replace")[-1000:]
                raise LabError(f"the guest {self._machine.name} is not up after {BOOT_SECONDS:g} s: {words}")
            time.sleep(0.05)
        return True

    @property
    def running(self) -> bool:
        """Whether QEMU lives."""
        return self._qemu is not None and self._qemu.poll() is None

    def signal(self, number: signal.Signals) -> None:
        """Send QEMU a signal."""
        if self._qemu is not None:
            os.kill(children.inside(self._qemu), number)

    def close(self) -> None:
        """End the guest as if its plug was pulled."""
        for process in (self._master, self._qemu):
            if process is not None:
                children.stop(process)
        self._master = self._qemu = None

    def run(self, command: str, *, timeout: float = 60.0, user: str = "root", stdin: str = "") -> Ran:
        """A shell command in the guest, over a connection that is kept open.

        The connection outlives the guest's SSH server: it still works while the server is stopped.

        :raises LabError: no connection, or the command took longer than `timeout` (it goes on in the guest)
        """
        shared = user == "root"
        if shared:
            self._ensure_master()
        try:
            done = subprocess.run(
                [*self.ssh_command(user, shared=shared), command],
                input=stdin,
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise LabError(f"in the guest, not done within {timeout:g} s: {command}") from error
        if done.returncode == 255:
            raise LabError(f"SSH into the guest failed: {done.stderr.strip()} (running: {command})")
        return Ran(done.returncode, done.stdout, done.stderr)

    def ssh_command(self, user: str, *, shared: bool = False) -> list[str]:
        """OpenSSH's command line into the guest; `shared` over the connection that is kept open."""
        options = {
            "BatchMode": "yes",
            "IdentitiesOnly": "yes",
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": self.known_hosts,
            "GlobalKnownHostsFile": "/dev/null",
            "ConnectTimeout": "20",
            "LogLevel": "ERROR",
            "ControlPath": self._socket if shared else "none",
        }
        argv = ["ssh", "-F", "none", "-i", str(self.key_file), "-p", str(self.ssh_port)]
        for name, value in options.items():
            argv += ["-o", f"{name}={value}"]
        return [*argv, f"{user}@127.0.0.1"]

    @property
    def _socket(self) -> Path:
        return self._run_dir / "ssh.sock"

    def _ensure_master(self) -> None:
        if self._master is not None and self._master.poll() is None and self._socket.exists():
            return
        if self._master is not None:
            children.stop(self._master)
        with contextlib.suppress(FileNotFoundError):
            self._socket.unlink()
        command = self.ssh_command("root", shared=True)
        command[1:1] = ["-M", "-N", "-n"]
        self._master = children.keep(command, log=self._run_dir / "ssh.log")
        deadline = time.monotonic() + MASTER_SECONDS
        while not self._socket.exists():
            if self._master.poll() is not None or time.monotonic() > deadline:
                words = (self._run_dir / "ssh.log").read_text(errors="replace")[-500:]
                raise LabError(f"no SSH connection to the guest {self._machine.name}: {words}")
            time.sleep(0.02)
