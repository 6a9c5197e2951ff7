"""What a test is given in place of `lab.Lab`."""

from __future__ import annotations

import asyncio
import shlex
import socket
import subprocess
import threading
import time
from pathlib import Path
from types import TracebackType

import asyncssh

from lab.errors import LabError
from lab.sim import BmcSim, Ran, guid_of
from tests.guest.matrix.afterwards import BOOT, MODULES
from tests.guest.outside import MARKED, THROTTLE
from tests.guest.played.shell import PATIENCE_SECONDS, PlayedHost, Shell

LEASES = "ls /run/bmc_healer 2>/dev/null"
DEVICE = "ls /dev/ipmi0"
FOR_EVER = 1e9
NO_SUDO = "sudo: a password is required\n"


class AnyKey(asyncssh.SSHServer):
    """Lets in whoever has proved to hold a key, and notes the connection."""

    def __init__(self, connections: list[asyncssh.SSHServerConnection]) -> None:
        self._connections = connections

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """Somebody comes."""
        self._connections.append(conn)

    def begin_auth(self, username: str) -> bool:
        """No login without one."""
        return True

    def public_key_auth_supported(self) -> bool:
        """The only way."""
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """Of anybody."""
        return True


class PlayedScenes:
    """What goes wrong on the host: see `lab.scenes`."""

    def __init__(self, lab: PlayedLab) -> None:
        self._lab = lab

    def pile_up(self, clients: int, command: str = "sensor") -> None:
        """Clients that give up after a minute."""
        for _ in range(clients):
            self._lab.host.join(PATIENCE_SECONDS)

    def pile_up_old(self, clients: int) -> None:
        """Clients that wait for ever."""
        for _ in range(clients):
            self._lab.host.join(FOR_EVER)

    def kipmi_cpu(self, seconds: float = 2.0) -> float:
        """Percent of a core."""
        before = self._lab.host.ticks
        time.sleep(seconds)
        return (self._lab.host.ticks - before) / seconds

    def stop_ssh(self) -> None:
        """Connections are refused."""
        self._lab.listen(False)

    def start_ssh(self) -> None:
        """Connections are accepted again."""
        self._lab.listen(True)


class PlayedLab:
    """A context manager with the members of `lab.Lab` that the rows use."""

    def __init__(self, *, name: str, run_dir: Path, **made_of: object) -> None:
        if made_of.pop("driver", "stock") != "stock" or made_of:
            raise LabError("a played host has Debian's own driver, polled")
        self._run_dir = run_dir
        self.sim = BmcSim(name=name, run_dir=run_dir / "bmc", guid=guid_of(name))
        self.user, self.password, self.guid = self.sim.user, self.sim.password, self.sim.guid
        self.key_file, self.known_hosts = run_dir / "key", run_dir / "known_hosts"
        self.scenes = PlayedScenes(self)
        self.ssh_port = 0
        self._loop = asyncio.new_event_loop()
        self._server: asyncssh.SSHAcceptor | None = None
        self._connections: list[asyncssh.SSHServerConnection] = []

    def __enter__(self) -> PlayedLab:
        self.sim.start()
        self.bmc, self.lan_port = self.sim.bmc, self.sim.lan_port
        for name in ("key", "host_key"):
            keygen = ["ssh-keygen", "-qt", "ed25519", "-N", "", "-f", str(self._run_dir / name)]
            subprocess.run(keygen, check=True)
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        # Bound and never listening: nobody else is given the port while the server is closed.
        self._port_held = socket.socket()
        self._port_held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._port_held.bind(("127.0.0.1", 0))
        self.ssh_port = self._port_held.getsockname()[1]
        self.listen(True)
        key = (self._run_dir / "host_key.pub").read_text()
        self.known_hosts.write_text(f"[127.0.0.1]:{self.ssh_port} {key}")
        self.host = PlayedHost(self.sim)
        self.bmc.restore()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.listen(False)
        self._port_held.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self.host.unload()
        self.sim.close()

    def listen(self, on: bool) -> None:
        """Open or close the SSH port; it stays the same."""
        asyncio.run_coroutine_threadsafe(self._listen(on), self._loop).result()

    async def _listen(self, on: bool) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None
        if on:
            self._server = await asyncssh.listen(
                "127.0.0.1",
                self.ssh_port,
                server_factory=lambda: AnyKey(self._connections),
                server_host_keys=[str(self._run_dir / "host_key")],
                process_factory=self._command,
            )

    async def _hang_up(self) -> None:
        while self._connections:
            self._connections.pop().abort()

    async def _command(self, process: asyncssh.SSHServerProcess[str]) -> None:
        """One command in the frame of run.sh; the frame itself is tested elsewhere."""
        words = shlex.split(process.command or "")
        if words[:1] == ["sudo"]:
            process.stderr.write(NO_SUDO)
            process.exit(1)
            return
        _, _, _, _, end, limit, _, *argv = words
        stdin = await process.stdin.read()
        user = process.get_extra_info("username")
        if argv == ["id", "-u"]:
            status, out, err = 0, "0\n" if user == "root" else "1000\n", ""
        else:
            ran = await asyncio.to_thread(Shell(self.host).run, argv, limit=float(limit), stdin=stdin)
            status, out, err = ran.status, ran.out, ran.err
        process.stderr.write(f"{err}\n{end}\n")
        process.stdout.write(f"{out}\n{end} {'late' if status is None else status}\n")
        process.exit(0)

    def guest(self, command: str, *, timeout: float = 60.0, user: str = "root") -> Ran:
        """What the tests look at past the product; there is no shell for more.

        :raises LabError: it takes a guest to know
        """
        host = self.host
        known = {
            BOOT: host.boot_id,
            MODULES: "ipmi_devintf\nipmi_msghandler\nipmi_si" if host.driver else "",
            THROTTLE: str(host.throttle) if host.driver else "",
            LEASES: " ".join(host.lease or []),
            MARKED: "",
        }
        if command == "ipmitool mc info":
            status, out, err = Shell(host)._ipmitool(["mc", "info"], timeout)
            return Ran(1 if status is None else status, out, err)
        if command == DEVICE:
            return Ran(0 if host.device else 2, "", "")
        if command not in known:
            raise LabError(f"a played host cannot run {command!r}: that row needs a guest")
        return Ran(0, f"{known[command]}\n" if known[command] else "", "")

    def reboot_guest(self) -> None:
        """The plug is pulled: connections break, and what comes back is another boot."""
        self.listen(False)
        asyncio.run_coroutine_threadsafe(self._hang_up(), self._loop).result()
        self.host.unload()
        self.host = PlayedHost(self.sim)
        self.listen(True)

    def restore(self) -> None:
        """As new."""
        self.bmc.restore()
        self.reboot_guest()
        self.bmc.restore()  # what loading asked was counted
