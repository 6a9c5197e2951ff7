"""The legacy driver: Debian 6.1's ipmi_si with the behaviour of the kernels in which the fault was met.

1. kipmid calls schedule() instead of usleep_range() while a transaction is open (5.4 changed that)
2. unloading polls 10 us a jiffy, so that rmmod sits in D on a dead BMC for hours (6.1 changed that)
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from lab import state, tools
from lab.debian import Suite
from lab.errors import LabError
from lab.kernel import Kernel, suite_of

LEGACY_KERNEL = "6.1"  # the module is made from its source
IPMI_SOURCE = "drivers/char/ipmi"
OBJECTS = (
    *("ipmi_si_intf", "ipmi_kcs_sm", "ipmi_smic_sm", "ipmi_bt_sm", "ipmi_si_hotmod", "ipmi_si_hardcode"),
    *("ipmi_si_platform", "ipmi_si_mem_io", "ipmi_si_port_io", "ipmi_si_pci"),
)
SLEEP = """\
\t\t\tif (smi_info->in_maintenance_mode)
\t\t\t\tschedule();
\t\t\telse
\t\t\t\tusleep_range(100, 200);"""
DRAIN = re.compile(r"\t\tjiffies_now = jiffies;\n.*?\t\tschedule_timeout_uninterruptible\(1\);", re.DOTALL)
UNUSED = "\tunsigned long jiffies_now;\n\tlong time_diff;\n\n\twhile (smi_info->curr_msg"


def legacy_ipmi_si(of: Kernel) -> Path:
    """The built module; made once per kernel."""
    tools.ensure({**tools.GUEST_PACKAGES, **tools.LEGACY_PACKAGES})
    built = state.state_dir() / "legacy" / state.digest(of.package, of.version, files=[Path(__file__)])
    with state.locked("legacy"):
        if not built.exists():
            with state.made(built) as half:
                _build_legacy(of, half)
    return built / "ipmi_si.ko"


def _build_legacy(of: Kernel, into: Path) -> None:
    suite = Suite(suite_of(LEGACY_KERNEL))
    headers = into / "headers"
    flavour = of.release.removesuffix("-amd64")
    for package in (f"linux-headers-{of.release}", f"linux-headers-{flavour}-common", "linux-kbuild-6.1"):
        suite.unpack(package, headers)
    tree = headers / "usr" / "src" / f"linux-headers-{of.release}"
    makefile = tree / "Makefile"
    makefile.write_text(makefile.read_text().replace("include /usr/src", f"include {headers}/usr/src"))

    suite.unpack("linux-source-6.1", into / "source")
    archive = into / "source" / "usr" / "src" / "linux-source-6.1.tar.xz"
    tools.run(["tar", "-xJf", str(archive), "-C", str(into / "source"), f"linux-source-6.1/{IPMI_SOURCE}"])
    work = into / "work"
    shutil.copytree(into / "source" / "linux-source-6.1" / IPMI_SOURCE, work)
    driver = work / "ipmi_si_intf.c"
    driver.write_text(make_legacy(driver.read_text()))
    objects = " ".join(f"{name}.o" for name in OBJECTS)
    (work / "Kbuild").write_text(f"obj-m += ipmi_si.o\nipmi_si-y := {objects}\n")
    (work / "Makefile").unlink(missing_ok=True)
    tools.run(["make", "-s", "-C", str(tree), f"M={work}", "modules"])
    tools.run(["strip", "-g", "-o", str(into / "ipmi_si.ko"), str(work / "ipmi_si.ko")])
    for left in ("headers", "source", "work"):
        shutil.rmtree(into / left)


def make_legacy(source: str) -> str:
    """6.1's ipmi_si_intf.c with the older scheduling of kipmid and the older unload.

    :raises LabError: the source is not the one this was written for
    """
    drain = DRAIN.search(source)
    if SLEEP not in source or drain is None:
        raise LabError("this ipmi_si_intf.c is not Debian 6.1's: the legacy driver cannot be made from it")
    source = source.replace(SLEEP, "\t\t\tschedule();")
    source = source.replace(drain.group(0), "\t\tpoll(smi_info);\n\t\tschedule_timeout_uninterruptible(1);")
    return source.replace(UNUSED, "\twhile (smi_info->curr_msg")
