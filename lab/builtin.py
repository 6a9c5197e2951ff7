"""A kernel with ipmi_si built in, as no Debian kernel has it: Debian's 6.1 source with a small configuration.

What such a host lacks is the entry in /proc/modules, and with it rmmod: only hotmod takes the
driver's interface.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from lab import state, tools
from lab.debian import Suite
from lab.kernel import Kernel, suite_of

BUILTIN_KERNEL = "6.1"
SOURCE = "linux-source-6.1"
# What the guest's init, the product's look at /proc and QEMU need, on top of `make tinyconfig`.
CONFIG = """
64BIT SMP HZ_250 HIGH_RES_TIMERS NO_HZ_IDLE PREEMPT_VOLUNTARY PRINTK BUG KALLSYMS FUTEX EPOLL SIGNALFD
TIMERFD EVENTFD SHMEM POSIX_TIMERS MULTIUSER FILE_LOCKING SYSFS PROC_FS PROC_SYSCTL DEVTMPFS TMPFS
UNIX98_PTYS TTY BLK_DEV_INITRD BINFMT_ELF BINFMT_SCRIPT SERIAL_8250 SERIAL_8250_CONSOLE MODULES
MODULE_UNLOAD NET INET UNIX PCI ACPI DMI DMIID DMI_SYSFS VIRTIO_MENU VIRTIO_PCI NETDEVICES NET_CORE
VIRTIO_NET HYPERVISOR_GUEST PVH DEBUG_KERNEL STACKTRACE UNWINDER_FRAME_POINTER RTC_CLASS IPMI_HANDLER
IPMI_DEVICE_INTERFACE IPMI_SI
"""


def builtin_kernel(of: Kernel) -> Kernel:
    """The kernel, compiled once per Debian version: some minutes on two idle cores. It has no modules."""
    tools.ensure({**tools.GUEST_PACKAGES, **tools.KERNEL_PACKAGES})
    built = state.state_dir() / "builtin" / state.digest(of.version, files=[Path(__file__)])
    with state.locked("builtin"):
        if not built.exists():
            with state.made(built) as half:
                _compile(half)
    release = (built / "release").read_text().strip()
    return replace(of, release=release, vmlinux=str(built / "vmlinux"), modules="")


def _compile(into: Path) -> None:
    source = into / "source"
    Suite(suite_of(BUILTIN_KERNEL)).unpack(SOURCE, source)
    tools.run(["tar", "-xJf", str(source / "usr" / "src" / f"{SOURCE}.tar.xz"), "-C", str(source)])
    tree = source / SOURCE
    fragment = tree / "lab.config"
    lines = [f"CONFIG_{name}=y\n" for name in CONFIG.split()]
    fragment.write_text('CONFIG_LOCALVERSION="-builtin"\n' + "".join(lines))
    tools.run(["make", "-s", "tinyconfig"], cwd=tree)
    tools.run(["scripts/kconfig/merge_config.sh", "-m", ".config", str(fragment)], cwd=tree)
    tools.run(["make", "-s", "olddefconfig"], cwd=tree)
    tools.run(["make", "-s", f"-j{os.cpu_count() or 1}", "vmlinux"], cwd=tree)
    tools.run(["strip", "-g", "-o", str(into / "vmlinux"), str(tree / "vmlinux")])
    (into / "release").write_text(tools.run(["make", "-s", "kernelrelease"], cwd=tree))
    tools.run(["rm", "-rf", str(source)])
