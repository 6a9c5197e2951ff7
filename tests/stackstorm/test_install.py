"""What `st2 pack install` leaves: everything registered, a virtualenv that works, a schema that refuses."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.stackstorm.api import ApiError, until
from tests.stackstorm.product import PACK
from tests.stackstorm.watching import Watching

ROOT = Path(__file__).parents[2]
INSTALL_SECONDS = 600.0  # pip fetches the requirements
BAD = re.compile(r"\s(WARNING|ERROR|CRITICAL)\s|^Traceback|^[\w.]+(Error|Exception|Warning)\b")


def metadata(folder: str) -> list[dict]:
    """All YAML files of a folder of this work tree."""
    found = [yaml.safe_load(file.read_text()) for file in sorted((ROOT / folder).glob("*.yaml"))]
    assert found
    return found


def names(documents) -> set[str]:
    return {document["name"] for document in documents}


@pytest.mark.parametrize("folder", ["actions", "rules", "actionalias", "policies"])
def test_everything_is_registered_as_it_stands_here(api, folder):
    here = metadata("aliases" if folder == "actionalias" else folder)
    there = [one for one in api.call("GET", f"/{folder}", limit=100) if one["pack"] == PACK]
    assert names(there) == names(here)
    for one in there:
        assert one["enabled"], one["ref"]
        mine = next(document for document in here if document["name"] == one["name"])
        assert one["description"] == mine["description"]
        assert set(one.get("parameters", {})) >= set(mine.get("parameters", {}))


def test_sensors_and_their_trigger_types_are_registered(api):
    here = metadata("sensors")
    there = api.call("GET", "/sensortypes", pack=PACK)
    assert {one["name"] for one in there} == {one["class_name"] for one in here}
    types = api.call("GET", "/triggertypes", pack=PACK)
    declared = {kind["name"]: kind["payload_schema"] for one in here for kind in one["trigger_types"]}
    assert {kind["name"]: kind["payload_schema"] for kind in types} == declared


def test_the_version_is_that_of_this_work_tree(api):
    here = yaml.safe_load((ROOT / "pack.yaml").read_text())
    assert api.call("GET", f"/packs/{PACK}")["version"] == here["version"]


# What each action says when nobody is ill and no heal runs: it has read its configuration and the datastore.
# An exception on the way there, such as a missing library, would be "failed inside" or no sentence at all.
HARMLESS = {
    "begin_heal": {"host": "nobody"},
    "diagnose": {"host": "nobody"},
    "end_heal": {"host": "labhost", "incident": "none"},
    "notify": {"occasion": "end", "host": "labhost", "text": "a trial"},
    "pause": {"target": "labhost", "minutes": 1},
    "resume": {"target": "labhost"},
    "status": {},
    "sweep": {},
    "tidy": {"host": "labhost"},
    "verify": {"host": "labhost", "incident": "none", "gate": "gate_health"},
}
STEPS = {"host": "labhost", "incident": "none"}


def python_actions() -> list[str]:
    return [one["name"] for one in metadata("actions") if one["runner_type"] == "python-script"]


def test_every_action_works_in_the_virtualenv_that_the_installation_has_built(product, sim):
    product.bmc_alone(sim)
    for name in python_actions():
        execution = product.api.run(f"{PACK}.{name}", **HARMLESS.get(name, STEPS))
        result = product.api.output(execution)
        assert result.get("sentence"), (name, product.api.execution(execution).get("result"))
        assert "failed inside" not in result["sentence"], (name, result)


def test_an_installation_from_a_clone_warns_of_nothing(product, sim, services, tmp_path):
    """The services' logs from the first step to the sensors' first looks."""
    services.start()
    product.bmc_alone(sim)
    product.sensors(on=True)
    watching = Watching(services["st2sensorcontainer"])
    before = watching.ready()
    clone = tmp_path / PACK
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(clone)], check=True)
    subprocess.run(["git", "-C", str(clone), "checkout", "--quiet", "-B", "main"], check=True)
    sizes = {log: log.stat().st_size for log in services.logs.glob("st2*.log")}
    body = {"packs": [f"file://{clone}"]}
    execution = product.api.call("POST", "/packs/install", body)["execution_id"]
    ended = product.api.ended(execution, INSTALL_SECONDS)
    assert ended["status"] == "succeeded", ended["result"]
    watching.replaced(before)
    until(product.answered, 60, "the BMC sensor's first answer")
    warned = []
    for log, size in sizes.items():
        with log.open("rb") as file:
            file.seek(size)
            lines = file.read().decode(errors="replace").splitlines()
        warned += [f"{log.name}: {line}" for line in lines if BAD.search(line)]
    # st2stream writes its access log as ERROR
    assert [line for line in warned if not line.startswith("st2stream")] == []


def test_the_example_is_a_valid_configuration(product):
    product.config = yaml.safe_load((ROOT / "bmc_healer.yaml.example").read_text())
    product.configure()
    result = product.api.output(product.api.run(f"{PACK}.status"))
    assert "error" not in result, result
    assert product.api.call("GET", f"/configs/{PACK}")["values"] == product.config


GOOD = {"mode": "observe", "hosts": {"db01": {"transport": "local"}}}
WRONG = [
    ({"hosts": {}}, "mode", "required"),
    ({"mode": "perhaps"}, "mode", "'perhaps' is not one of"),
    ({"hosts": {"db01": {"adress": "10.0.0.5"}}}, "hosts.db01", "'adress' was unexpected"),
    ({"hosts": {"db01": {"bmc": {"port": 623}}}}, "hosts.db01.bmc", "'address' is a required property"),
    ({"hosts": {"db01": {"ssh": {"port": 70000}}}}, "hosts.db01.ssh.port", "70000"),
    ({"hosts": {"db_01": {}}}, "hosts", "db_01"),
    ({"watch": {"poll_seconds": "often"}}, "watch.poll_seconds", "'often' is not of type"),
    ({"watch": {"overdue_seconds": 5}}, "watch.overdue_seconds", "5 is less than the minimum of 60"),
    ({"notify": [{"mail": "me"}]}, "notify.0", "'mail' was unexpected"),
]


@pytest.mark.parametrize(("change", "path", "reason"), WRONG)
def test_a_wrong_configuration_is_refused_with_file_path_and_reason(product, change, path, reason):
    product.config = dict(GOOD)
    product.configure()
    product.config = change if path == "mode" else {**GOOD, **change}
    with pytest.raises(ApiError) as refused:
        product.configure()
    assert refused.value.status == 400
    assert f"{PACK}.yaml" in refused.value.text
    assert path in refused.value.text and reason in refused.value.text
    assert product.api.call("GET", f"/configs/{PACK}")["values"] == GOOD  # the old one stays in force


# StackStorm's schema cannot see these; the first action that runs says so, and does nothing.
DELL = {"credentials": {"dell": {"username": "admin", "password_key": "bmc_dell"}}}
SAME = {"bmc": {"address": "10.1.0.5", "credential": "dell"}}
UNSEEN = [
    ({"moed": "auto"}, "the pack's configuration", "unknown key 'moed', did you mean 'mode'?"),
    ({"hosts": {"db01": SAME}}, "hosts.db01.bmc.credential", "not defined"),
    ({**DELL, "hosts": {"db01": SAME, "db02": SAME}}, "hosts.db02.bmc.address", "db01"),
    (
        {"credentials": {"dell": {"username": "a", "password": "s3cret"}}},
        "credentials.dell.password",
        "refused",
    ),
    ({"inventory": "/nowhere/hosts.yaml"}, "/nowhere/hosts.yaml", "No such file"),
]


@pytest.mark.parametrize(("change", "path", "reason"), UNSEEN)
def test_what_the_schema_cannot_see_every_action_refuses(product, change, path, reason):
    product.config = {**GOOD, **change}
    product.configure()
    execution = product.api.run(f"{PACK}.begin_heal", host="db01", force=True)
    result = product.api.output(execution)
    assert product.api.execution(execution)["status"] == "failed"
    assert path in result["sentence"] and reason in result["sentence"], result
    assert "s3cret" not in result["sentence"]
    assert not product.locks()
