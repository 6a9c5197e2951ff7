"""Verbs with the library's real parts: only the datastore, the engine and the clock are stand-ins."""

from __future__ import annotations

import threading
import time

from bmc_healer.state.documents import Lock
from bmc_healer.verbs.runtime import Runtime
from tests.unit.clock import Clock
from tests.unit.state.fake_datastore import FakeDatastore

SILENT_PORT = 61623  # nobody answers there


class Engine:
    """The executions API: a mock, because a real one keeps the real time."""

    def __init__(self, clock, skew=0.0):
        self._clock, self._skew = clock, skew
        self.cancelled = []

    def server_time(self):
        return self._clock() - self._skew

    def get(self, execution):
        return None

    def children(self, execution):
        return ()

    def cancel(self, execution):
        self.cancelled.append(execution)

    def busy(self, action):
        return ()


class VerbRuntime(Runtime):
    skew = 0.0

    def _executions(self):
        return Engine(self.clock, self.skew)


class Here(Runtime):
    """The real time; an engine whose clock is right."""

    def _executions(self):
        return Engine(time.time)


def host(number=1, rack=None, port=SILENT_PORT, **changes):
    made = {
        "transport": "local",
        "bmc": {"address": f"127.0.23.{number}", "port": port, "credential": "lab"},
        **changes,
    }
    return {**made, "labels": {"rack": rack}} if rack else made


def config(hosts=None, mode="auto", **guardrails):
    """One host, db01, unless others are given."""
    return {
        "mode": mode,
        "hosts": hosts or {"db01": host(rack="r12")},
        "credentials": {"lab": {"username": "admin", "password": "labpass"}},
        "guardrails": guardrails,
    }


def runtime(settings=None, datastore=None, clock=None):
    clock = clock or Clock()
    return VerbRuntime(
        settings or config(),
        FakeDatastore() if datastore is None else datastore,
        environ={},
        clock=clock,
        steady=clock,
        sleep=clock.sleep,
    )


def first_looks_ended():
    """Wait for the threads that begin_heal leaves behind: they write to the datastore too."""
    for thread in threading.enumerate():
        if thread.name == "first look":
            thread.join(10)


def locks(rt) -> tuple[Lock, ...]:
    return rt.state.fleet().locks
