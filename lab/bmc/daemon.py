"""The BMC's daemon: ipmi_sim between a guest and the network, with switches for every way a BMC fails.

    ipmi_si <-KCS-> QEMU ipmi-bmc-extern <-codec-> [daemon] <-serial-> ipmi_sim <-UDP-> [daemon] <-UDP-> LAN

`lab.bmc.__main__` runs it in a process of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from lab.bmc import codec, commands, inband, simulator
from lab.bmc.commands import Personality, Received
from lab.bmc.inband import Effect, InBand, Mode, ToSim
from lab.bmc.lan import LanMode, LanSide
from lab.bmc.plan import ResetPlan
from lab.bmc.simulator import User
from lab.errors import LabError

LOOPBACK = "127.0.0.1"


class Daemon:
    """One BMC. Everything runs in one event loop, so no step sees another half done."""

    def __init__(
        self, run_dir: Path, module: Path, users: tuple[User, ...], who: Personality, plan: ResetPlan
    ) -> None:
        self._run_dir, self._module, self._users = run_dir, module, users
        self._first = (who, plan)
        self.who, self.plan = who, plan
        self.side = InBand()
        self.lan = LanSide(random.Random(7))  # noqa: S311 - noise, not secrets
        self.received: list[Received] = []
        self.chassis: list[str] = []
        self.resets = self.reboots = 0
        self._sim: simulator.Running | None = None
        self._guest: asyncio.StreamWriter | None = None
        self._hello = b""  # what QEMU told the BMC about itself; a restarted ipmi_sim needs to hear it again
        self._dark: asyncio.Task[None] | None = None
        self._command_port = 0

    # ---- start and end

    async def open(self) -> dict[str, int]:
        """Open every port; the ports by name."""
        loop = asyncio.get_running_loop()
        module_server = await asyncio.start_server(self._serve_module, LOOPBACK, 0)
        self._command_port = module_server.sockets[0].getsockname()[1]
        await self._start_sim()
        transport, _ = await loop.create_datagram_endpoint(lambda: self.lan, local_addr=(LOOPBACK, 0))
        kcs = await asyncio.start_server(self._serve_guest, LOOPBACK, 0)
        control = await asyncio.start_server(self._serve_control, LOOPBACK, 0)
        return {
            "lan": transport.get_extra_info("sockname")[1],
            "kcs": kcs.sockets[0].getsockname()[1],
            "control": control.sockets[0].getsockname()[1],
        }

    async def close(self) -> None:
        """Stop ipmi_sim."""
        await self._stop_sim()

    async def _start_sim(self) -> None:
        self._sim = await simulator.start(
            self._run_dir,
            users=self._users,
            guid=self.who.guid,
            module=self._module,
            command_port=self._command_port,
        )
        if self._hello:
            self._sim.writer.write(self._hello)
        self.lan.use(self._sim.lan_port)
        self._reading = asyncio.create_task(self._read_sim(self._sim))

    async def _stop_sim(self) -> None:
        sim, self._sim = self._sim, None
        self.lan.forget()
        if sim is not None:
            await simulator.stop(sim)

    # ---- in-band

    async def _read_sim(self, sim: simulator.Running) -> None:
        frames = codec.FrameReader()
        with contextlib.suppress(ConnectionError):
            while data := await sim.reader.read(4096):
                for frame in frames.feed(data):
                    if not codec.is_message(frame):
                        if self._guest is not None:
                            self._guest.write(frame)
                        continue
                    if self.side.delay:
                        await asyncio.sleep(self.side.delay)
                    if sim is self._sim:
                        self._step(inband.on_reply(self.side, frame))

    async def _serve_guest(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._guest, self._hello = writer, b""
        self.side = inband.on_guest_connected(self.side)
        frames = codec.FrameReader()
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(4096):
                for frame in frames.feed(data):
                    if codec.is_message(frame):
                        self._step(inband.on_request(self.side, frame))
                    else:
                        self._guest_control(frame)
        if self._guest is writer:
            self._guest = None
        writer.close()

    def _guest_control(self, frame: bytes) -> None:
        body = codec.payload(frame)
        if body and body[0] in (codec.CONTROL_VERSION, codec.CONTROL_CAPABILITIES):
            self._hello += frame
        if self._sim is not None:
            self._sim.writer.write(frame)

    def _step(self, step: tuple[InBand, tuple[Effect, ...]]) -> None:
        self.side, effects = step
        for effect in effects:
            if isinstance(effect, ToSim):
                if self._sim is not None:
                    self._sim.writer.write(effect.frame)
            elif self._guest is not None:
                self._guest.write(effect.frame)

    # ---- resets

    def _reset_received(self, kind: commands.ResetKind, channel: commands.Channel) -> None:
        self.received.append(Received(round(time.time(), 3), kind, channel))
        if self._dark is None and channel not in self.plan.ignored:
            self.resets += 1
            self._darken(self.plan.ack_seconds, self.plan.seconds)

    def _darken(self, ack_seconds: float, seconds: float | None) -> None:
        if self._dark is not None:
            self._dark.cancel()
        self._dark = asyncio.create_task(self._dark_period(ack_seconds, seconds))

    async def _dark_period(self, ack_seconds: float, seconds: float | None) -> None:
        """Answer for `ack_seconds` more, then be dark for `seconds` (None: for ever), then come back."""
        await asyncio.sleep(ack_seconds)
        self.lan.dark = True
        self._step(inband.go_dark(self.side))
        await self._stop_sim()
        if seconds is None:
            await asyncio.get_running_loop().create_future()
        await asyncio.sleep(seconds or 0)
        if self.plan.firmware is not None:
            self.who = replace(self.who, firmware=self.plan.firmware)
        self.who = commands.set_watchdog_running(self.who, False)
        await self._start_sim()
        self.lan.dark = False
        self._step(inband.come_back(self.side, answers=self.plan.answers))
        self._dark = None

    async def _restore(self) -> None:
        """As new: healthy, first personality and plan, nothing counted, no session alive."""
        if self._dark is not None:
            self._dark.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._dark
            self._dark = None
        self.who, self.plan = self._first
        await self._stop_sim()
        await self._start_sim()
        self.lan.mode, self.lan.delay, self.lan.dark = LanMode.OK, 0.0, False
        self.lan.zero()
        self._step(inband.come_back(self.side))
        self.side = replace(self.side, requests=0, answered=0, swallowed=0)
        self.received, self.chassis, self.resets, self.reboots = [], [], 0, 0

    # ---- the module inside ipmi_sim, and the control port

    async def _serve_module(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        netfn, command, channel, *data = (int(word, 16) for word in (await reader.readline()).split())
        answer = commands.answer(netfn, command, bytes(data), self.who)
        self.who = answer.personality
        if answer.chassis is not None:
            self.chassis.append(answer.chassis)
        if answer.reset is not None:
            self._reset_received(answer.reset, commands.channel_of(channel))
        writer.write(answer.data.hex(" ").encode() + b"\n")
        await writer.drain()
        writer.close()

    async def _serve_control(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            wish = json.loads(await reader.readline())
            await self._do(**wish)
            reply = self.status()
        except (LabError, TypeError, ValueError) as error:
            reply = {"error": str(error)}
        writer.write(json.dumps(reply).encode() + b"\n")
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        writer.close()

    async def _do(self, do: str, **to: Any) -> None:
        if do == "inband":
            self._step(inband.switch(self.side, Mode(to["mode"]), delay=to["delay"], answers=to["answers"]))
        elif do == "lan":
            self.lan.mode, self.lan.delay = LanMode(to["mode"]), float(to["delay"])
        elif do == "plan":
            if "ignored" in to:
                to["ignored"] = tuple(to["ignored"])
            self.plan = replace(self.plan, **to)
        elif do == "personality":
            await self._become(replace(self.who, **to))
        elif do == "watchdog":
            told = to["running"] is not None
            self.who = replace(
                commands.set_watchdog_running(self.who, bool(to["running"])), watchdog_told=told
            )
        elif do == "reboot":
            self.reboots += 1
            self._darken(0.0, to["seconds"])
        elif do == "restore":
            await self._restore()
        elif do != "status":
            raise ValueError(f"unknown wish {do!r}")

    async def _become(self, who: Personality) -> None:
        commands.firmware_bytes(who.firmware)
        new_guid = who.guid != self.who.guid
        self.who = who
        if new_guid and self._dark is None:  # ipmi_sim reads the GUID of its LAN side at start only
            await self._stop_sim()
            await self._start_sim()

    def status(self) -> dict[str, Any]:
        """What `lab.bmc.control.Status` is made of."""
        return {
            "mode": self.side.mode.value,
            "lan_mode": self.lan.mode.value,
            "resetting": self._dark is not None,
            "dark": self.side.dark,
            "guest_connected": self._guest is not None,
            "resets": self.resets,
            "reboots": self.reboots,
            "received": [asdict(one) for one in self.received],
            "chassis": self.chassis,
            "requests": self.side.requests,
            "answered": self.side.answered,
            "swallowed": self.side.swallowed,
            "lan_received": self.lan.received,
            "lan_lost": self.lan.lost,
            "logins": len(self.lan.logins),
            "guid": self.who.guid,
            "firmware": self.who.firmware,
            "device_available": self.who.device_available,
            "power": self.who.power,
            "watchdog_running": bool(self.who.watchdog[0] & commands.WATCHDOG_RUNNING),
        }
