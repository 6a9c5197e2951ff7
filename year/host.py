"""A made-up host as the library reaches it: `HostAccess` that answers the pack's own scripts and commands."""

from __future__ import annotations

from collections.abc import Sequence

from bmc_healer.errors import HostAccessError
from bmc_healer.host.access import OUTPUT_LIMIT, Result
from bmc_healer.host.facts import ClientProcess
from bmc_healer.host.scripts import script
from bmc_healer.watch.snapshot import Counters, Sample, Thread
from year.world import OLD, QUEUES, Host, World

PARAMS = "kcs,i/o,0xca2,rsp=1,rsi=1,rsh=0,irq=0,ipmb=32"
INFO = "Device ID : 32\nFirmware Revision : {firmware}\nDevice Available : yes\n"
CLAIM = "Sent cold reset command to MC\n"
HZ = 100
UPTIME = 1000.0  # seconds that a host has been up when it is first seen
FLASH_PID, KIPMI_PID = 2900, 101


class Access:
    """A way onto one host; entering raises when it is down."""

    privileged = True

    def __init__(self, world: World, host: Host) -> None:
        self.name = host.name
        self._world, self._host, self._loop = world, host, world.loop

    def __enter__(self) -> Access:
        self._loop.sleep(0.3)
        self._reach()
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def _reach(self) -> None:
        if not self._host.up:
            raise HostAccessError("SSH: no route to host", self.name, "look at its console")

    def run(
        self,
        argv: Sequence[str],
        *,
        limit: float,
        stdin: str = "",
        mark: str | None = None,
        root: bool = True,
        most: int = OUTPUT_LIMIT,
    ) -> Result:
        """What each of the pack's commands would come to."""
        self._reach()
        began, boots = self._loop.now, self._host.boots
        self._host.count(began)
        status, out, err = self._obey(list(argv), stdin, limit)
        self._host.count(self._loop.now)
        if not self._host.up or self._host.boots != boots:
            raise HostAccessError("the connection broke", self.name, "diagnose again")
        return Result(status, out, err, self._loop.now - began)

    def _obey(self, argv: list[str], stdin: str, limit: float) -> tuple[int | None, str, str]:
        host = self._host
        if argv[:2] == ["sh", "-s"]:
            self._loop.sleep(0.1)
            host.count(self._loop.now)
            return 0, snapshot(host, self._loop.now), ""
        if argv[:2] == ["sh", "-c"]:
            return self._script(argv[2], argv[4:])
        if argv[0] == "ipmitool":
            return self._ipmitool(argv[1:], limit)
        if argv[0] == "/sbin/rmmod":
            self._loop.sleep(0.5)
            if argv[1] == "ipmi_si":
                host.count(self._loop.now)
                host.driver = host.device = host.queued = False
                host.asked_until = 0.0
                self._world.on_change(host)
            return 0, "", ""
        if argv[0] == "/sbin/modprobe":
            return self._modprobe(argv[1], limit)
        return 0, "", ""

    def _script(self, text: str, words: list[str]) -> tuple[int | None, str, str]:
        host = self._host
        if text == script("lease"):
            self._loop.sleep(0.1)
            return 0, self._lease(*words), ""
        if text == script("end"):
            self._loop.sleep(6.0)
            host.pile_since = None
            return 0, "end\n", ""
        if not words:  # uptime and dmesg, in which nothing was logged
            return 0, f"{self._loop.now - host.booted_at + UPTIME:.2f}\n", ""
        if words[-1].endswith("kipmid_max_busy_us"):
            host.throttle = int(words[0].partition(",")[0])
        return 0, "", ""

    def _lease(self, verb: str, boot: str, owner: str, incident: str, fence: str, deed: str) -> str:
        host = self._host
        if boot not in ("", host.boot_id):
            return "rebooted\n"
        held = host.lease
        if verb == "take" and (held is None or held[0] == owner):
            host.lease = [owner, incident, fence, str(int(self._loop.now)), held[4] if held else ""]
            return "\n".join(["taken", *host.lease, ""])
        if held is None:
            return "gone\n"
        if verb in ("deed", "give_back") and held[:2] == [owner, incident]:
            host.lease = None if verb == "give_back" else [*held[:4], deed]
            return "\n".join(["taken" if host.lease else "gone", *held[:4], deed, ""])
        return "\n".join(["kept" if verb == "look" and held[0] == owner else "held", *held, ""])

    def _ipmitool(self, words: list[str], limit: float) -> tuple[int | None, str, str]:
        host, bmc = self._host, self._host.bmc
        reset = words == ["mc", "reset", "cold"]
        if not (host.driver and host.device):
            return (0, CLAIM, "") if reset else (1, "", "Could not open device at /dev/ipmi0\n")
        if bmc.kcs(self._loop.now):
            self._loop.sleep(3.0 if bmc.slow else 0.4)
            host.count(self._loop.now)
            host.completed += 1
            if reset:
                self._world.reset(bmc, f"inband {host.name}")
                return 0, CLAIM, ""
            return 0, INFO.format(firmware=bmc.firmware), ""
        host.ask(self._loop.now)
        if reset and host.kernel in (OLD, QUEUES):
            host.queued = True
        self._loop.sleep(min(limit, 45.0 if reset else 60.0))
        return (0, CLAIM, "") if reset else (1, "", "Get Device ID command failed\n")

    def _modprobe(self, module: str, limit: float) -> tuple[int | None, str, str]:
        host = self._host
        if module == "ipmi_si" and not host.driver:
            found = host.bmc.kcs(self._loop.now)
            self._loop.sleep(1.0 if found else min(113.0, limit))
            host.count(self._loop.now)
            host.driver, host.device = True, found
            self._world.on_change(host)
        return 0, "", ""


def snapshot(host: Host, now: float) -> str:
    """What snapshot.sh would print."""
    uptime = now - host.booted_at + UPTIME
    lines = ["@@ host", f"boot_id={host.boot_id}", f"kernel={host.kernel}", "load=1.0 1 1 1/1 1"]
    lines += [f"cpu=cpu {int(uptime * HZ)} 0 0 0 0 0 0 0", f"product_uuid={host.bmc.guid}"]
    lines += ["bios_version=2.19", "ipmitool=1"]
    lines += ["had_bmc=1", f"uptime={uptime:.2f} 0", "@@ stat"]
    if host.driver and host.device:
        lines.append(_stat(KIPMI_PID, "kipmi0", 2, int(host.ticks), 100))
    pile = host.pile(now)
    lines += [_stat(pid, "ipmitool", 1, 0, int((uptime - age) * HZ)) for pid, age in pile]
    lines += [_stat(FLASH_PID, "flashupdt", 1, 0, int(uptime * HZ))] if host.bmc.flashing else []
    lines.append("@@ wchan")
    lines += [line for pid, _ in pile for line in (f"==> /proc/{pid}/wchan <==", "do_select")]
    lines.append("@@ cmdline")
    lines += [line for pid, _ in pile for line in (f"==> /proc/{pid}/cmdline <==", "ipmitool\x1fsensor")]
    if host.driver and host.device:
        lines += ["@@ interface ipmi0", f"params={PARAMS}", f"complete_transactions={int(host.completed)}"]
        lines += [f"short_timeouts={int(host.timeouts)}", "long_timeouts=0", "hosed_count=0"]
    lines.append("@@ modules")
    if host.driver:
        lines += ["ipmi_devintf 4096 0 - Live 0x0", "ipmi_si 4096 1 - Live 0x0"]
        lines.append("ipmi_msghandler 4096 2 ipmi_devintf,ipmi_si, Live 0x0")
    lines += ["@@ builtin", "@@ majors", "246 ipmidev", "@@ nodes"]
    if host.driver and host.device:
        lines.append("crw------- 1 0 0 246, 0 Nov 21 11:41 /dev/ipmi0")
    lines += ["@@ holders", "@@ parameters", *([f"throttle={host.throttle}"] if host.driver else [])]
    return "\n".join([*lines, "@@ end", ""])


def _stat(pid: int, name: str, parent: int, ticks: int, start: int) -> str:
    return f"{pid} ({name}) S {parent} 0 0 0 -1 0 0 0 0 0 0 0 {ticks} 0 0 39 19 1 0 {start} 0 0"


def sample(host: Host, now: float) -> Sample:
    """What the watch's loop on the host would say."""
    host.count(now)
    uptime = now - host.booted_at + UPTIME
    loaded = host.driver and host.device
    clients = [
        ClientProcess(pid, int((uptime - age) * HZ), "ipmitool", "", age, "S", "do_select")
        for pid, age in host.pile(now)
    ]
    return Sample(
        at=uptime,
        hz=HZ,
        boot_id=host.boot_id,
        kernel=host.kernel,
        load1=1.0,
        cpu_ticks=(int(uptime * HZ), 0),
        kipmi=(Thread(KIPMI_PID, 100, int(host.ticks), "kipmi0"),) if loaded else (),
        clients=tuple(clients),
        client_count=len(clients),
        counters={"ipmi0": Counters(int(host.completed), int(host.timeouts), 0)} if loaded else {},
    )
