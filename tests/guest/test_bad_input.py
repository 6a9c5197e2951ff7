"""Bad input on a real host: an outcome and a sentence for each, and no reset that should not be."""

import subprocess
import time

import pytest

from tests.guest.healer import HOST, Healer
from tests.guest.outside import assert_left_clean, assert_quiet, assert_well, channels, hang
from tests.guest.payload import heal_overdue


def test_a_wrong_bmc_password_costs_one_login_and_no_reset(stock, healer):
    healer.config["credentials"]["lab"]["password"] = "wrong"
    hang(stock)
    ended = healer.heal()
    assert stock.bmc.status().logins == 1
    assert ended.ending == (4, "escalated", ""), ended.sentence
    assert_quiet(stock)  # relief all the same
    assert "refused the login" in healer.report(ended.told["incident"])["left_out"]["oob"]
    healer.run("resume", HOST)
    again = healer.heal()
    assert again.ending == (4, "escalated", ""), again.sentence
    assert stock.bmc.status().logins == 1
    assert channels(stock) == []
    assert_left_clean(stock)


def test_a_host_that_refuses_ssh_is_not_touched(stock, healer):
    hang(stock)
    stock.scenes.stop_ssh()
    ended = healer.heal()
    assert ended.ending == (3, "refused", ""), ended.sentence
    assert "SSH failed" in ended.sentence and f"root@127.0.0.1:{stock.ssh_port}" in ended.sentence
    assert channels(stock) == []


def test_another_host_key_than_the_known_one_is_named_and_not_accepted(stock, healer, tmp_path):
    # With an empty known_hosts asyncssh takes RSA, which this dropbear offers without having such a key.
    subprocess.run(["ssh-keygen", "-qt", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
    known = f"[127.0.0.1]:{stock.ssh_port} {(tmp_path / 'other.pub').read_text()}"
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_text(known)
    healer.host["ssh"]["known_hosts"] = str(known_hosts)
    hang(stock)
    ended = healer.heal()
    assert ended.ending == (3, "refused", ""), ended.sentence
    assert "SHA256:" in ended.sentence and "ssh-keyscan" in ended.sentence
    assert known_hosts.read_text() == known
    assert channels(stock) == []


def test_without_sudo_nothing_is_called_healed(stock, healer):
    healer.host["ssh"]["user"] = "ops"
    hang(stock)
    ended = healer.heal()
    assert ended.status in (3, 4), ended.sentence
    assert "sudo" in ended.sentence
    assert channels(stock) == []


def test_without_ipmitool_on_the_host_nothing_is_called_healed(stock, healer):
    stock.bmc.hang()
    stock.scenes.pile_up_old(2)
    stock.bmc.wait(lambda now: now.swallowed > 0, seconds=60)
    stock.guest("mv /usr/bin/ipmitool /usr/bin/not-ipmitool")
    ended = healer.heal()
    assert ended.status == 4, ended.sentence
    assert "ipmitool" in ended.sentence
    assert stock.bmc.status().resets <= 1


def test_a_host_without_ipmi_needs_no_heal(tmp_path, tmp_path_factory):
    from lab import Lab

    with Lab(driver="stock", ipmi=False, name="noipmi", run_dir=tmp_path_factory.mktemp("noipmi")) as lab:
        ended = Healer(lab, tmp_path).heal()
        assert ended.ending == (0, "not_needed", ""), ended.sentence
        assert "no IPMI" in ended.sentence
        assert channels(lab) == []


def test_noise_from_the_bmc_is_no_answer(stock, healer):
    healer.settings(booting_seconds=1)
    stock.bmc.lan_garbage()
    hang(stock)
    healer.run("diagnose", HOST)
    ended = healer.heal()
    assert ended.status == 4, ended.sentence
    assert_quiet(stock)
    assert channels(stock) == []


def test_chat_that_is_down_holds_up_nothing_and_hears_it_later(stock, healer, chat):
    healer.config["notify"] = [{"url": chat.url}]
    chat.status = 503
    hang(stock)
    heal = healer.start("heal", HOST)
    stock.bmc.wait(lambda now: bool(now.received), seconds=120, what="the reset")
    assert chat.heard == []
    chat.status = 200
    assert heal.finish() == 0
    deadline = time.monotonic() + 60  # what waits is tried again after 30 s, by whoever comes then
    while len(chat.heard) < 2 and time.monotonic() < deadline:
        healer.trigger("heal.overdue", **heal_overdue({"id": "none", "execution": ""}))
    assert sorted(chat.titles) == [f"{HOST}: BMC healed", f"{HOST}: healing the BMC"]
    assert_well(stock, resets=1)


@pytest.mark.parametrize("host", ["nobody", "db01; reboot", "", "../labhost", "labhost\nreboot", "-x" * 200])
def test_a_host_that_nobody_has_is_refused(stock, healer, host):
    ended = healer.heal("--", host) if host.startswith("-") else healer.heal(host=host)
    assert ended.status in (2, 3), ended
    assert ended.sentence
    assert "Traceback" not in ended.err
    assert stock.bmc.status().lan_received == 0
