"""Programs and Debian packages the lab uses on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.errors import LabError

# Package -> a file that it brings: looking at files is quicker than asking dpkg, and needs no dpkg database.
BMC_PACKAGES = {
    "openipmi": "/usr/bin/ipmi_sim",
    "libopenipmi-dev": "/usr/include/OpenIPMI/mcserv.h",
    "gcc": "/usr/bin/gcc",
    "libc6-dev": "/usr/include/stdio.h",
    "ipmitool": "/usr/bin/ipmitool",
}
GUEST_PACKAGES = {
    **BMC_PACKAGES,
    "qemu-system-x86": "/usr/bin/qemu-system-x86_64",
    "busybox-static": "/bin/busybox",
    "dropbear-bin": "/usr/sbin/dropbear",
    "kmod": "/bin/kmod",
    "cpio": "/usr/bin/cpio",
    "openssh-client": "/usr/bin/ssh",
    "xz-utils": "/usr/bin/xz",
    "zstd": "/usr/bin/zstd",
}
# Headers that only libelf-dev brings; flex and bison make the parsers of the kernel's own configuration.
KERNEL_PACKAGES = {
    "make": "/usr/bin/make",
    "flex": "/usr/bin/flex",
    "bison": "/usr/bin/bison",
    "bc": "/usr/bin/bc",
    "libelf-dev": "/usr/include/libelf.h",
}
LEGACY_PACKAGES = {"make": "/usr/bin/make", "libelf1": "/usr/lib/x86_64-linux-gnu/libelf.so.1"}


def run(argv: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
    """A command's standard output.

    :raises LabError: it is not installed or failed; the text holds its last words
    """
    try:
        done = subprocess.run(argv, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise LabError(f"{argv[0]} is not installed") from error
    if done.returncode != 0:
        words = (done.stderr.strip() or done.stdout.strip())[-2000:]
        raise LabError(f"{' '.join(argv)} failed with exit status {done.returncode}: {words}")
    return done.stdout


def ensure(packages: Mapping[str, str]) -> None:
    """Install the packages whose files are missing.

    :raises LabError: they cannot be installed; the text names them
    """
    missing = [name for name, brings in packages.items() if not Path(brings).exists()]
    if not missing:
        return
    root = [] if os.geteuid() == 0 else ["sudo"]
    names = " ".join(missing)
    if shutil.which("apt-get") is None or (root and shutil.which("sudo") is None):
        raise LabError(
            f"missing Debian packages: {names}; install them as root with: apt-get install {names}"
        )
    environment = ["env", "DEBIAN_FRONTEND=noninteractive"]
    install = [*root, *environment, "apt-get", "install", "-y", "-q", "--no-install-recommends", *missing]
    print(f"lab: installing {names}", file=sys.stderr)
    try:
        run(install)
    except LabError:  # the package lists may be old or empty
        try:
            run([*root, *environment, "apt-get", "update", "-q"])
            run(install)
        except LabError as error:
            raise LabError(f"missing Debian packages that cannot be installed: {names}: {error}") from error
