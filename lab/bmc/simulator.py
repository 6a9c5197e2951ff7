"""The `ipmi_sim` process: its configuration, its start on free ports, its end."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from pathlib import Path

from lab.children import die_with_parent
from lab.errors import LabError

LAN_CONF = """\
name "labbmc"
set_working_mc 0x20
startlan 1
  addr 127.0.0.1 {lan_port}
  priv_limit admin
  allowed_auths_callback none md2 md5 straight
  allowed_auths_user none md2 md5 straight
  allowed_auths_operator none md2 md5 straight
  allowed_auths_admin none md2 md5 straight
  guid {guid}
endlan
startnow false
{users}
serial kcs 127.0.0.1 {serial_port} codec VM
loadlib "{module}" "{command_port}"
"""
EMULATION = """\
mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr
sel_enable 0x20 1000 0x0a
mc_enable 0x20
"""
START_ATTEMPTS = 5
START_SECONDS = 5.0


@dataclass(frozen=True)
class User:
    """An account of the BMC; `privilege` is ipmi_sim's word: user, operator, admin."""

    name: str
    password: str
    privilege: str


@dataclass(frozen=True)
class Running:
    """A started ipmi_sim with its serial link."""

    process: asyncio.subprocess.Process
    lan_port: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


def free_port(kind: socket.SocketKind) -> int:
    """A loopback port nobody uses now; the caller tries again when somebody took it in between."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def start(
    run_dir: Path, *, users: tuple[User, ...], guid: str, module: Path, command_port: int
) -> Running:
    """Start ipmi_sim and connect to its serial port.

    :raises LabError: it did not start on five pairs of ports; the text holds its last words
    """
    words = ""
    for _ in range(START_ATTEMPTS):
        lan_port, serial_port = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_STREAM)
        accounts = "\n".join(
            f'user {number} true "{user.name}" "{user.password}" {user.privilege} 10 none md2 md5 straight'
            for number, user in enumerate(users, start=2)
        )
        (run_dir / "lan.conf").write_text(
            LAN_CONF.format(
                lan_port=lan_port,
                serial_port=serial_port,
                guid=guid,
                users=accounts,
                module=module,
                command_port=command_port,
            )
        )
        (run_dir / "bmc.emu").write_text(EMULATION)
        with (run_dir / "sim.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                "ipmi_sim",
                *(
                    "-n",
                    "-c",
                    str(run_dir / "lan.conf"),
                    "-f",
                    str(run_dir / "bmc.emu"),
                    "-s",
                    str(run_dir / "sim"),
                ),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,
            )
        try:
            link = await _connect(process, serial_port)
        except asyncio.CancelledError:
            await _kill(process)
            raise
        if link is not None:
            return Running(process, lan_port, *link)
        words = (run_dir / "sim.log").read_text(errors="replace").strip()
        await _kill(process)
    raise LabError(f"ipmi_sim does not start in {run_dir}: {words or 'no word from it'}")


async def _connect(
    process: asyncio.subprocess.Process, port: int
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
    for _ in range(int(START_SECONDS / 0.02)):
        if process.returncode is not None:
            return None
        try:
            return await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.02)
    return None


async def stop(running: Running) -> None:
    """Take the power away: no goodbye on the LAN or the serial link."""
    running.writer.close()
    await _kill(running.process)


async def _kill(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.wait()
