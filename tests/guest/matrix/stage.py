"""Plays the story of a row: each word of it is a method `do_WORD` here."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from tests.guest.healer import HOST, Child, Ended, Healer
from tests.guest.matrix import deaths, scenes
from tests.guest.matrix.afterwards import Before, before
from tests.guest.outside import answered_on, hang, poll
from tests.guest.payload import bmc_recovered, heal_overdue, kipmi_high_cpu

WAIT_SECONDS = 150.0
ACTS = ("heal", "start", "serve", "trigger", "scene")


class Stage:
    """One row's guest, product and chat; `ended` is what the last heal came to.

    `was`: the guest when the product was first let at it
    `installations`: all of the product's that healed, in the row's `folder`
    """

    def __init__(self, lab: Any, folder: Path, chat: Any) -> None:
        self.lab, self.folder, self.chat = lab, folder, chat
        self.healer = healer = Healer(lab, folder)
        self.installations = [healer]
        self.ended: Ended | None = None
        self.was: Before | None = None
        self.child: Child | None = None
        self.suspended: list[psutil.Process] = []
        healer.settings(rmmod_limit=20)  # a busy machine needs more than 4 s
        healer.settings(hung_client_seconds=10)  # less than the diagnosis takes: who hung before it is reaped
        healer.config["notify"] = [{"url": chat.url}]

    def close(self) -> None:
        """End what still runs, also what was suspended."""
        deaths.go_on(self.suspended)
        self.healer.close()

    def play(self, story: tuple[dict[str, Any], ...]) -> None:
        """Say the words in their order."""
        for sentence in story:
            for word, what in sentence.items():
                if word in ACTS and self.was is None:
                    self.was = before(self.lab)
                getattr(self, f"do_{word}")(what)

    # ---- what is broken

    def do_bmc(self, switches: str | Mapping[str, Any]) -> None:
        """Switches of `lab.bmc`: a name, or names with their arguments."""
        for name, given in {switches: {}}.items() if isinstance(switches, str) else switches.items():
            switch = getattr(self.lab.bmc, name)
            switch(**given) if isinstance(given, dict) else switch(given)

    def do_hang(self, clients: int) -> None:
        """The fault with so many clients; 0: nobody asks."""
        if clients:
            hang(self.lab, clients)
        else:
            self.lab.bmc.hang()

    def do_hang_long(self, clients: int) -> None:
        """The fault with so many clients that wait without a limit, for longer than a client may hang."""
        self.lab.bmc.hang()
        self.do_old_clients(clients)
        self.lab.bmc.wait(lambda now: now.swallowed > 0, seconds=WAIT_SECONDS, what="a request that hangs")

    def do_clients(self, clients: int) -> None:
        """Clients that nobody waits for."""
        self.lab.scenes.pile_up(clients)

    def do_old_clients(self, clients: int) -> None:
        """Clients that wait without a limit, all of them."""
        self.lab.scenes.pile_up_old(clients)
        waiting = self.lab.guest(
            f"until [ $(pidof ipmitool | wc -w) -ge {clients} ]; do sleep 0.2; done", timeout=WAIT_SECONDS
        )
        assert waiting.rc == 0, waiting

    def do_poll(self, _: bool) -> None:
        """Honest monitoring, once a second."""
        poll(self.lab)

    def do_guest(self, command: str) -> None:
        """A command in the guest."""
        ran = self.lab.guest(command)
        assert ran.rc == 0, ran

    def do_guest_long(self, command: str) -> None:
        """One that a dead BMC holds up for minutes."""
        ran = self.lab.guest(command, timeout=WAIT_SECONDS)
        assert ran.rc == 0, ran

    def do_lab(self, name: str) -> None:
        """What `lab.Lab` can do with the whole machine."""
        getattr(self.lab, name)()

    def do_scene(self, name: str) -> None:
        """A function of scenes.py."""
        getattr(scenes, name)(self)

    def do_chat(self, changes: Mapping[str, Any]) -> None:
        """How chat behaves from now on."""
        for name, value in changes.items():
            setattr(self.chat, name, value)

    # ---- how the product is set up

    def do_settings(self, changes: dict[str, Any]) -> None:
        """Settings by their name."""
        self.healer.settings(**changes)

    def do_config(self, changes: dict[str, Any]) -> None:
        """Anything of the configuration."""
        merge(self.healer.config, changes)

    def do_host(self, changes: dict[str, Any]) -> None:
        """The host's part of the configuration."""
        merge(self.healer.host, changes)

    # ---- what is done

    def do_heal(self, arguments: list[str] | None) -> None:
        """A heal to its end."""
        self.ended = self.healer.heal(*(arguments or []))

    def do_run(self, arguments: list[str]) -> None:
        """Another command of the product, which must succeed."""
        ended = self.healer.run(*arguments)
        assert ended.status == 0, ended

    def do_trigger(self, name: str) -> None:
        """What a sensor would say."""
        payload = {"kipmi.high_cpu": kipmi_high_cpu, "bmc.recovered": bmc_recovered}[name]
        self.ended = self.healer.trigger(name, **payload())

    def do_start(self, arguments: list[str] | None) -> None:
        """A heal that goes on beside the story."""
        self.child = self.healer.start("heal", HOST, *(arguments or []))

    def do_until(self, words: str) -> None:
        """Wait for a line of it."""
        assert self.child is not None
        self.child.until(lambda line: words in line, WAIT_SECONDS, words)

    def do_finish(self, _: bool) -> None:
        """Wait for its end."""
        assert self.child is not None
        status = self.child.finish()
        self.ended = Ended(status, self.healer.incidents()[0], "")

    def do_dies(self, when: str) -> None:
        """`before`, `during` or `after`, and a rung: the heal is killed, with all its processes."""
        assert self.child is not None
        deaths.await_moment(self.child, self.folder / "state", *when.split())
        deaths.kill_all(self.child)

    def do_stops(self, when: str) -> None:
        """The same, but it is suspended, and may go on later."""
        assert self.child is not None
        deaths.await_moment(self.child, self.folder / "state", *when.split())
        self.suspended = deaths.stop_all(self.child)

    def do_goes_on(self, _: bool) -> None:
        """What was suspended goes on, and comes to its end."""
        assert self.child is not None
        deaths.go_on(self.suspended)
        self.child.finish()

    def do_stays_locked(self, because: str) -> None:
        """The product is started again, and may not free the lock of what has died."""
        deaths.stays_locked(self.healer, because)

    def do_machine(self, what: str) -> None:
        """`boots`: what runs the product was off and on again."""
        assert what == "boots"
        deaths.boot(self.folder / "state")

    def do_tidied(self, outcome: str) -> None:
        """The product is started again and ends what has died, its lock is free in time."""
        check(deaths.tidied(self.healer), outcome, "", ("ended without a result",))

    def do_serve(self, _: bool) -> None:
        """`bmc-healer run`."""
        self.child = self.healer.serve()

    def do_healed_by_service(self, _: bool) -> None:
        """Wait for the end of the heal that the service begins."""
        assert self.child is not None
        self.ended = Ended(0, self.child.heal_ended(), "")

    def do_close(self, _: bool) -> None:
        """End the service."""
        assert self.child is not None
        self.child.close()

    def do_learnt(self, what: str) -> None:
        """Until the service has remembered it of the host."""
        deaths.until(
            lambda: any(what in key for key in deaths.kept(self.folder / "state")), WAIT_SECONDS, what
        )

    def do_deaf(self, _: bool) -> None:
        """Chat was asked and has heard nothing."""
        assert self.chat.asked and not self.chat.heard

    def do_heard(self, messages: int) -> None:
        """What waits is tried again by whoever comes: in the end chat has heard so many messages."""
        deaths.until(lambda: self._told() >= messages, WAIT_SECONDS, f"{messages} messages", pause=3.0)

    def do_chat_hears(self, title: str) -> None:
        """Wait for a message."""
        deaths.until(lambda: any(title in one for one in self.chat.titles), WAIT_SECONDS, title, pause=0.2)

    def _told(self) -> int:
        self.healer.trigger("heal.overdue", **heal_overdue({"id": "none", "execution": ""}))
        return len(set(self.chat.titles))

    # ---- what is waited for, and checked on the way

    def do_wait(self, wanted: Mapping[str, Any]) -> None:
        """Until the BMC's status is so; a number: at least so much."""

        def reached(status: Any) -> bool:
            return all(_enough(getattr(status, name), value) for name, value in wanted.items())

        self.lab.bmc.wait(reached, seconds=WAIT_SECONDS, what=str(wanted))

    def do_answered(self, more: int) -> None:
        """So many more answers to monitoring."""
        answered_on(self.lab, more, seconds=WAIT_SECONDS)

    def do_seconds(self, seconds: float) -> None:
        """Let time pass: only where the time itself is what is tested."""
        time.sleep(seconds)

    def do_expect(self, expected: Mapping[str, str]) -> None:
        """How the heal before ended."""
        assert self.ended is not None
        check(self.ended, expected["outcome"], expected.get("healed_by", ""), (expected.get("says", ""),))


def check(ended: Ended, outcome: str, healed_by: str, says: tuple[str, ...]) -> None:
    """A heal's end against what a row expects."""
    told = str(ended.told.get("outcome") or ""), str(ended.told.get("healed_by") or "")
    assert told == (outcome, healed_by), ended.sentence
    for part in says:
        assert part in ended.sentence


def merge(into: dict[str, Any], changes: Mapping[str, Any]) -> None:
    """Change a document in place, mapping by mapping; None takes a member away."""
    for name, value in changes.items():
        if isinstance(value, dict) and isinstance(into.get(name), dict):
            merge(into[name], value)
        elif value is None:
            into.pop(name, None)
        else:
            into[name] = value


def _enough(is_now: Any, wanted: Any) -> bool:
    if isinstance(wanted, bool) or not isinstance(wanted, int):
        return bool(is_now == wanted)
    return bool((len(is_now) if isinstance(is_now, tuple) else is_now) >= wanted)
