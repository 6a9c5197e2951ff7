"""Redfish over real HTTP, against a mock."""

import contextlib
import json
import ssl
import subprocess
import time

import pytest
from redfish_mock import BMC1, HEALTHY, LOGIN, RESET, ROOT, serving

from bmc_healer.bmc import redfish
from bmc_healer.bmc.facts import Login
from bmc_healer.config.secrets import BmcLogin
from bmc_healer.config.settings import RedfishSettings
from bmc_healer.errors import BmcError, BmcLoginError

LIMIT = 20.0


def posts(server):
    return [(path, json.loads(body)) for method, path, body in server.seen if method == "POST"]


def test_a_look():
    with serving() as (_, settings):
        facts = redfish.look(settings, LOGIN, limit=LIMIT)
    assert (facts.alive, facts.login, facts.error) == (True, Login.OK, "")
    assert (facts.guid, facts.firmware, facts.power_on) == (
        "4c4c454400423510" + "8052b3c04f4b4e32",
        "2.41",
        True,
    )


@pytest.mark.parametrize(
    ("status", "available"),
    [
        ({"Status": {"State": "Enabled"}}, True),
        ({"Status": {"State": "Updating"}}, False),
        ({"Status": {"State": "Starting"}}, False),
        ({"Status": {"State": "Vacation"}}, None),
        ({"Status": {}}, None),
        ({}, None),
    ],
)
def test_whether_the_bmc_is_under_update_is_the_state_of_its_manager(status, available):
    manager = {key: value for key, value in HEALTHY[BMC1].items() if key != "Status"} | status
    with serving(answers={BMC1: manager}) as (_, settings):
        assert redfish.look(settings, LOGIN, limit=LIMIT).device_available is available


def test_the_reset_is_sent_once_and_only_after_the_permission():
    with serving() as (server, settings):
        seen = []
        answer = redfish.manager_reset(
            settings, LOGIN, limit=LIMIT, may_send=lambda: seen.extend(server.seen)
        )
        assert (answer.sent, answer.completion_code, answer.via, answer.error) == (True, 0, "redfish", "")
        assert seen
        assert not [entry for entry in seen if entry[0] == "POST"]
        assert posts(server) == [(RESET, {"ResetType": "ForceRestart"})]


def test_what_stops_the_deed_stops_it():
    def no():
        raise RuntimeError("not now")

    with serving() as (server, settings):
        with pytest.raises(RuntimeError, match="not now"):
            redfish.manager_reset(settings, LOGIN, limit=LIMIT, may_send=no)
        assert posts(server) == []


def test_a_wrong_login_is_one_request():
    wrong = BmcLogin(b"admin", b"Tr0ub4dor")
    with serving() as (server, settings):
        answer = redfish.manager_reset(settings, wrong, limit=LIMIT, may_send=pytest.fail)
        assert (answer.sent, answer.completion_code, answer.login) == (False, None, Login.REFUSED)
        assert len(server.seen) == 1
        assert "Tr0ub4dor" not in answer.error
        with pytest.raises(BmcLoginError):
            redfish.task_running(settings, wrong, limit=LIMIT)
        assert redfish.look(settings, wrong, limit=LIMIT).login is Login.REFUSED
        assert len(server.seen) == 3


@pytest.mark.parametrize(
    ("status", "login"), [(401, Login.REFUSED), (403, Login.PRIVILEGE), (400, Login.OK), (503, Login.OK)]
)
def test_a_refused_reset_is_said(status, login):
    with serving(answers={RESET: status}) as (server, settings):
        answer = redfish.manager_reset(settings, LOGIN, limit=LIMIT, may_send=lambda: None)
        assert (answer.sent, answer.completion_code, answer.login) == (True, status, login)
        assert str(status) in answer.error
        assert len(posts(server)) == 1


def test_a_reset_whose_answer_is_lost_may_have_happened():
    with serving(answers={RESET: lambda handler: handler.connection.close()}) as (server, settings):
        answer = redfish.manager_reset(settings, LOGIN, limit=LIMIT, may_send=lambda: None)
        assert (answer.sent, answer.completion_code) == (True, None)
        assert answer.error
        assert len(posts(server)) == 1


def action(**fields):
    return {**HEALTHY[BMC1], "Actions": {"#Manager.Reset": {"target": RESET, **fields}}}


@pytest.mark.parametrize(
    ("manager", "sent"),
    [
        (action(), "ForceRestart"),
        (action(**{"ResetType@Redfish.AllowableValues": ["GracefulRestart"]}), "GracefulRestart"),
        (action(**{"ResetType@Redfish.AllowableValues": ["ResetToDefaults"]}), None),
        (action(target="http://127.0.0.2/elsewhere"), None),
        (action(target="//127.0.0.2/elsewhere"), None),
        ({}, None),
        ([], None),
        (b"<html>", None),
        (500, None),
    ],
)
def test_which_reset_is_sent(manager, sent):
    with serving(answers={BMC1: manager}) as (server, settings):
        answer = redfish.manager_reset(settings, LOGIN, limit=LIMIT, may_send=lambda: None)
        assert posts(server) == ([(RESET, {"ResetType": sent})] if sent else [])
        assert bool(answer.error) is (sent is None)


def test_which_of_two_managers_must_be_said():
    both = {"Members": [{"@odata.id": f"{ROOT}/Managers/CMC"}, {"@odata.id": BMC1}]}
    with serving(answers={f"{ROOT}/Managers": both}) as (_, settings):
        assert "CMC, BMC1" in redfish.look(settings, LOGIN, limit=LIMIT).error
    with serving(answers={f"{ROOT}/Managers": both}, manager="BMC1") as (_, settings):
        assert redfish.look(settings, LOGIN, limit=LIMIT).firmware == "2.41"


def test_the_credential_follows_no_redirect():
    with (
        serving() as (other, _),
        serving(answers={f"{ROOT}/Managers": 302}, elsewhere=other.url) as (_, settings),
    ):
        assert redfish.look(settings, LOGIN, limit=LIMIT).error
        assert other.seen == []


@pytest.mark.parametrize(
    ("states", "running"),
    [
        ([], False),
        (["Completed", "Killed"], False),
        (["Completed", "Running"], True),
        (["New"], True),
        ([None], True),
    ],
)
def test_tasks(states, running):
    paths = [f"{ROOT}/TaskService/Tasks/{number}" for number in range(len(states))]
    tasks = dict(zip(paths, ({"TaskState": state} for state in states), strict=True))
    members = {f"{ROOT}/TaskService/Tasks": {"Members": [{"@odata.id": path} for path in paths]}}
    with serving(answers=members | tasks) as (_, settings):
        assert redfish.task_running(settings, LOGIN, limit=LIMIT) is running


def test_no_task_service_is_no_task_but_a_broken_one_is_unknown():
    with serving(answers={f"{ROOT}/TaskService/Tasks": 404}) as (_, settings):
        assert redfish.task_running(settings, LOGIN, limit=LIMIT) is False
    with serving(answers={f"{ROOT}/TaskService/Tasks": 500}) as (_, settings), pytest.raises(BmcError):
        redfish.task_running(settings, LOGIN, limit=LIMIT)


def drip(handler):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    with contextlib.suppress(OSError):
        while True:
            handler.wfile.write(b" ")
            time.sleep(0.1)


def test_a_bmc_that_drips_its_answer_is_left_at_the_limit():
    with serving(answers={f"{ROOT}/Managers": drip}) as (_, settings):
        started = time.monotonic()
        facts = redfish.look(settings, LOGIN, limit=2)
        assert time.monotonic() - started < 5
        assert not facts.alive
        assert "within 2 s" in facts.error


def test_nobody_there():
    settings = RedfishSettings(url="http://127.0.0.1:9")
    assert not redfish.look(settings, LOGIN, limit=LIMIT).alive
    assert not redfish.manager_reset(settings, LOGIN, limit=LIMIT, may_send=pytest.fail).sent


@contextlib.contextmanager
def with_a_certificate_of_its_own(folder):
    """The same service behind TLS, as a BMC has it from the factory: nobody has signed its certificate."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run([*make, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with serving() as (server, _):
        server.socket = context.wrap_socket(server.socket, server_side=True)
        yield server, f"https://127.0.0.1:{server.server_port}", certificate


def test_a_certificate_that_nobody_signed_is_refused_by_default_and_hears_no_password(tmp_path):
    with with_a_certificate_of_its_own(tmp_path) as (server, url, certificate):
        assert RedfishSettings(url).verify is True
        seen = redfish.look(RedfishSettings(url), LOGIN, limit=LIMIT)
        assert seen.login is Login.FAILED and "certificate" in seen.error.lower()
        assert server.seen == [], "no request, and no password with it, has left"
        named = redfish.look(RedfishSettings(url, verify=str(certificate)), LOGIN, limit=LIMIT)
        assert (named.login, named.firmware) == (Login.OK, "2.41")
