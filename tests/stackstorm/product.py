"""The pack as it is installed in a StackStorm: its configuration, its sensors, its incidents."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from tests.guest.healer import guest_host
from tests.stackstorm.api import Api, until

PACK = "bmc_healer"
HOST = "labhost"
PASSWORD_KEY = "bmc_lab"
CHAT_KEY = "bmc_chat"
SENSORS = ("KipmiSensor", "BmcSensor")

# Marks and limits are shortened where waiting proves nothing more; counter windows stay at their 10 s.
WATCH = {
    "sustained_seconds": 10,
    "stuck_windows": 1,
    "poll_seconds": 5,
    "bmc_poll_seconds": 3,
    "hung_client_seconds": 15,
    "recover_polls": 1,
    "probe_seconds": 0,
    "overdue_seconds": 60,
}
GUARDRAILS = {
    "settle_seconds": 0.5,
    "cooldown_seconds": 0,
    "heals_per_host_per_day": 20,
    "heals_per_hour_fleet": 100,
}
LADDER = {
    "inband_when_stuck": "skip",
    "rmmod_limit": 4,
    "dark_wait": 8,
    "back_wait": 60,
    "steady_interval": 0.5,
    "session_limit": 20,
}


class Product:
    """The installed pack; tests change `config` and call `configure()`."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.config: dict[str, Any] = {}

    def configured(self, **sections: Any) -> None:
        """Give StackStorm a configuration with test marks; actions use it from their next start on."""
        self.config = {
            "mode": "auto",
            "watch": dict(WATCH),
            "guardrails": dict(GUARDRAILS),
            "ladder": dict(LADDER),
            **sections,
        }
        self.configure()

    def configure(self) -> None:
        """Hand `config` over, as `st2 pack config` and PUT /v1/configs do."""
        self.api.call("PUT", f"/configs/{PACK}", self.config)

    def bmc_alone(self, sim: Any, chat: Any = None, *, name: str = HOST) -> None:
        """One host that is known by its BMC alone and trusted: a heal by force resets it in seconds."""
        self.api.key(PASSWORD_KEY, sim.password, secret=True)
        host = {
            "transport": "none",
            "bmc": {"address": "127.0.0.1", "port": sim.lan_port, "credential": "lab", "identity": "trust"},
        }
        self._with_chat(chat, hosts={name: host}, credentials=self._credentials(sim))

    def guest(self, lab: Any, chat: Any = None) -> None:
        """The lab's guest over SSH, with its BMC."""
        self.api.key(PASSWORD_KEY, lab.password, secret=True)
        self._with_chat(chat, hosts={HOST: guest_host(lab)}, credentials=self._credentials(lab))

    def _with_chat(self, chat: Any, **sections: Any) -> None:
        if chat is not None:
            self.api.key(CHAT_KEY, chat.url, secret=True)
            sections["notify"] = [{"url_key": CHAT_KEY}]
        self.configured(**sections)

    @staticmethod
    def _credentials(bmc: Any) -> dict[str, Any]:
        return {"lab": {"username": bmc.user, "password_key": PASSWORD_KEY}}

    def force(self, host: str = HOST, **parameters: Any) -> str:
        """Start a heal of a host that is well: the execution's id."""
        return self.api.run(f"{PACK}.heal", **{"host": host, "force": True, "rungs": ["oob"], **parameters})

    def sensors(self, *, on: bool, names: Iterable[str] = SENSORS) -> None:
        """Switch sensors; a switched-on one starts with the configuration of now."""
        for name in names:
            sensor = self.api.call("GET", f"/sensortypes/{PACK}.{name}")
            if sensor["enabled"] != on:
                self.api.call("PUT", f"/sensortypes/{PACK}.{name}", {**sensor, "enabled": on})

    def rule(self, name: str, *, on: bool) -> None:
        """Switch a rule of the pack."""
        rule = self.api.call("GET", f"/rules/{PACK}.{name}")
        if rule["enabled"] != on:
            self.api.call("PUT", f"/rules/{rule['id']}", {**rule, "enabled": on})

    def incidents(self) -> list[dict[str, Any]]:
        """All incidents, the newest first."""
        found = [json.loads(value) for value in self.api.keys(f"{PACK}:i:").values()]
        found = [document.get("value", document) for document in found]
        return sorted(
            (d for d in found if "started_at" in d), key=lambda d: float(d["started_at"]), reverse=True
        )

    def answered(self) -> list[str]:
        """The hosts whose BMC has answered the sensor, as it keeps them."""
        kept = [json.loads(value) for key, value in self.api.keys(f"{PACK}:l:").items() if ":bmc:" in key]
        return [host for entry in kept for host in entry["document"]]

    def locks(self) -> list[str]:
        """Who holds a lock, as keys of the datastore."""
        return [key for key in self.api.keys(f"{PACK}:f:") if ":lock:" in key]

    def free(self, seconds: float = 300.0) -> None:
        """Wait until no heal holds a lock."""
        until(lambda: not self.locks(), seconds, "the end of the last lock")

    def forget(self) -> None:
        """Everything the pack knows, so that the next test begins with an empty datastore."""
        for prefix in ("f:", "h:", "i:", "l:", "o:", "s:", "w:"):
            for key in self.api.keys(f"{PACK}:{prefix}"):
                self.api.forget(key)
