"""A Debian kernel, unpacked: its image and its modules."""

from __future__ import annotations

import json
import lzma
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

from lab import state
from lab.debian import Suite
from lab.errors import LabError

DEFAULT = "6.1"
# Which Debian suite has the kernel; sid moves on.
SUITES = {"5.10": "bullseye", DEFAULT: "bookworm", "6.12": "trixie", "7.2": "sid"}
XZ_MAGIC, ZSTD_MAGIC = b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True)
class Kernel:
    """`package` and `version` are Debian's, `release` is what uname -r says; `vmlinux` is the ELF kernel.

    `modules`: their directory, empty for a kernel without any.
    """

    package: str
    version: str
    release: str
    vmlinux: str
    modules: str


def suite_of(version: str) -> str:
    """The suite of a kernel version (`6.12`), or of a suite's own name (`trixie`).

    :raises LabError: neither a version nor a suite of the table
    """
    if version in SUITES.values():
        return version
    if version not in SUITES:
        known = ", ".join(f"{number} ({suite})" for number, suite in SUITES.items())
        raise LabError(f"there is no kernel {version!r}; {known} are")
    return SUITES[version]


def kernel(version: str = DEFAULT, *, refresh: bool = False) -> Kernel:
    """Debian's kernel of a version or suite, downloaded once; `refresh` asks the mirror for a newer one.

    :raises LabError: its suite cannot be reached, or has another version by now
    """
    suite = suite_of(version)
    found = _of_suite(suite, refresh=refresh)
    if version != suite and not found.release.startswith(f"{version}."):
        raise LabError(f"Debian {suite} has kernel {found.release}, no longer {version}: take {suite!r}")
    return found


def _of_suite(suite: str, *, refresh: bool) -> Kernel:
    source = Suite(suite)
    known = state.state_dir() / "kernels" / f"{suite}-{state.digest(files=[Path(__file__)])}.json"
    with state.locked("kernel"):
        if known.exists() and not refresh:
            found = Kernel(**json.loads(known.read_text()))
            if Path(found.vmlinux).exists():
                return found
        source.update()
        found = _unpack(source)
        known.write_text(json.dumps(asdict(found)))
        return found


def _unpack(suite: Suite) -> Kernel:
    package = next(name for name in suite.depends("linux-image-amd64") if name.startswith("linux-image-"))
    parts = [package]
    # Debian 14 (7.x): linux-image-V is empty, its files are in these three.
    split = [f"linux-{part}-{package.removeprefix('linux-image-')}" for part in ("binary", "modules", "base")]
    if split[0] in suite.depends(package):
        parts += split
    version = suite.version(package)
    root = state.state_dir() / "kernels" / f"{package}_{state.digest(version, files=[Path(__file__)])}"
    if not root.exists():
        with state.made(root) as half:
            for part in parts:
                suite.unpack(part, half)
            modules = _modules(half)
            image = half / "boot" / f"vmlinuz-{modules.name}"
            extract_vmlinux(image if image.exists() else modules / "vmlinuz", half / "vmlinux")
    modules = _modules(root)
    return Kernel(package, version, modules.name, str(root / "vmlinux"), str(modules))


def _modules(root: Path) -> Path:
    """The modules' directory; /lib is merged into /usr since 6.12."""
    return next(path for top in ("usr/lib/modules", "lib/modules") for path in root.glob(f"{top}/*"))


def extract_vmlinux(image: Path, vmlinux: Path) -> None:
    """The ELF kernel inside a bzImage: started directly, it spares the emulated guest its decompression.

    Offsets: Linux, Documentation/arch/x86/boot.rst (setup_sects, payload_offset, payload_length).

    :raises LabError: the kernel is compressed in a way the lab does not know
    """
    data = image.read_bytes()
    start = (data[0x1F1] + 1) * 512 + int.from_bytes(data[0x248:0x24C], "little")
    payload = data[start : start + int.from_bytes(data[0x24C:0x250], "little")]
    if payload.startswith(XZ_MAGIC):
        vmlinux.write_bytes(lzma.LZMADecompressor().decompress(payload))
    elif payload.startswith(ZSTD_MAGIC):
        packed = vmlinux.with_suffix(".zst")
        packed.write_bytes(payload[:-4])  # the last four bytes are the size
        with vmlinux.open("wb") as out:
            subprocess.run(["zstd", "-dcq", str(packed)], stdout=out, check=True)
        packed.unlink()
    else:
        raise LabError(f"{image}: a kernel compressed neither with xz nor with zstd")
    if not vmlinux.read_bytes()[:4] == b"\x7fELF":
        raise LabError(f"{image}: no ELF kernel inside")
