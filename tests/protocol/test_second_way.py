"""A BMC that answers pings, gives no session, and has Redfish: the whole heal, on the command line."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from misbehaving_bmc import MisbehavingBmc
from redfish_mock import BMC1, HEALTHY, LOGIN, RESET, ROOT, serving

from bmc_healer.config.secrets import BmcLogin

NO_SESSION = {"open": 0x01}  # RMCP+ Open Session: insufficient resources
COMMAND = Path(sys.executable).with_name("bmc-healer")
TASKS = {
    f"{ROOT}/TaskService/Tasks": {"Members": [{"@odata.id": f"{ROOT}/TaskService/Tasks/1"}]},
    f"{ROOT}/TaskService/Tasks/1": {"TaskState": "Running"},
}
UPDATING = {BMC1: {**HEALTHY[BMC1], "Status": {"State": "Updating"}}}
MUTE = {BMC1: {key: value for key, value in HEALTHY[BMC1].items() if key != "Status"}}


def configure(folder, port, url, login=LOGIN):
    secret, path = folder / "password", folder / "bmc_healer.yaml"
    bmc = {
        "address": "127.0.0.1",
        "port": port,
        "credential": "lab",
        "identity": "trust",
        "redfish": {"url": url},
    }
    config = {
        "mode": "auto",
        "credentials": {"lab": {"username": login.username.decode(), "password_file": str(secret)}},
        "hosts": {"web": {"transport": "none", "bmc": bmc}},
        "guardrails": {"settle_seconds": 0.2},
        "ladder": {"session_limit": 20, "dark_wait": 1, "back_wait": 5, "steady_interval": 0.2},
    }
    for file, text in ((secret, login.password.decode()), (path, json.dumps(config))):
        file.write_text(text)
        file.chmod(0o600)
    return path


@pytest.mark.parametrize(
    ("answers", "sent", "said"),
    [
        ({}, 1, ""),
        (UPDATING, 0, "not available"),
        (MUTE, 0, "could not be asked"),
        (TASKS, 0, "A Redfish task of the BMC is not finished"),
    ],
    ids=["well", "updating", "mute", "task"],
)
def test_the_reset_goes_through_redfish_unless_the_bmc_is_under_update(tmp_path, answers, sent, said):
    with MisbehavingBmc(status=NO_SESSION) as lan, serving(answers=answers) as (web, _):
        config = configure(tmp_path, lan.port, web.url)
        command = [COMMAND, "--config", config, "--state-dir", tmp_path / "state", "heal", "web", "--force"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert [path for method, path, _ in web.seen if method == "POST"] == [RESET] * sent
    assert said in done.stdout


def test_a_login_that_redfish_alone_refuses_is_tried_once(tmp_path):
    """The BMC has other accounts for Redfish; lanplus lets us in, so that every heal would ask there."""
    login = BmcLogin(b"admin", b"secret")
    with MisbehavingBmc() as lan, serving() as (web, _):
        config = configure(tmp_path, lan.port, web.url, login)
        command = [COMMAND, "--config", config, "--state-dir", tmp_path / "state", "heal", "web", "--force"]
        first, second = (
            subprocess.run(command, capture_output=True, text=True, timeout=120, check=False).stdout
            for _ in range(2)
        )
    assert "Redfish refuses the login" in first
    assert "The BMC refused the login; it is not tried again" in second
    assert len(web.seen) == 1
    assert lan.received["6/2"] == 0
