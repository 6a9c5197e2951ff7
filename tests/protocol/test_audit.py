"""An audit against real ipmi_sims, which count logins and resets."""

from contextlib import ExitStack

import pytest

from bmc_healer.audit import Auto
from bmc_healer.verbs.audit import Audit, choose
from lab import BmcSim
from tests.unit.verbs import config, runtime

WRONG = {"lab": {"username": "admin", "password": "wrong"}}


@pytest.fixture
def sims():
    """Starts as many BMCs as are asked for."""
    with ExitStack() as stack:
        yield lambda count: [stack.enter_context(BmcSim(name=f"audit{n}")) for n in range(count)]


def alone(sim, **bmc):
    """A host of which only the BMC is known."""
    return {
        "transport": "none",
        "bmc": {"address": "127.0.0.1", "port": sim.lan_port, "credential": "lab", **bmc},
    }


def audited(rt):
    return {result.host: result for result in Audit(rt, choose(rt, ()))}


def missing(result):
    return {check.name: check.sentence for check in result.missing}


def test_login_privilege_and_identity(sims):
    good, limited, other, silent = sims(4)
    hosts = {
        "good": alone(good),
        "limited": alone(limited, credential="operator"),
        "other": alone(other),
        "silent": alone(silent, identity="trust"),
    }
    settings = config(hosts)
    settings["credentials"]["operator"] = {"username": "operator", "password": "labpass"}
    rt = runtime(settings)
    for name, guid in (("good", good.guid), ("limited", limited.guid), ("other", good.guid)):
        rt.state.remember(name, bmc_guid=guid)
    silent.bmc.lan_dead()
    found = audited(rt)
    assert missing(found["good"]) == {}
    assert (found["good"].auto, found["good"].rungs) == (Auto.BY_HAND, ("oob",))
    assert list(missing(found["limited"])) == ["login"]
    assert "operator may log in to the BMC, but is no administrator" in missing(found["limited"])["login"]
    assert found["limited"].rungs == ()
    assert list(missing(found["other"])) == ["identity"]
    assert "another machine" in missing(found["other"])["identity"]
    assert list(missing(found["silent"])) == ["bmc"]
    for sim in (good, limited):
        assert sim.bmc.status().logins == 1
    assert all(sim.bmc.status().received == () for sim in (good, limited, other, silent))
    assert rt.state.fleet().bad_logins == ()


def test_a_wrong_password_locks_nobody_out(sims):
    """SAFETY 7: two BMCs refuse it, the others are not asked; nor in the next audit, nor by a heal."""
    fleet = sims(6)
    settings = {**config({f"db{n}": alone(sim) for n, sim in enumerate(fleet)}), "credentials": WRONG}
    rt = runtime(settings)
    for number, sim in enumerate(fleet):
        rt.state.remember(f"db{number}", bmc_guid=sim.guid)

    def logins():
        return sorted(sim.bmc.status().logins for sim in fleet)

    first = audited(rt)
    assert logins() == [0, 0, 0, 0, 1, 1]
    assert rt.state.fleet().stop_of("lab") is not None
    sentences = [missing(result)["login"] for result in first.values()]
    assert sum("wrong password" in sentence for sentence in sentences) == 2
    assert sum("The credential lab is stopped: refused by" in sentence for sentence in sentences) == 4
    assert all("bmc-healer resume credential:lab" in sentence for sentence in sentences)
    # Whose BMC it is can be told without a login.
    assert all(list(missing(result)) == ["login"] for result in first.values())

    assert all("is stopped" in missing(result)["login"] for result in audited(rt).values())
    assert logins() == [0, 0, 0, 0, 1, 1]

    rt.state.allow_credential("lab")
    mended = runtime(config({f"db{n}": alone(sim) for n, sim in enumerate(fleet)}), rt.datastore)
    assert not any(result.missing for result in audited(mended).values())
    assert logins() == [1, 1, 1, 1, 2, 2]


def test_a_password_that_cannot_be_read_costs_no_login(sims, tmp_path):
    (sim,) = sims(1)
    (tmp_path / "password").write_text("labpass")
    (tmp_path / "password").chmod(0o644)
    settings = config({"db0": alone(sim, identity="trust")})
    settings["credentials"] = {"lab": {"username": "admin", "password_file": str(tmp_path / "password")}}
    (result,) = audited(runtime(settings)).values()
    assert "its mode is 0644" in missing(result)["login"]
    assert sim.bmc.status().logins == 0


def test_a_host_on_this_machine(sims):
    (sim,) = sims(1)
    rt = runtime(config({"db0": {**alone(sim), "transport": "local"}}))
    rt.state.remember("db0", bmc_guid=sim.guid)
    (result,) = audited(rt).values()
    states = {check.name: check.state.value for check in result.checks}
    assert (states["ssh"], states["bmc"], states["login"], states["identity"]) == ("none", *["good"] * 3)
