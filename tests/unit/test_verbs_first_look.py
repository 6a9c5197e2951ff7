"""begin_heal's first look at the host, while it waits out its settle time."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from bmc_healer.errors import HostAccessError
from bmc_healer.host.access import Result
from bmc_healer.verbs.begin_heal import begin_heal
from tests.unit.verbs import config, first_looks_ended, host, locks, runtime


class LeasedHost:
    """A host that answers every script with these words of lease.sh: a mock, since /run is shared."""

    name = "db01"

    def __init__(self, said: str) -> None:
        self.said = said
        self.verbs: list[str] = []

    def run(self, argv, *, limit, stdin="", mark=None, root=True, most=65536):
        self.verbs.append(argv[4])
        return Result(0, self.said, "", 0.0)


@pytest.fixture
def settled():
    """A runtime whose settle time lasts until the first look has ended."""
    rt = runtime(config({"db01": host()}))

    rt.state._sleep = lambda seconds: first_looks_ended()
    return rt


def reached(rt, there):
    @contextmanager
    def access(host):
        if isinstance(there, Exception):
            raise there
        yield there

    rt.access = access
    return begin_heal(rt, {"host": "db01", "execution": "e1"})


def test_a_foreign_lease_refuses_before_the_diagnosis(settled):
    there = LeasedHost("held\nst2 at mgmt2\ndb01-1\n4\n100\noob\n")
    answer = reached(settled, there)
    assert (answer["outcome"], answer["rule"], answer["incident"]) == ("refused", "lease", "")
    assert answer["sentence"].startswith("st2 at mgmt2 holds the host for db01-1, last deed: oob.")
    assert there.verbs == ["look"] and locks(settled) == ()


@pytest.mark.parametrize("said", ["gone\n\n\n0\n0\n\n", "kept\nus\ndb01-1\n4\n100\n\n", "", "rubbish"])
def test_no_foreign_lease_no_refusal(settled, said):
    assert reached(settled, LeasedHost(said))["next"] == "diagnose"


def test_a_host_that_cannot_be_reached_is_left_to_the_diagnosis(settled):
    error = HostAccessError("no route", "db01", "look at the network")
    assert reached(settled, error)["next"] == "diagnose"


def test_a_refused_heal_does_not_look(settled):
    there = LeasedHost("held\n")
    settled.state.pause("fleet", until=None, by="anna", reason="works")
    assert reached(settled, there)["outcome"] == "refused"
    assert there.verbs == []
