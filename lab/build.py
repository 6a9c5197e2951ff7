"""What a guest is started from: kernel, initramfs, keys. Made once per kernel, driver and lab source."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lab import initramfs, state, tools
from lab.builtin import BUILTIN_KERNEL, builtin_kernel
from lab.errors import LabError
from lab.kernel import DEFAULT, Kernel, kernel, suite_of
from lab.legacy import LEGACY_KERNEL, legacy_ipmi_si

Driver = Literal["stock", "legacy", "builtin"]
OWN_KERNEL = {"legacy": LEGACY_KERNEL, "builtin": BUILTIN_KERNEL}  # drivers that are made for one kernel


@dataclass(frozen=True)
class Build:
    """`server_key` is the guest's public host key: type, base64."""

    kernel: Kernel
    initrd: Path
    client_key: Path
    server_key: str


def build(driver: Driver = "stock", version: str = DEFAULT, *, refresh: bool = False) -> Build:
    """Build, or find what was built; `refresh` asks the mirror for a newer kernel.

    :param version: of the kernel (`6.12`), or the Debian suite that has it
    :raises LabError: a package is missing or a step failed
    """
    if driver not in ("stock", *OWN_KERNEL):
        raise LabError(f"there is no driver {driver!r}; 'stock', {', '.join(map(repr, OWN_KERNEL))} are")
    if driver in OWN_KERNEL and suite_of(version) != suite_of(OWN_KERNEL[driver]):
        raise LabError(f"the {driver} driver is made for kernel {OWN_KERNEL[driver]}, not for {version}")
    tools.ensure(tools.GUEST_PACKAGES)
    of = kernel(version, refresh=refresh)
    if driver == "builtin":
        of = builtin_kernel(of)
    legacy = legacy_ipmi_si(of) if driver == "legacy" else None
    keys = _keys()
    made_from = state.digest(
        of.package,
        of.version,
        of.release,
        str(legacy),
        files=[Path(__file__), Path(initramfs.__file__), keys / "client.pub", *initramfs.SOURCES],
    )
    final = state.state_dir() / "guests" / made_from
    with state.locked("guests"):
        if not final.exists():
            with state.made(final) as half:
                initramfs.build(half, of, keys, legacy)
    server_key = (keys / "server.pub").read_text().strip()
    return Build(of, final / "initrd", keys / "client", server_key)


def _keys() -> Path:
    """The key that opens the guests and the key they show."""
    keys = state.state_dir() / "keys"
    with state.locked("keys"):
        if not keys.exists():
            with state.made(keys) as half:
                tools.run(
                    ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", str(half / "client")]
                )
                told = tools.run(["dropbearkey", "-t", "ed25519", "-f", str(half / "server")])
                public = next(line for line in told.splitlines() if line.startswith("ssh-ed25519 "))
                (half / "server.pub").write_text(" ".join(public.split()[:2]) + "\n")
    return keys
