"""Boot, hang, watch it heal; `python -m demo [--driver legacy|stock]`. The last line says how it ended."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from demo.chat import Chat
from demo.narrator import Narrator
from demo.service import Service
from lab import Lab

HOST = "labhost"
DRIVERS = {
    "legacy": "the older ipmi_si: a hung BMC drives kipmi0 to 100 %, rmmod hangs in D",
    "stock": "Debian's ipmi_si: a hung BMC shows kipmi0 at 10-22 %, only the driver's counters tell",
}
HEAL_SECONDS = 400.0  # from the hang to the end of the heal; 225 s were seen on a machine at half its speed
POLLERS = 4  # what monitoring leaves behind


def main() -> int:
    """The demo; exit status 0 only when the heal was verified from outside as well."""
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument("--driver", choices=sorted(DRIVERS), default="legacy")
    driver = parser.parse_args().driver
    narrator = Narrator()
    narrator.heading(f"A guest with {DRIVERS[driver]}")
    with Lab(driver=driver, name=HOST, reset_seconds=10) as lab:
        narrator.say(
            f"{HOST} is up: Linux in QEMU, a simulated BMC behind its KCS port, and the BMC's LAN side"
        )
        _show(lab, narrator)
        with tempfile.TemporaryDirectory(prefix="bmc-healer-demo-") as folder:
            return _heal(lab, Path(folder), narrator)


def _heal(lab: Lab, folder: Path, narrator: Narrator) -> int:
    with Chat(lambda title, body: narrator.indented(f"chat heard: {title}", body)) as chat:
        config = _config(lab, folder, chat.url)
        narrator.heading("bmc-healer run: two sensors, rules, workflows; nothing else is told to it")
        with Service(config, folder / "state", folder / "run.log", narrator) as service:
            narrator.heading("The BMC's in-band side hangs; monitoring goes on asking")
            lab.bmc.hang()
            hung_at = narrator.seconds
            for _ in range(POLLERS):
                lab.guest("setsid ipmitool sensor >/dev/null 2>&1 </dev/null &")
            _show(lab, narrator, ask=False)
            narrator.heading("From here on the pack works by itself")
            output = next((o for o in service.heals(HEAL_SECONDS) if o.get("incident")), None)
        if output is None:
            print((folder / "run.log").read_text()[-2000:], file=sys.stderr)
    narrator.heading("Looked at from outside")
    healthy = _show(lab, narrator)
    resets = lab.bmc.status().resets
    narrator.say(f"the BMC counted {resets} reset{'' if resets == 1 else 's'}")
    outcome = (output or {}).get("outcome") or "nothing"
    seconds = round(narrator.seconds - hung_at)
    print(f"\n{outcome} host={HOST} by={(output or {}).get('healed_by') or '-'} seconds={seconds}")
    return 0 if outcome == "healed" and healthy and resets == 1 else 1


def _show(lab: Lab, narrator: Narrator, *, ask: bool = True) -> bool:
    """Show the host as a person would see it; True when in-band answers and kipmi is idle."""
    kipmi = float(lab.guest("kcpu 2").out.strip() or 0)
    load = lab.guest("cut -d' ' -f1 /proc/loadavg").out.strip()
    clients = lab.guest("pidof ipmitool | wc -w").out.strip()
    narrator.say(f"{HOST}: kipmi0 at {kipmi:.0f} % of a core, load {load}, {clients} ipmitool processes")
    if not ask:
        return False
    answer = lab.guest("ipmitool mc info 2>/dev/null | grep '^Device ID  *:'", timeout=90)
    narrator.say(f"{HOST}: ipmitool mc info: {answer.out.strip() or 'no answer'}")
    return answer.rc == 0 and kipmi < 5


def _config(lab: Lab, folder: Path, chat: str) -> Path:
    """What an operator would write for one host; marks are shortened so that the demo stays short."""
    config = {
        "mode": "auto",
        "hosts": {
            HOST: {
                "address": "127.0.0.1",
                "transport": "ssh",
                "ssh": {
                    "port": lab.ssh_port,
                    "user": "root",
                    "key_file": str(lab.key_file),
                    "known_hosts": str(lab.known_hosts),
                },
                "bmc": {"address": "127.0.0.1", "port": lab.lan_port, "credential": "lab"},
            }
        },
        "credentials": {"lab": {"username": lab.user, "password": lab.password}},
        "watch": {
            "sustained_seconds": 20,
            "poll_seconds": 5,
            "bmc_poll_seconds": 10,
            "hung_client_seconds": 30,
        },
        "notify": [{"url": chat}],
    }
    path = folder / "bmc_healer.yaml"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)  # it holds a password
    with os.fdopen(descriptor, "w") as file:
        json.dump(config, file)
    return path


if __name__ == "__main__":
    sys.exit(main())
