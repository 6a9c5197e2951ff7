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

XZ_MAGIC, ZSTD_MAGIC = b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True)
class Kernel:
    """`package` and `version` are Debian's, `release` is what uname -r says; `vmlinux` is the ELF kernel."""

    package: str
    version: str
    release: str
    vmlinux: str
    modules: str


def kernel(suite: str, *, refresh: bool = False) -> Kernel:
    """A suite's kernel, downloaded once; `refresh` asks the mirror for a newer one."""
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
