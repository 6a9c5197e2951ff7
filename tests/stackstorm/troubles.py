"""A host for each way in which something that holds a secret fails; each secret is a text of its own.

wrong: the BMC refuses the password; long: no BMC takes one of that length; dead: the BMC does not answer;
killed: so is every process that is handed the password; redfish: no session, and Redfish refuses; odd: the
address of Redfish is none; open: all can read the password's file; lines: it has two; key: the SSH key is
none. Chat fails in four ways too.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from lab import BmcSim
from tests.protocol.misbehaving_bmc import MisbehavingBmc
from tests.stackstorm.leaks import canary
from tests.stackstorm.product import GUARDRAILS, PACK, Product
from tests.stackstorm.web import Web, always

NO_SESSION = {"open": 0x01}  # status of RMCP+ Open Session: insufficient resources
SESSION = b"bmc_healer.bmc.session_child"
HOUR = 3600.0
SAID = {
    "wrong": "The BMC refused the login",
    "dead": "The BMC's LAN side is silent",
    "killed": "the BMC's process died",
    "redfish": "The BMC refused the login",
    "odd": "the BMC has no free session",
    "long": "IPMI allows 16 bytes of user name and 20 bytes of password",
    "open": "its mode is 0644, others could read or change it",
    "lines": "the file must hold one line of text",
    "key": "cannot be used: Invalid private key",
    "status": "status failed inside (TypeError)",
}
BROKEN = {"id": "broken", "host": "broken", "started_at": "never"}


class Troubles:
    """All of them, configured; lasts as long as `stack`.

    secrets: by what they are; hosts: their names; redfish, chat: what refuses
    """

    def __init__(self, product: Product, folder: Path, stack: ExitStack) -> None:
        self.secrets: dict[str, str] = {}
        self.redfish, self.chat = (stack.enter_context(Web(always(status))) for status in (401, 500))
        self._product, self._folder, self._stack = product, folder, stack
        self._hosts: dict[str, Any] = {}
        self._credentials: dict[str, Any] = {}
        for name in ("wrong", "dead", "killed", "redfish", "odd"):
            self._add(name, password_key=self._key(f"password of {name}"))
        self._add("long", password_key=self._key("password of long", longer=3))
        self._add("open", password_file=self._file("password of open", 0o644))
        self._add("lines", password_file=self._file("password of lines", 0o600, "\nand another line"))
        self._hosts["redfish"]["bmc"]["redfish"] = {"url": self.redfish.url}
        self._hosts["odd"]["bmc"]["redfish"] = {"url": "http://[bad"}
        known_hosts = folder / "known_hosts"
        known_hosts.write_text("")
        ssh = {"key_file": self._file("SSH key", 0o600), "known_hosts": str(known_hosts)}
        self._hosts["key"] = {"address": "127.0.0.1", "ssh": ssh}
        self.hosts = list(self._hosts)
        product.configured(
            hosts=self._hosts,
            credentials=self._credentials,
            notify=self._chats(),
            guardrails=GUARDRAILS | {"concurrent_fleet": 2 * len(self.hosts)},
        )
        for moment, ago in (("alive_5fat", 2 * HOUR), ("dark_5fsince", HOUR), ("dark_5fat", 60.0)):
            product.api.key(f"{PACK}:h:dead:memory:lan_5f{moment}:", json.dumps({"value": time.time() - ago}))

    @contextmanager
    def broken_incident(self) -> Iterator[None]:
        """One in the datastore that nobody wrote like this: an exception inside the action that reads it."""
        key = f"{PACK}:i:broken:"
        self._product.api.key(key, json.dumps(BROKEN))
        yield
        self._product.api.forget(key)

    def _add(self, name: str, **password: str) -> None:
        bmc = {"address": "127.0.0.1", "port": self._bmc(name), "credential": name, "identity": "trust"}
        self._hosts[name] = {"transport": "none", "bmc": bmc}
        self._credentials[name] = {"username": "admin", **password}

    def _bmc(self, name: str) -> int:
        if name in ("redfish", "odd"):
            return self._stack.enter_context(MisbehavingBmc(status=NO_SESSION)).port
        its_own = {"password": self.secrets[f"password of {name}"]} if name == "killed" else {}
        sim = self._stack.enter_context(BmcSim(name=name, **its_own))
        if name == "dead":
            sim.bmc.lan_dead()
        if name == "killed":
            sim.bmc.lan_slow(0.5)  # a login takes seconds
        return sim.lan_port

    def _chats(self) -> list[dict[str, str]]:
        """One that answers 500, one that is not there, one whose port is none, one that all could read."""
        places = {"refusing": self.chat.url, "deaf": "http://127.0.0.1:9", "odd": "http://127.0.0.1:99999999"}
        targets = []
        for name, url in places.items():
            here = url.replace("http", "json") + "/{}"
            targets.append({"url_key": self._key(f"token of the {name} chat", around=here)})
        return [*targets, {"url_file": self._file("token of the open chat", 0o644)}]

    def _new(self, what: str, longer: int = 1) -> str:
        self.secrets[what] = canary() * longer
        return self.secrets[what]

    def _key(self, what: str, *, longer: int = 1, around: str = "{}") -> str:
        key = what.replace(" ", "_")
        self._product.api.key(key, around.format(self._new(what, longer)), secret=True)
        return key

    def _file(self, what: str, mode: int, more: str = "") -> str:
        file = self._folder / what.replace(" ", "_")
        file.write_text(self._new(what) + more)
        file.chmod(mode)
        return str(file)


@contextmanager
def killing_sessions(host: str) -> Iterator[list[int]]:
    """Kill every BMC session that an action for `host` opens; their process ids."""
    killed: list[int] = []
    end = threading.Event()

    def kill() -> None:
        while not end.wait(0.05):
            for entry in Path("/proc").glob("[0-9]*"):
                with suppress(OSError, IndexError):
                    if SESSION not in (entry / "cmdline").read_bytes():
                        continue
                    parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
                    if f'"host":"{host}"'.encode() in Path(f"/proc/{parent}/cmdline").read_bytes():
                        os.kill(int(entry.name), signal.SIGKILL)
                        killed.append(int(entry.name))

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    yield killed
    end.set()
    thread.join()
