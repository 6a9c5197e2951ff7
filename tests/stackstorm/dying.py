"""Heals that are interrupted by force, and what must be true of them afterwards, seen from outside."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from lab import BmcSim, Lab
from tests.guest.chat import Chat
from tests.stackstorm.api import Api, until
from tests.stackstorm.product import CHAT_KEY, PACK, PASSWORD_KEY, WATCH, Product
from tests.stackstorm.services import Services

RUNNER = "st2actionrunner1"
ENGINE = "st2workflowengine"
API_SECONDS = 60.0  # for its start

# What chat hears of a heal, and what the incident of a dead one says.
BEGAN = "healing the BMC"
HEALED = "BMC healed"
PERSON = "BMC needs a person"
LEFT_ALONE = "BMC not touched"
DIED = "ended without a result"

OVERDUE_SECONDS = 300.0  # from the death on; somebody has noticed it by then
TIDY_SECONDS = 180.0
UNFINISHED = (
    "requested", "scheduled", "delayed", "running", "canceling", "pausing", "paused", "resuming",
)  # fmt: skip


class Patient:
    """A host, and its latest heal.

    :param sim: the BMC that it is known by alone, or a guest
    """

    def __init__(self, sim: BmcSim | Lab, product: Product) -> None:
        self.name = sim.name
        self.sim = sim
        self.heal = ""
        self._product = product
        self._api = product.api

    def settings(self) -> dict[str, Any]:
        """Its section of `hosts`, when its BMC is all that is known of it."""
        bmc = {"address": "127.0.0.1", "port": self.sim.lan_port, "credential": "lab", "identity": "trust"}
        return {"transport": "none", "bmc": bmc}

    def start(self) -> None:
        """Start a heal by force."""
        self.heal = self._product.force(self.name)

    def ask(self) -> None:
        """Start a heal as a person does who sees symptoms."""
        self.heal = self._api.run(f"{PACK}.heal", host=self.name)

    def until_dark(self) -> None:
        """Wait until its reset was carried out and the BMC is dark: the rung waits for the end of that."""
        self.sim.bmc.wait(lambda now: now.dark, seconds=60, what=f"the reset of {self.name}")

    def back(self) -> None:
        """Let a BMC that is dark for ever come back."""
        self.sim.bmc.reboot(1)

    def until_sending(self) -> None:
        """Wait until its reset was announced, and the session for it is being opened."""
        family = f"{PACK}:h:{self.name}:intent:"
        until(lambda: self._api.keys(family), 60, f"the intent of {self.name}", interval=0.03)

    def until_running(self, task: str) -> None:
        """Wait until an action runner is at work on a task."""

        def running() -> bool:
            return any(
                child["context"]["orquesta"]["task_name"] == task and child["status"] == "running"
                for child in self._api.children(self.heal)
            )

        until(running, 120, f"the task {task} of {self.name}", interval=0.02)

    @property
    def resets(self) -> int:
        """Carried out by its BMC."""
        return self.sim.bmc.status().resets

    @property
    def incident(self) -> dict[str, Any]:
        """The document of its latest heal."""
        return next(one for one in self._product.incidents() if one["host"] == self.name)

    @property
    def locked(self) -> bool:
        """A heal holds it."""
        return any(f":lock:{self.name}-" in key for key in self._product.locks())

    def heard(self, chat: Chat) -> list[str]:
        """The titles that chat heard of it, without its name."""
        mine = f"{self.name}: "
        return [title.removeprefix(mine) for title in chat.titles if title.startswith(mine)]


def admit(product: Product, patients: Sequence[Patient], chat: Chat) -> None:
    """Configure the hosts and their chat; of the sensors' triggers only `heal.overdue` comes."""
    sim = patients[0].sim
    product.api.key(PASSWORD_KEY, sim.password, secret=True)
    product.api.key(CHAT_KEY, chat.url, secret=True)
    product.configured(
        hosts={patient.name: patient.settings() for patient in patients},
        credentials={"lab": {"username": sim.user, "password_key": PASSWORD_KEY}},
        notify=[{"url_key": CHAT_KEY}],
    )
    product.config["watch"] = {**WATCH, "bmc_poll_seconds": 3600}
    product.config["guardrails"] |= {"booting_seconds": 1, "concurrent_fleet": 10}
    product.configure()
    product.sensors(on=True)


class Aftermath:
    """What comes after the death of heals, from now on.

    seconds: from the death to `heal.overdue`, and to the last lock's end
    """

    def __init__(self, product: Product, services: Services) -> None:
        self.died_at = time.time()
        self.seconds: dict[str, float] = {}
        self._product = product
        self._api = product.api
        self._services = services

    def tidied(self, *patients: Patient) -> None:
        """Wait until all of them were overdue, and tidy has ended their heals and left nothing."""
        self.freed(*patients)
        until(lambda: not unfinished(self._api), TIDY_SECONDS, "the end of every execution of the pack")
        assert not actions_alive(self._services), "a process of an action has outlived it"

    def freed(self, *patients: Patient) -> None:
        """Wait until all of them were overdue, and tidy has ended their heals and freed them."""
        overdue = [self._overdue(patient) for patient in patients]
        self.seconds["overdue"] = round(max(overdue) - self.died_at, 1)
        until(lambda: not any(p.locked for p in patients), TIDY_SECONDS, "the end of the locks")
        self.seconds.setdefault("freed", round(time.time() - self.died_at, 1))

    def _overdue(self, patient: Patient) -> float:
        """Wait for the sensor's trigger: when it came."""

        def told() -> list[float]:
            found = self._api.call("GET", "/triggerinstances", trigger=f"{PACK}.heal.overdue", limit=50)
            times = [epoch(one["occurrence_time"]) for one in found if one["payload"]["host"] == patient.name]
            return [at for at in times if at > self.died_at]

        left = self.died_at + OVERDUE_SECONDS - time.time()
        return min(until(told, left, f"heal.overdue of {patient.name}"))


def escalated(patient: Patient, chat: Chat, words: str = DIED) -> None:
    """A person has to look, and chat has heard it once."""
    incident = patient.incident
    assert incident["outcome"] == "escalated" and words in incident["sentence"], incident["sentence"]
    assert patient.heard(chat) == [BEGAN, PERSON]


def unfinished(api: Api) -> list[str]:
    """The pack's executions that the engine does not call ended."""
    found = [one for word in UNFINISHED for one in api.call("GET", "/executions", status=word, limit=100)]
    return [f"{one['action']['ref']} {one['status']}" for one in found if one["action"]["pack"] == PACK]


def actions_alive(services: Services) -> dict[int, str]:
    """Processes of the pack's actions and what they started, wherever they hang: pid, and what it runs."""
    python = f"{services.logs.parent}/stackstorm/virtualenvs/{PACK}/bin/python"
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            argv = entry.joinpath("cmdline").read_bytes().decode(errors="replace").split("\0")
            sensor = any(word.startswith("--class-name=") for word in argv)
            if argv[0] == python and not sensor and "bmc_healer.watch" not in argv:
                found[int(entry.name)] = " ".join(argv[1:3])
    return found


def epoch(stamp: str) -> float:
    """StackStorm's way to write a time, as epoch seconds."""
    return datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()
