"""The whole: a guest with a simulated BMC behind its KCS interface."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from types import TracebackType

from lab.build import Driver, build
from lab.errors import LabError
from lab.guest import Guest, Machine
from lab.kernel import DEFAULT
from lab.scenes import Scenes
from lab.sim import ADMIN, BmcSim, Ran, guid_of

RESTORE_SECONDS = 45.0
NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")


class Lab:
    """A context manager: on entry the BMC runs and the guest is booted, on exit both are gone.

    driver: "legacy" (kipmi at 100 % when hung), "stock", or "builtin" (no module, so no rmmod)
    kernel: 5.10, 6.1, 6.12, 7.2, or its Debian suite
    irq: of the KCS interface, 0 for none (then kipmi polls); ipmi: False for a machine without IPMI
    second: the number (0 or 1) of another KCS interface, whose BMC is QEMU's own, always well, without LAN
    bmc_guid: when the BMC shall not be this machine's (default: the machine's SMBIOS UUID)
    password: of every user of the BMC

    ssh_port, key_file, known_hosts: SSH as root (or as ops, without rights) to 127.0.0.1
    lan_port, user, password: the BMC's LAN side on 127.0.0.1; guid: its System GUID
    bmc: the BMC's switches and counters; scenes: what goes wrong on the host
    boot_seconds: what the last boot took
    """

    def __init__(
        self,
        *,
        driver: Driver = "stock",
        kernel: str = DEFAULT,
        irq: int = 0,
        reset_seconds: float | None = 10.0,
        name: str = "labhost",
        load_driver: bool = True,
        ipmi: bool = True,
        second: int | None = None,
        bmc_guid: str | None = None,
        firmware: str = "9.08",
        password: str = ADMIN.password,
        run_dir: Path | None = None,
    ) -> None:
        if not NAME.fullmatch(name):
            raise LabError(f"{name!r} is no host name for a guest: lower case letters, digits and dashes are")
        self.name, self.driver, self.kernel = name, driver, kernel
        self._irq, self._load_driver, self._ipmi = irq, load_driver and ipmi, ipmi
        self._second = second
        self.sim = BmcSim(
            name=name,
            guid=bmc_guid,
            firmware=firmware,
            password=password,
            reset_seconds=reset_seconds,
            run_dir=run_dir,
        )
        self.run_dir = self.sim.run_dir
        self.user, self.password, self.guid = self.sim.user, self.sim.password, self.sim.guid
        self.smbios_uuid = guid_of(name)
        self.boot_seconds = 0.0

    def start(self) -> Lab:
        """Start the BMC and boot the guest.

        :raises LabError: one of them did not start
        """
        built = build(self.driver, self.kernel)
        try:
            self.sim.start()
            self.bmc, self.lan_port = self.sim.bmc, self.sim.lan_port
            machine = Machine(
                name=self.name,
                build=built,
                kcs_port=self.sim.kcs_port if self._ipmi else None,
                irq=self._irq,
                smbios_uuid=self.smbios_uuid,
                load_driver=self._load_driver,
                second=self._second,
            )
            self._guest = Guest(machine, self.run_dir)
            self.key_file, self.known_hosts = self._guest.key_file, self._guest.known_hosts
            self.scenes = Scenes(self._guest)
            self.boot_seconds = self._guest.boot()
        except BaseException:
            self.close()
            raise
        self.ssh_port = self._guest.ssh_port
        return self

    def close(self) -> None:
        """End guest and BMC; the run directory with the logs stays."""
        guest = getattr(self, "_guest", None)
        if guest is not None:
            guest.close()
        self.sim.close()

    def reboot_guest(self) -> None:
        """Pull the guest's plug and boot it again, on the same ports."""
        self._guest.close()
        self.boot_seconds = self._guest.boot()

    def freeze(self) -> None:
        """The host stands still: its connections stay open and nothing answers."""
        self._guest.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        self._guest.signal(signal.SIGCONT)

    def restore(self) -> bool:
        """As new, for the next test: a healthy BMC with nothing counted, a healthy guest without leftovers.

        False when the guest had to be booted again for it (stuck processes, changed files).
        """
        self.bmc.restore()
        try:
            kept = (
                self._guest.running
                and self.guest(f"restore {int(self._load_driver)}", timeout=RESTORE_SECONDS).rc == 0
            )
        except LabError:
            kept = False
        if not kept:
            self.reboot_guest()
        self.bmc.restore()  # reloading was counted
        return kept

    def guest(self, command: str, *, timeout: float = 60.0, user: str = "root") -> Ran:
        """A shell command in the guest; see `lab.guest.Guest.run`."""
        return self._guest.run(command, timeout=timeout, user=user)

    def ssh_command(self, user: str = "root") -> list[str]:
        """OpenSSH's command line into the guest, without a remote command."""
        return self._guest.ssh_command(user)

    def oob(
        self, *arguments: str, user: str | None = None, password: str | None = None, timeout: float = 60
    ) -> Ran:
        """ipmitool over the BMC's LAN side."""
        return self.sim.oob(*arguments, user=user, password=password, timeout=timeout)

    def __enter__(self) -> Lab:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if kind is None:
            self.sim.tidy()
