"""Debian's packages of any suite, downloaded and unpacked, never installed.

Each suite gets package lists, cache and status of its own in the state directory: the machine's apt is not
touched.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from lab import state, tools
from lab.errors import LabError

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
DEFAULT_MIRROR = "http://deb.debian.org"
WITH_SECURITY = ("bullseye", "bookworm", "trixie")
SUITE = re.compile(r"[a-z]{2,20}")


def mirror() -> str:
    """The mirror's address without /debian: `BMC_LAB_MIRROR`, or the one this machine's apt uses."""
    chosen = os.environ.get("BMC_LAB_MIRROR")
    if chosen:
        return chosen.rstrip("/")
    apt = Path("/etc/apt")
    for path in sorted([apt / "sources.list", *apt.glob("sources.list.d/*")]):
        if path.is_file():
            found = re.search(
                r"^(?:URIs:|deb)\s.*?(https?://\S+?)/debian/?(?:\s|$)", path.read_text(), re.MULTILINE
            )
            if found:
                return found.group(1)
    return DEFAULT_MIRROR


class Suite:
    """One Debian suite of the mirror."""

    def __init__(self, name: str) -> None:
        if not SUITE.fullmatch(name):
            raise LabError(f"{name!r} is not a Debian suite; bullseye, bookworm, trixie and sid are")
        self.name = name
        self._dir = state.state_dir() / "apt" / name
        self._debs = state.state_dir() / "debs"

    def update(self) -> None:
        """Fetch the package lists (again).

        :raises LabError: the mirror does not answer, or has no such suite; the text names both
        """
        for part in ("lists/partial", "cache/archives/partial", "parts", "preferences"):
            (self._dir / part).mkdir(parents=True, exist_ok=True)
        (self._dir / "status").touch()
        lines = [f"deb [signed-by={KEYRING}] {mirror()}/debian {self.name} main"]
        if self.name in WITH_SECURITY:
            lines.append(f"deb [signed-by={KEYRING}] {mirror()}/debian-security {self.name}-security main")
        (self._dir / "sources.list").write_text("\n".join(lines) + "\n")
        # Without the error mode apt-get calls it a success when no list could be fetched.
        self._ask("apt-get", "-o", "APT::Update::Error-Mode=any", "-qq", "update")

    def _ask(self, program: str, *words: str, cwd: Path | None = None) -> str:
        """Run an apt program on this suite's own lists."""
        try:
            return tools.run([program, *self._options(), *words], cwd=cwd)
        except LabError as error:
            last = str(error).splitlines()[-1]
            raise LabError(f"Debian {self.name} cannot be had from {mirror()}: {last}") from error

    def _options(self) -> list[str]:
        at = self._dir
        settings = {
            "Dir::Etc::sourcelist": at / "sources.list",
            "Dir::Etc::sourceparts": at / "parts",
            "Dir::Etc::preferences": "/dev/null",
            "Dir::Etc::preferencesparts": at / "preferences",
            "Dir::State::lists": at / "lists",
            "Dir::State::status": at / "status",
            "Dir::Cache": at / "cache",
            "APT::Architecture": "amd64",
            "APT::Sandbox::User": "root",
        }
        return [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]

    def depends(self, package: str) -> list[str]:
        """The names a package depends on."""
        told = self._ask("apt-cache", "depends", package)
        return re.findall(r"^\s*Depends: ([^<\s]+)", told, re.MULTILINE)

    def version(self, package: str) -> str:
        """The newest version of a package."""
        told = self._ask("apt-cache", "show", "--no-all-versions", package)
        found = re.search(r"^Version: (\S+)", told, re.MULTILINE)
        if found is None:
            raise LabError(f"Debian {self.name} has no package {package}")
        return found.group(1)

    def unpack(self, package: str, into: Path) -> None:
        """Unpack a package below a directory."""
        tools.run(["dpkg-deb", "-x", str(self.fetch(package)), str(into)])

    def fetch(self, package: str) -> Path:
        """The downloaded package file."""
        # apt-get writes the epoch's colon as %3a
        stem = f"{package}_{self.version(package).replace(':', '%3a')}_"
        self._debs.mkdir(parents=True, exist_ok=True)
        here = next(self._debs.glob(f"{stem}*.deb"), None)
        if here is None:
            self._ask("apt-get", "-q", "download", package, cwd=self._debs)
            here = next(self._debs.glob(f"{stem}*.deb"), None)
        if here is None:
            raise LabError(f"apt-get downloaded {package}, but {self._debs}/{stem}*.deb is not there")
        return here
