"""Passwords, tokens and keys show up in no process's arguments, no record of StackStorm, no log and no chat.

Two runs are searched: a heal that the sensors start, and heals of hosts where whatever holds a secret fails.
Each secret is a text that nobody else has. Each place that is searched is shown to hold something of the run.
"""

import base64
import json
import statistics
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

from lab import Lab
from tests.guest.chat import Chat
from tests.stackstorm.api import until
from tests.stackstorm.leaks import Processes, Records, Secrets, canary, database, logs
from tests.stackstorm.product import CHAT_KEY, HOST, PACK, PASSWORD_KEY, Product
from tests.stackstorm.troubles import SAID, Troubles, killing_sessions
from tests.stackstorm.web import Web, idle_redfish

NOTICED_SECONDS = 180.0
HEALED_SECONDS = 400.0
LOOK_SECONDS = 0.1  # a python process lives longer before its first line runs
CLIENT, OLD_CLIENT, ENVIRONMENT = "client's password", "old client's password", "password in an environment"
# Other people's clients in the guest. Today's ipmitool blots out what follows -P, and nothing else.
OTHERS = """
lan='ipmitool -I lanplus -C 3 -H 10.0.2.2 -N 100 -R 9 -U root'
setsid $lan -P x user set password 2 {client} > /dev/null 2>&1 < /dev/null &
IPMI_PASSWORD={environment} setsid $lan -E mc info > /dev/null 2>&1 < /dev/null &
setsid /usr/lib/lab/ipmitool -P {old_client} sensor > /dev/null 2>&1 < /dev/null &
"""
EVERY_ARGV = "while :; do cat /proc/[0-9]*/cmdline | tr '\\0' ' '; sleep 0.2; done > /tmp/argv 2> /dev/null"


@dataclass
class Run:
    """What happened, and the secrets that were in play.

    known: the incidents' ids; outputs: of the heals, by host; keys, chat, host: what stood where
    """

    secrets: Secrets
    records: Records
    processes: Processes = field(default_factory=Processes)
    known: list = field(default_factory=list)
    outputs: dict = field(default_factory=dict)
    incidents: list = field(default_factory=list)
    keys: list = field(default_factory=list)
    chat: list = field(default_factory=list)
    host: list = field(default_factory=list)

    def ended(self, output):
        self.outputs[output["host"]] = output
        self.known.append(output["incident"])

    def assert_clean(self, places):
        found = list(places)
        text = b"\n".join(data for _, data in found)
        missed = [known for known in self.known if known.encode() not in text]
        assert not missed, f"a search that misses {missed} proves nothing"
        assert self.secrets.within(found) == []


@pytest.fixture(scope="module")
def product(api):
    """One for both runs: what they leave behind is searched."""
    product = Product(api)
    product.sensors(on=False)
    product.forget()
    yield product
    product.sensors(on=False)
    product.free()
    product.forget()


@pytest.fixture(scope="module")
def healed(product, tmp_path_factory):
    """A hung BMC that sensor, rule and engine heal, beside other people's clients."""
    password, token = canary(), canary()
    others = {name: canary() for name in (CLIENT, OLD_CLIENT, ENVIRONMENT)}
    with ExitStack() as stack:
        run_dir = tmp_path_factory.mktemp("guest")
        guest = Lab(driver="stock", name=HOST, password=password, reset_seconds=3, run_dir=run_dir)
        lab = stack.enter_context(guest)
        redfish, chat = stack.enter_context(Web(idle_redfish)), stack.enter_context(Chat())
        chat.url = f"{chat.url}/{token}"
        key = lab.key_file.read_text().split("\n")[-4]  # a full line of base64, of the private part
        secrets = Secrets({"BMC password": password, "chat token": token, "SSH key": key, **others})
        run = Run(secrets, Records(product.api))
        product.guest(lab, chat)
        product.config["hosts"][HOST]["bmc"]["redfish"] = {"url": redfish.url}
        product.configure()
        lab.bmc.hang()
        names = {"client": others[CLIENT], "old_client": others[OLD_CLIENT]}
        lab.guest(OTHERS.format(environment=others[ENVIRONMENT], **names))
        lab.guest(f'setsid sh -c "{EVERY_ARGV}" > /dev/null 2>&1 < /dev/null &')
        with run.processes:
            product.sensors(on=True)
            run.ended(healed_by_the_rule(product))
            for action, parameters in (("status", {}), ("diagnose", {"host": HOST}), ("sweep", {})):
                assert product.api.output(product.api.run(f"{PACK}.{action}", **parameters))["sentence"]
            product.sensors(on=False)
        run.chat = [(f"chat: {title}", body.encode()) for title, body in chat.heard]
        run.host = [("the command lines on the host", lab.guest("cat /tmp/argv").out.encode())]
        run.keys, run.incidents = list(run.records.keys()), product.incidents()
        assert lab.bmc.status().resets == 1
        assert any(basic(lab.user, password) in asked for asked in redfish.asked)
    return run


def healed_by_the_rule(product):
    before = {execution["id"] for execution in product.api.executions(f"{PACK}.heal_request")}

    def started():
        return [e["id"] for e in product.api.executions(f"{PACK}.heal_request") if e["id"] not in before]

    execution = until(started, NOTICED_SECONDS, "the heal that the sensor starts")[-1]
    output = product.api.output(execution, HEALED_SECONDS)
    assert output["outcome"] == "healed", output
    return output


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.fixture(scope="module")
def troubled(product, tmp_path_factory):
    """Heals by force of hosts where whatever holds a secret fails."""
    with ExitStack() as stack:
        troubles = Troubles(product, tmp_path_factory.mktemp("troubles"), stack)
        secret = troubles.secrets
        run = Run(Secrets(secret), Records(product.api))
        with run.processes, killing_sessions("killed") as killed:
            for heal in [product.force(host) for host in troubles.hosts]:
                run.ended(product.api.output(heal, HEALED_SECONDS))
            with troubles.broken_incident():
                run.outputs["status"] = product.api.output(product.api.run(f"{PACK}.status"))
        run.chat = [("chat", json.dumps(message).encode()) for message in troubles.chat.heard]
        run.keys, run.incidents = list(run.records.keys()), product.incidents()
        assert killed
        assert any(basic("admin", secret["password of redfish"]) in a for a in troubles.redfish.asked)
        assert any(secret["token of the refusing chat"] in a for a in troubles.chat.asked)
    return run


@pytest.fixture(params=["healed", "troubled"])
def run(request):
    """Both, one after the other."""
    return request.getfixturevalue(request.param)


def test_a_leak_would_be_found(api, services):
    secret = canary()
    planted, records = Secrets({"planted": secret}), Records(api)
    with Processes() as processes:
        api.ended(api.run("core.local", cmd=f"sleep {LOOK_SECONDS}; echo {secret}"))
    api.key(secret, secret)
    found = [processes.argv(), records.executions(), records.keys(), database(services), logs(services)]
    within = [planted.within(places) for places in found]
    api.forget(secret)
    assert all(within), within


def test_arguments_of_processes(run):
    assert statistics.median(run.processes.gaps) < LOOK_SECONDS
    run.assert_clean(run.processes.argv())


def test_environments_of_processes(run):
    environ = list(run.processes.environ())
    assert any(b"ST2_ACTION_API_URL" in data for _, data in environ), "environments could not be read"
    assert run.secrets.within(environ) == []


def test_executions(run):
    run.assert_clean(run.records.executions())


def test_triggers_and_rules(run):
    run.assert_clean(run.records.triggers())


def test_datastore(run):
    run.assert_clean(run.keys)
    stored = {key["name"]: key for key in (json.loads(data) for _, data in run.keys)}
    assert all(stored[key]["encrypted"] for key in (PASSWORD_KEY, CHAT_KEY) if key in stored)


def test_configuration(run):
    assert run.secrets.within(run.records.config(PACK)) == []


def test_database(run, services):
    run.assert_clean(database(services))


def test_logs(run, services):
    run.assert_clean(logs(services))


def test_chat(run):
    run.assert_clean(run.chat)


def test_command_lines_on_the_host_are_seen_and_other_peoples_passwords_not_kept(healed):
    """What is found of the others in /proc is program and subcommand; of ours, no secret is there."""
    others = {CLIENT, OLD_CLIENT}
    seen = {found.partition(" in ")[0] for found in healed.secrets.within(healed.host)}
    assert seen == others
    clients = healed.incidents[0]["evidence"]["host"]["clients"]
    found = {(client["subcommand"], client["inband"]) for client in clients}
    assert {("user set", False), ("mc info", False), ("sensor", True)} <= found, clients


@pytest.mark.parametrize("host", SAID)
def test_what_failed_is_named(troubled, host):
    output = troubled.outputs[host]
    said = output.get("summary") or output["sentence"]
    assert SAID[host] in said, said
