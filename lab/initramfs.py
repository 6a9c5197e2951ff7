"""The guest's root file system: busybox, kmod, ipmitool, an SSH server, the IPMI modules; a cpio archive."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from lab import state, tools
from lab.errors import LabError
from lab.kernel import Kernel

PROGRAMS = ("/usr/bin/ipmitool", "/bin/kmod", "/usr/sbin/dropbear")
KMOD_NAMES = ("modprobe", "rmmod", "insmod", "lsmod", "depmod", "modinfo")
MODULES = (
    *(
        "ipmi_si",
        "ipmi_devintf",
        "ipmi_msghandler",
        "acpi_ipmi",
        "ipmi_watchdog",
        "ipmi_poweroff",
        "ipmi_ssif",
    ),
    *(
        "virtio_net",
        "net_failover",
        "failover",
        "virtio_pci",
        "virtio_pci_modern_dev",
        "virtio_pci_legacy_dev",
    ),
    *("virtio", "virtio_ring"),
)
# ops: an account without sudo and without access to /dev/ipmi0
FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nops:x:1000:1000:ops:/home/ops:/bin/sh\n",
    "etc/group": "root:x:0:\nops:x:1000:\n",
    "etc/shadow": "root:*:19000:0:99999:7:::\nops:*:19000:0:99999:7:::\n",
    "etc/shells": "/bin/sh\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\n",
}
DIRECTORIES = (
    "bin",
    "sbin",
    "usr/bin",
    "usr/sbin",
    "proc",
    "sys",
    "dev",
    "run",
    "tmp",
    "var/log",
    "etc/dropbear",
)
SOURCES = sorted(path for path in (state.DATA / "guest").rglob("*") if path.is_file())


def build(into: Path, kernel: Kernel, keys: Path, legacy_ipmi_si: Path | None) -> Path:
    """Make `into/initrd`; not compressed, since the emulated guest would have to decompress it.

    keys: the directory with the client's and the server's key (`lab.keys`)
    """
    root = into / "root"
    for name in DIRECTORIES:
        (root / name).mkdir(parents=True)
    _busybox(root)
    for program in PROGRAMS:
        _program(root, program)
    for name in KMOD_NAMES:
        for place in ("bin", "sbin", "usr/bin", "usr/sbin"):
            (root / place / name).unlink(missing_ok=True)
        (root / "sbin" / name).symlink_to("/bin/kmod")
    if kernel.modules:
        _modules(root, kernel, legacy_ipmi_si)
    _accounts(root, keys)
    guest = state.DATA / "guest"
    (root / "init").symlink_to("/bin/busybox")
    for name in ("inittab", "rc"):
        shutil.copy(guest / name, root / "etc" / name)
    for script in (guest / "bin").iterdir():
        shutil.copy(script, root / "usr" / "bin" / script.name)
    old = root / "usr" / "lib" / "lab" / "ipmitool"
    old.parent.mkdir(parents=True)
    tools.run(["gcc", "-static", "-O2", "-s", "-Wall", "-o", str(old), str(guest / "ipmitool.c")])
    for path in (root / "etc" / "rc", *(root / "usr" / "bin").iterdir()):
        if not path.is_symlink():
            path.chmod(0o755)
    return _archive(root, into / "initrd")


def _busybox(root: Path) -> None:
    _program(root, "/bin/busybox")  # static, or not: whichever of Debian's two packages this machine has
    for name in tools.run(["/bin/busybox", "--list"]).split():
        if name != "busybox":
            (root / "bin" / name).symlink_to("/bin/busybox")


def _program(root: Path, program: str) -> None:
    """A program with its shared libraries, each in its place."""
    # Of a static program ldd fails, and names none.
    told = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
    libraries = re.findall(r"(?:=> |^\t)(/\S+)", told.stdout, re.MULTILINE)
    for path in (program, *libraries):
        target = root / path.lstrip("/")
        target.unlink(missing_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)


def _modules(root: Path, kernel: Kernel, legacy_ipmi_si: Path | None) -> None:
    source = Path(kernel.modules)
    target = root / "lib" / "modules" / kernel.release
    target.mkdir(parents=True)
    for name in ("modules.builtin", "modules.builtin.modinfo", "modules.order"):
        if (source / name).exists():
            shutil.copy(source / name, target / name)
    for name in MODULES:
        # not every kernel has every module: some are built in, some came later
        packed = next((path for path in source.rglob(f"{name}.ko*")), None)
        if packed is not None:
            plain = target / packed.relative_to(source).with_name(f"{name}.ko")
            plain.parent.mkdir(parents=True, exist_ok=True)
            _decompress(packed, plain)
            if name == "ipmi_si" and legacy_ipmi_si is not None:
                shutil.copy(legacy_ipmi_si, plain)
    if not list(target.rglob("ipmi_si.ko")):
        raise LabError(f"{kernel.package} has no ipmi_si module")
    tools.run(["/sbin/depmod", "-b", str(root), kernel.release])


def _decompress(packed: Path, plain: Path) -> None:
    with plain.open("wb") as out:
        tool = {".xz": ["xz", "-dc"], ".zst": ["zstd", "-dcq"]}.get(packed.suffix, ["cat"])
        subprocess.run([*tool, str(packed)], stdout=out, check=True)


def _accounts(root: Path, keys: Path) -> None:
    for name, text in FILES.items():
        (root / name).write_text(text)
    shutil.copy(keys / "server", root / "etc" / "dropbear" / "dropbear_ed25519_host_key")
    for home in ("root", "home/ops"):
        ssh = root / home / ".ssh"
        ssh.mkdir(parents=True)
        shutil.copy(keys / "client.pub", ssh / "authorized_keys")
        for path, mode in ((root / home, 0o700), (ssh, 0o700), (ssh / "authorized_keys", 0o600)):
            path.chmod(mode)


def _archive(root: Path, archive: Path) -> Path:
    names = "\0".join(str(path.relative_to(root)) for path in sorted(root.rglob("*")))
    with archive.open("wb") as out:
        subprocess.run(
            ["cpio", "-o", "-H", "newc", "--quiet", "-R", "0:0", "-0"],
            cwd=root,
            input=names.encode(),
            stdout=out,
            check=True,
        )
    shutil.rmtree(root)
    return archive
