"""What a host lacks before `auto`, and what the ladder could do for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bmc_healer.audit import BMC_CHECKS, HOST_CHECKS, Auto, Seen, State, judge
from bmc_healer.bmc.facts import Login
from bmc_healer.bmc.identity import Identity
from bmc_healer.config.settings import BmcSettings, Config, HostSettings, Mode
from bmc_healer.errors import ConfigError, HostAccessError, HostKeyError, HostLoginError
from bmc_healer.host.facts import Dmi, Holder, Module
from bmc_healer.state.refs import HostMemory
from tests.unit.made import DEAD_BMC, NOW, bmc, client, host, no_device

CONFIG = Config(Mode.PROPOSE)
DB01 = HostSettings("db01", "10.0.0.5", "ssh", bmc=BmcSettings("10.1.0.5", credential="dell"))
PROVEN = Identity(True, "guid", "10.1.0.5: the BMC's GUID is the host's SMBIOS UUID.")
UNPROVEN = Identity(
    False, "", "10.1.0.5: this may be the BMC of another machine: its GUID is not the host's."
)
WELL = Seen(DB01, NOW, HostMemory("db01"), host(()), bmc=bmc(), identity=PROVEN)
NOT_ROOT = HostAccessError(
    "root is needed and sudo refuses: a password is required", "db01", "log in as root"
)


def audit(**changes):
    return judge(replace(WELL, **changes), CONFIG)


def states(result):
    return {check.name: check.state.value for check in result.checks}


def missing(result):
    return {check.name: check.sentence for check in result.missing}


def test_a_host_that_has_everything():
    result = audit()
    assert states(result) == dict.fromkeys((*HOST_CHECKS, *BMC_CHECKS), "good")
    assert (result.auto, result.rungs, result.left_out, result.notes) == (
        Auto.YES,
        ("inband", "unload", "oob"),
        {},
        (),
    )
    assert result.sentence == "It would be healed by inband, unload, throttle, oob, load."


@pytest.mark.parametrize(
    ("error", "ssh", "key"),
    [
        (HostAccessError("SSH gave no login within 10 s", "db01", "is the host up?"), "missing", "unseen"),
        (HostLoginError("SSH refused the login", "db01", "put the key there"), "missing", "good"),
        (HostKeyError("known_hosts does not hold its key SHA256:x", "db01", "compare"), "unseen", "missing"),
    ],
)
def test_no_way_in(error, ssh, key):
    result = audit(facts=None, host_error=error, identity=UNPROVEN)
    found = states(result)
    assert (found["ssh"], found["host_key"]) == (ssh, key)
    assert [found[name] for name in ("sudo", "ipmitool", "driver", "identity")] == ["unseen"] * 4
    assert (found["bmc"], found["login"]) == ("good", "good")
    (sentence,) = missing(result).values()
    assert sentence.startswith(error.what[:1].upper() + error.what[1:])
    assert sentence.rstrip(".").lower().endswith(error.do)
    assert (result.auto, result.rungs) == (Auto.NO, ())
    assert "No in-band hang was proven in the last 30 minutes" in result.sentence


NO_DEVINTF = {"ipmi_si": Module("ipmi_si", 0, (), "Live")}


@pytest.mark.parametrize(
    ("facts", "check", "says", "auto", "rungs"),
    [
        (
            host((), ipmitool=False),
            "ipmitool",
            "Install the package ipmitool",
            Auto.PARTLY,
            ("unload", "oob"),
        ),
        (no_device(), "driver", "`modprobe -a ipmi_si ipmi_devintf`", Auto.PARTLY, ("unload", "oob")),
        (no_device(had_bmc=False), "driver", "shows no IPMI interface", Auto.PARTLY, ("unload", "oob")),
        (no_device(modules=NO_DEVINTF), "driver", "`modprobe ipmi_devintf`", Auto.PARTLY, ("unload", "oob")),
        (host((), devices=()), "driver", "gave up on it", Auto.PARTLY, ("unload", "oob")),
    ],
)
def test_something_is_missing_on_the_host(facts, check, says, auto, rungs):
    result = audit(facts=facts)
    assert list(missing(result)) == [check]
    assert says in missing(result)[check]
    assert (result.auto, result.rungs) == (auto, rungs)
    assert "inband" in result.left_out
    assert "the last gate would not let it pass" in result.sentence


def test_without_root():
    facts = host((), privileged=False)
    result = audit(facts=facts, root_error=NOT_ROOT, identity=UNPROVEN)
    assert missing(result) == {
        "sudo": "Root is needed and sudo refuses: a password is required. Log in as root."
    }
    assert states(result)["identity"] == "unseen"  # the SMBIOS UUID is root's to read
    assert result.auto is Auto.NO
    trusted = audit(facts=facts, root_error=NOT_ROOT)
    assert (trusted.auto, trusted.rungs) == (Auto.PARTLY, ("oob",))
    assert trusted.left_out["unload"] == "Neither root nor sudo -n on the host."


@pytest.mark.parametrize(
    ("login", "error", "says"),
    [
        (
            Login.REFUSED,
            "10.1.0.5:623: the BMC refuses the login: wrong password (RAKP 2, status 0x0f). correct it.",
            "The BMC refuses the login: wrong password (RAKP 2, status 0x0f). Correct the credential, then "
            "run `bmc-healer resume credential:dell`.",
        ),
        (
            Login.REFUSED,
            "the credential dell is stopped: refused by 10.1.0.6:623, 10.1.0.7:623",
            "The credential dell is stopped: refused by 10.1.0.6:623, 10.1.0.7:623. Correct the credential, "
            "then run `bmc-healer resume credential:dell`.",
        ),
        (Login.PRIVILEGE, "10.1.0.5:623: not as administrator.", "is no administrator there. Give that user"),
        (Login.FAILED, "10.1.0.5:623: the BMC has no free session.", "The BMC has no free session. Look at"),
    ],
)
def test_a_login_that_does_not_do(login, error, says):
    facts = bmc(login=login, error=error, device_available=None, watchdog_running=None)
    result = audit(bmc=facts)
    assert list(missing(result)) == ["login"]
    assert says in missing(result)["login"]
    assert (result.auto, result.rungs) == (Auto.PARTLY, ())
    assert {"inband", "unload", "oob"} == result.left_out.keys()
    assert "that ends no proven hang" in result.sentence


def test_a_password_that_cannot_be_read():
    error = ConfigError("the file is empty", "credentials.dell.password_file (/x)")
    result = audit(bmc=bmc(login=Login.UNTRIED), bmc_error=error)
    assert missing(result) == {"login": "Credentials.dell.password_file (/x): the file is empty."}


def test_a_silent_bmc():
    result = audit(bmc=DEAD_BMC, identity=UNPROVEN)
    assert list(missing(result)) == ["bmc"]
    assert (states(result)["login"], states(result)["identity"]) == ("unseen", "unseen")
    assert result.auto is Auto.PARTLY
    assert result.left_out["oob"] == "The BMC's LAN side is silent."


def test_a_bmc_whose_name_is_nobody_s():
    error = ConfigError("the BMC's name cannot be resolved", "bmc01", "correct bmc.address")
    result = audit(bmc=None, bmc_error=error, identity=UNPROVEN)
    assert missing(result) == {"bmc": "The BMC's name cannot be resolved. Correct bmc.address."}


def test_no_bmc_is_configured():
    result = audit(host=replace(DB01, bmc=None), bmc=None, identity=UNPROVEN)
    assert "No BMC is configured" in missing(result)["bmc"]
    assert result.auto is Auto.PARTLY


def test_another_machines_bmc():
    result = audit(identity=UNPROVEN)
    assert missing(result) == {
        "identity": "This may be the BMC of another machine: its GUID is not the host's. Correct "
        "bmc.address, or set bmc.identity: trust when you know that it is right."
    }
    assert (result.auto, result.rungs) == (Auto.NO, ())


def test_an_identity_is_not_called_wrong_before_everything_was_looked_at():
    refused = bmc(login=Login.REFUSED, error="refused", guid=None)
    assert states(audit(bmc=refused, identity=UNPROVEN))["identity"] == "unseen"
    told = replace(refused, guid="00")
    assert states(audit(bmc=told, identity=UNPROVEN))["identity"] == "missing"
    with_serial = host((), dmi=Dmi(uuid="1", serial="CZ3012ABCD"))  # the one in the FRU needs a login
    assert states(audit(facts=with_serial, bmc=told, identity=UNPROVEN))["identity"] == "unseen"
    assert states(audit(facts=with_serial, identity=UNPROVEN))["identity"] == "missing"


def test_trust_is_said():
    trusting = replace(DB01, bmc=replace(DB01.bmc, identity="trust"))
    result = audit(host=trusting)
    assert not result.missing
    assert "was not proven but is trusted" in result.notes[0]


def test_a_bmc_alone_is_for_people():
    alone = replace(DB01, transport="none", bmc=replace(DB01.bmc, identity="trust"))
    result = audit(host=alone, facts=None)
    assert [states(result)[name] for name in HOST_CHECKS] == ["none"] * 5
    assert not result.missing
    assert (result.auto, result.rungs) == (Auto.BY_HAND, ("oob",))
    assert "bmc-healer heal db01 --force" in result.sentence
    unproven = audit(host=replace(alone, bmc=DB01.bmc), facts=None, identity=UNPROVEN)
    assert list(missing(unproven)) == ["identity"]
    assert (unproven.auto, unproven.rungs) == (Auto.BY_HAND, ())
    assert "a person could not either" in unproven.sentence


def test_this_machine_needs_no_ssh():
    result = audit(host=replace(DB01, transport="local"))
    assert (states(result)["ssh"], states(result)["host_key"]) == ("none", "none")
    broken = audit(host=replace(DB01, transport="local"), facts=None, host_error=HostAccessError("no /proc"))
    assert missing(broken) == {"ssh": "No /proc."}


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"watchdog_module": True}, "ipmi_watchdog is loaded"),
        ({"holders": (Holder(7, "ipmievd", "/dev/ipmi0"),)}, "ipmievd (pid 7) holds /dev/ipmi0"),
    ],
)
def test_a_rung_that_is_left_out_is_no_fault(facts, why):
    result = audit(facts=host((), **facts))
    assert not result.missing
    assert (result.auto, result.rungs) == (Auto.YES, ("oob",))
    assert why in result.left_out["unload"]
    assert "the reset would stay queued" in result.left_out["inband"]  # KERNELS: 6.1 sends it later


def test_clients_that_hang_now_are_no_fault_of_the_host():
    result = audit(facts=host((), clients=(client(state="D"),)))
    assert (result.auto, result.missing) == (Auto.YES, ())


def test_when_every_check_is_good_and_the_ladder_would_still_not_do():
    result = audit(bmc=bmc(device_available=None))
    assert list(missing(result)) == ["ladder"]
    assert "could not be asked (Get Device ID)" in missing(result)["ladder"]


def test_a_firmware_update_and_a_pause_are_said():
    result = audit(bmc=bmc(device_available=False), held="For now `auto` is refused here: paused.")
    assert result.notes[0] == "For now `auto` is refused here: paused."
    assert "being updated" in result.notes[1]
    assert State.MISSING in {check.state for check in result.checks}
