"""The sensors as a pack: their metadata, the payload schemas against what the watches say, the adapters."""

from __future__ import annotations

import ast
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from bmc_healer.config.settings import WatchSettings
from bmc_healer.state.documents import Lock
from bmc_healer.watch import payload
from bmc_healer.watch.hysteresis import Incident
from bmc_healer.watch.lan import LanSeen
from bmc_healer.watch.mass import Outage
from bmc_healer.watch.overdue import Overdue
from bmc_healer.watch.recovery import over
from bmc_healer.watch.signature import judge
from bmc_healer.watch.untold import Untold
from packrunner import childhood
from packrunner.validation import problems
from tests.unit.state.fake_datastore import SensorService
from tests.unit.watch.samples import FIRST, STUCK, STUCK_BY_INTERRUPT, client, series

SENSORS = Path(__file__).parents[2] / "sensors"
NAMES = ("kipmi_sensor", "bmc_sensor")
TYPES = {
    "kipmi.high_cpu",
    "kipmi.recovered",
    "bmc.unresponsive",
    "bmc.recovered",
    "bmc.mass_outage",
    "heal.overdue",
    "chat.waiting",
}
OF_NO_HOST = {"bmc.mass_outage", "chat.waiting"}
NOW = 1_795_000_000.0
# Keywords of JSON schema that draft 4 as jsonschema 2.6 knows it and later ones read alike.
KEYWORDS = {"type", "additionalProperties", "required", "properties", "items", "enum", "description"}
KEYWORDS |= {"minimum", "minLength"}

INCIDENT = Incident("db01:b00b:1", "db01", "kipmi.high_cpu", "stuck_counters", True, NOW - 60, NOW - 60)
SILENT = replace(INCIDENT, trigger="bmc.unresponsive")
LAN = payload.lan_side(LanSeen(NOW - 5, NOW - 9000, NOW - 9100), "alive", "10.1.0.5")
NO_LAN = payload.lan_side(LanSeen(), "unknown", None)
LOOK = judge(series(STUCK, STUCK, STUCK | {"clients": [client(state="D")]}), WatchSettings())
QUIET = judge(series(*[STUCK_BY_INTERRUPT] * 3), WatchSettings())
NO_DRIVER = judge(
    series({}, {}, {"clients": [client()]}, first=replace(FIRST, counters={}, kipmi=())), WatchSettings()
)
LOCK = Lock("id", "db01", "db01-1", "", None, (), "st2a:7", NOW - 500)


def metadata(name):
    return yaml.safe_load((SENSORS / f"{name}.yaml").read_text())


def schemas():
    return {t["name"]: t["payload_schema"] for name in NAMES for t in metadata(name)["trigger_types"]}


@pytest.mark.parametrize(
    ("trigger", "told"),
    [
        ("kipmi.high_cpu", payload.inband(INCIDENT, LOOK, LAN, NOW)),
        ("kipmi.high_cpu", payload.inband(INCIDENT, NO_DRIVER, NO_LAN, NOW)),
        ("kipmi.recovered", payload.recovered(over(INCIDENT, NOW), None, NOW)),
        ("bmc.unresponsive", payload.inband(SILENT, QUIET, LAN, NOW)),
        ("bmc.unresponsive", payload.inband(SILENT, NO_DRIVER, NO_LAN, NOW)),
        (
            "bmc.unresponsive",
            payload.oob(replace(SILENT, signature="silent_lan"), "::1", 3, None, "dead", NOW),
        ),
        ("bmc.recovered", payload.recovered(over(SILENT, NOW), "oob", NOW)),
        (
            "bmc.mass_outage",
            payload.mass_outage(Outage("mass:fleet:1", "fleet", NOW, ("a", "b")), "oob", 9, NOW),
        ),
        ("heal.overdue", Overdue(LOCK, 500.0).payload(NOW)),
        ("chat.waiting", Untold(2, NOW - 500).payload(NOW)),
    ],
)
def test_what_is_told_is_what_the_schema_says(trigger, told):
    schema = schemas()[trigger]
    assert problems(told, schema) == []
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", told["observed_at"])
    for name in required(schema):
        missing = {key: value for key, value in told.items() if key != name}
        assert problems(missing, schema)


def required(schema):
    return {name for name, part in schema["properties"].items() if part.get("required") is True}


def test_all_trigger_types_are_declared_once():
    names = [t["name"] for name in NAMES for t in metadata(name)["trigger_types"]]
    assert sorted(names) == sorted(TYPES)
    assert {"host", "observed_at", "key"} <= set.intersection(
        *(required(schema) for name, schema in schemas().items() if name not in OF_NO_HOST)
    )


def test_the_schemas_use_what_both_jsonschemas_know():
    def check(schema):
        assert set(schema) <= KEYWORDS, schema
        for part in schema.get("properties", {}).values():
            check(part)
            assert part.get("description") or part.get("properties") or part.get("items") or part.get("type")
        if "items" in schema:
            check(schema["items"])

    for schema in schemas().values():
        check(schema)


@pytest.mark.parametrize("name", NAMES)
def test_metadata_is_what_stackstorm_takes(name):
    found = metadata(name)
    assert found["poll_interval"] >= 4  # less is refused at registration
    assert (SENSORS / found["entry_point"]).is_file()
    assert found["description"]


@pytest.mark.parametrize("name", NAMES)
def test_the_adapters_know_only_stackstorm_and_the_bridge(name):
    tree = ast.parse((SENSORS / f"{name}.py").read_text())
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    modules |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    known = {"bmc_healer.watch.bridge", "bmc_healer_engine", "st2reactor.sensor.base"}
    assert modules == {"__future__", "typing"} | known


def test_the_library_is_found_beside_the_sensors():
    assert (SENSORS / "bmc_healer").readlink() == Path("../lib/bmc_healer")


@pytest.mark.parametrize("name", NAMES)
def test_a_sensor_polls_and_leaves_nothing_behind(name):
    childhood.provide_standins()
    module = childhood.load_module(SENSORS / f"{name}.py")
    service = SensorService()
    config = {"mode": "observe", "hosts": {"here": {"transport": "local"}}}
    sensor = getattr(module, metadata(name)["class_name"])(
        sensor_service=service, config=config, poll_interval=5
    )
    sensor.setup()
    sensor.poll()
    process = sensor._bridge._child._process
    deadline = time.monotonic() + 10
    while not sensor._bridge._child.read() and time.monotonic() < deadline:
        sensor.poll()
        time.sleep(0.05)
    assert process.poll() is None
    sensor.cleanup()
    assert process.poll() is not None
    assert service.dispatched == []
