"""A simulated BMC alone: its LAN side, and an in-band port for a guest. Starts in well under a second."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import uuid
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from lab import children, state, tools
from lab.bmc.commands import Personality
from lab.bmc.control import Bmc
from lab.bmc.plan import ResetPlan
from lab.bmc.simulator import User
from lab.errors import LabError

ADMIN = User("admin", "labpass", "admin")
OPERATOR = User("operator", "labpass", "operator")  # may log in and read, not reset: completion code 0xD4
USERS = (ADMIN, OPERATOR, User("viewer", "labpass", "user"))
PASSWORD = re.compile(r"[A-Za-z0-9._-]{1,19}")  # ipmi_sim lets nobody in with the 20 bytes of IPMI 2.0


@dataclass(frozen=True)
class Ran:
    """A finished command."""

    rc: int
    out: str
    err: str


def guid_of(name: str) -> str:
    """The System GUID of the lab's machine of that name, as 32 hexadecimal digits."""
    return uuid.uuid5(uuid.NAMESPACE_DNS, f"{name}.lab.invalid").hex


def module() -> Path:
    """The ipmi_sim plug-in, compiled when its source has changed."""
    tools.ensure(tools.BMC_PACKAGES)
    source = state.DATA / "labmod.c"
    built = state.state_dir() / f"labmod-{state.digest(files=[source])}.so"
    if not built.exists():
        half = built.with_suffix(f".{os.getpid()}")
        tools.run(["gcc", "-shared", "-fPIC", "-O2", "-Wall", "-o", str(half), str(source)])
        half.rename(built)
    return built


class BmcSim:
    """A running simulated BMC; a context manager.

    lan_port: UDP, RMCP+; user, password: an administrator of it (all users have the same password)
    kcs_port: TCP, for QEMU's ipmi-bmc-extern; bmc: its switches and counters
    """

    def __init__(
        self,
        *,
        name: str = "labhost",
        guid: str | None = None,
        firmware: str = "9.08",
        password: str = ADMIN.password,
        reset_seconds: float | None = 10.0,
        run_dir: Path | None = None,
    ) -> None:
        if not PASSWORD.fullmatch(password):
            raise LabError("a password here is 1 to 19 letters, digits, dots, dashes and underscores")
        self.name = name
        self.guid = (guid or guid_of(name)).replace("-", "").lower()
        self.user, self.password = ADMIN.name, password
        self._own_run_dir = run_dir is None
        self.run_dir = (run_dir or state.new_run_dir(name)).resolve()  # our children work elsewhere
        self._settings = {
            "run_dir": str(self.run_dir),
            "users": [asdict(replace(user, password=password)) for user in USERS],
            "personality": asdict_personality(Personality(self.guid, firmware)),
            "plan": asdict(ResetPlan(seconds=reset_seconds)),
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> BmcSim:
        """Start it.

        :raises LabError: it does not start; the text says why
        """
        self.run_dir.mkdir(parents=True, exist_ok=True)
        self._settings["module"] = str(module())
        with (self.run_dir / "bmcd.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "lab.bmc"],
                cwd=children.PACKAGE_PARENT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        assert self._process.stdin is not None and self._process.stdout is not None  # noqa: S101 - both are pipes
        self._process.stdin.write(json.dumps(self._settings).encode() + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        told: dict[str, Any] = (
            json.loads(line) if line else {"error": (self.run_dir / "bmcd.log").read_text()}
        )
        if "error" in told:
            self.close()
            raise LabError(f"the simulated BMC does not start: {told['error']}")
        self.lan_port, self.kcs_port, self.control_port = told["lan"], told["kcs"], told["control"]
        self.bmc = Bmc(self.control_port)
        return self

    def close(self) -> None:
        """Stop it; the run directory with the logs stays."""
        if self._process is not None:
            children.stop(self._process)
            if self._process.stdout is not None:
                self._process.stdout.close()
            self._process = None

    def oob_command(self, user: str | None = None) -> list[str]:
        """ipmitool's command line to the LAN side; the password is in the environment, IPMI_PASSWORD.

        `-C 3`: ipmi_sim answers no Get Channel Cipher Suites, which costs 10 s without it.
        """
        argv = ["ipmitool", "-I", "lanplus", "-C", "3", "-H", "127.0.0.1", "-p", str(self.lan_port), "-E"]
        privilege = next((known.privilege for known in USERS if known.name == user), ADMIN.privilege)
        level = "ADMINISTRATOR" if privilege == "admin" else privilege.upper()
        return [*argv, "-U", user or self.user, "-L", level]

    def oob(
        self, *arguments: str, user: str | None = None, password: str | None = None, timeout: float = 60
    ) -> Ran:
        """ipmitool over the LAN side."""
        done = subprocess.run(
            [*self.oob_command(user), *arguments],
            env={**os.environ, "IPMI_PASSWORD": password or self.password},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def __enter__(self) -> BmcSim:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if kind is None:
            self.tidy()

    def tidy(self) -> None:
        """Delete the run directory, unless it was the caller's."""
        if self._own_run_dir:
            shutil.rmtree(self.run_dir, ignore_errors=True)


def asdict_personality(who: Personality) -> dict[str, Any]:
    """A personality as JSON can carry it."""
    return {name: value for name, value in asdict(who).items() if name != "watchdog"}
