"""What happens on a host around a hung BMC: clients piling up, a device held open, an SSH server gone."""

from __future__ import annotations

from lab.errors import LabError
from lab.guest import Guest


class Scenes:
    """Thin helpers over commands in a guest."""

    def __init__(self, guest: Guest) -> None:
        self._guest = guest

    def kipmi_cpu(self, seconds: float = 2.0) -> float:
        """CPU of the kipmi threads over an interval, in percent of one core."""
        return float(self._guest.run(f"kcpu {seconds:g}").out)

    def pile_up(self, clients: int, command: str = "sensor") -> None:
        """Start ipmitool clients that nobody waits for; with a hung BMC each gives up after a minute."""
        self._start(clients, f"ipmitool {command}")

    def pile_up_old(self, clients: int) -> None:
        """Start clients like the ipmitool of the fault's time, which waits without a limit.

        One of them leaves every 55 s, when the driver gives its request up.
        """
        self._start(clients, "/usr/lib/lab/ipmitool sensor")

    def _start(self, clients: int, command: str) -> None:
        self._guest.run(f"for i in $(seq {clients}); do setsid {command} > /dev/null 2>&1 & done")

    def hold_device(self) -> int:
        """Have a process named `holder` keep /dev/ipmi0 open; its pid."""
        named = '[ "$(cat /proc/$p/comm)" = holder ]'  # until then it is still setsid
        return self._pid(
            f"setsid holder > /dev/null 2>&1 & p=$!; i=0; until {named} || [ $i = 500 ]; "
            "do i=$((i+1)); sleep 0.01; done; echo $p"
        )

    def look_built_in(self) -> None:
        """The IPMI drivers look built in: /proc/modules lists none of them any more; `restore` undoes it.

        They stay modules: a module takes the writes to its parameters just as a built-in driver does.
        """
        self._guest.run("grep -v ipmi /proc/modules > /run/modules; mount --bind /run/modules /proc/modules")

    def kill(self, pid: int) -> None:
        """Kill a process."""
        self._guest.run(f"kill -9 {pid}")

    def stop_ssh(self) -> None:
        """New SSH connections are refused; those that are open go on (the lab's own is one)."""
        self._guest.run("kill $(cat /run/sshd.pid); rm -f /run/sshd.pid")

    def start_ssh(self) -> None:
        """SSH connections are accepted again."""
        self._guest.run("sshd")

    def _pid(self, command: str) -> int:
        told = self._guest.run(command)
        if not told.out.strip().isdigit():
            raise LabError(f"in the guest, no process from {command!r}: {told.err.strip()}")
        return int(told.out)
