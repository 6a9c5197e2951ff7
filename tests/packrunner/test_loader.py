"""Metadata: a valid pack loads, every fault names file, path and reason."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from packrunner.errors import PackError
from packrunner.loader import load_pack

from .conftest import PACK


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    return Path(shutil.copytree(PACK, tmp_path / "pack", symlinks=True))


def refused(pack: Path, file: str, old: str, new: str) -> PackError:
    """How the pack is refused when one text of a file is another."""
    text = (pack / file).read_text()
    assert old in text
    (pack / file).write_text(text.replace(old, new, 1))
    with pytest.raises(PackError) as caught:
        load_pack(pack)
    return caught.value


def test_the_pack_loads() -> None:
    pack = load_pack(PACK)
    assert pack.ref == "tpack"
    assert pack.actions["tpack.flow"].runner == "orquesta"
    assert set(pack.triggers) == {"tpack.beat.seen", "tpack.beat.other"}
    assert list(pack.rules) == [
        "tpack.bad_template",
        "tpack.on_beat",
        "tpack.switched_off",
        "tpack.zz_to_workflow",
    ]
    assert [f.display for f in pack.aliases["tpack.reset"].formats] == ["pretend reset host {{host}}"]
    assert not pack.policies["tpack.cancel_second"].enabled


@pytest.mark.parametrize(
    ("file", "old", "new", "path", "reason"),
    [
        ("pack.yaml", "version: 1.0.0", "version: one", "version", "does not match"),
        ("pack.yaml", "ref: tpack", "ref: T-pack", "ref", "does not match"),
        ("actions/give.yaml", "python-script", "local-shell-cmd", "runner_type", "not supported"),
        ("actions/give.yaml", "give.py", "gone.py", "entry_point", "no file actions/gone.py"),
        ("actions/flow.yaml", "workflows/", "../workflows/", "entry_point", "symbolic link"),
        ("actions/give.yaml", "type: boolean", "type: bool", "parameters.ok.type", "'bool'"),
        ("actions/give.yaml", "name: give", "nam: give", "", "'name' is a required"),
        ("actions/give.yaml", "parameters:", "parameters: [", "", "no valid YAML"),
        ("sensors/beat.yaml", "poll_interval: 4", "poll_interval: 3", "poll_interval", "minimum"),
        ("rules/beat.yaml", "tpack.beat.seen", "tpack.beat.sene", "trigger.type", "no sensor"),
        ("rules/beat.yaml", "ref: tpack.echo", "ref: tpack.ehco", "action.ref", "no action"),
        ("rules/beat.yaml", "type: gt", "type: gtt", "criteria.trigger.level.type", "operator"),
        ("aliases/echo.yaml", "tpack.echo", "tpack.ehco", "action_ref", "no action"),
        ("aliases/echo.yaml", "formats:", "format:", "", "'formats' is a required"),
        ("aliases/reset.yaml", "representation: [", "representation: x #", "formats.0", "not valid under"),
        (
            "policies/one_per_host.yaml",
            "action.concurrency.attr",
            "action.retry",
            "policy_type",
            "'action.retry'",
        ),
    ],
)
def test_a_fault_names_its_place(pack: Path, file: str, old: str, new: str, path: str, reason: str) -> None:
    error = refused(pack, file, old, new)
    assert (error.file, error.path) == (file, path)
    assert reason in error.reason


LIST = "required: [x]"


@pytest.mark.parametrize(
    ("file", "old", "new", "path"),
    [
        (
            "actions/echo.yaml",
            "text: {type: string, required: true}",
            f"text: {{{LIST}}}",
            "parameters.text.required",
        ),
        (
            "actions/echo.yaml",
            "names: {type: array, items: {type: string}}",
            f"names: {{items: [{{properties: {{required: {{{LIST}}}}}}}]}}",
            "parameters.names.items.0.properties.required.required",
        ),
        (
            "sensors/beat.yaml",
            "additionalProperties: false",
            f"additionalProperties: false\n      {LIST}",
            "trigger_types.0.payload_schema.required",
        ),
        (
            "sensors/beat.yaml",
            "items: {type: string}",
            f"items: {{anyOf: [{{}}, {{{LIST}}}]}}",
            "trigger_types.0.payload_schema.properties.marks.items.anyOf.1.required",
        ),
        (
            "config.schema.yaml",
            "port: {type: integer,",
            'port: {type: integer, required: "yes",',
            "hosts.patternProperties.^[a-z0-9]+$.properties.port.required",
        ),
        ("config.schema.yaml", "limit:", f"{LIST}\nlimit:", "required"),
    ],
)
def test_required_is_true_or_false_wherever_it_stands(
    pack: Path, file: str, old: str, new: str, path: str
) -> None:
    """Where it stands otherwise, StackStorm drops every payload and says so in a warning only."""
    error = refused(pack, file, old, new)
    assert (error.file, error.path) == (file, path)
    assert "is not of type" in error.reason


def test_a_property_may_be_called_required(pack: Path) -> None:
    sensor = pack / "sensors/beat.yaml"
    sensor.write_text(sensor.read_text().replace("level: {", "required: {type: array}\n        level: {"))
    assert "required" in load_pack(pack).triggers["tpack.beat.seen"].payload_schema["properties"]


def test_a_directory_without_pack_yaml(tmp_path: Path) -> None:
    with pytest.raises(PackError, match=r"pack.yaml: cannot be read: No such file"):
        load_pack(tmp_path)


def test_a_foreign_trigger_only_warns(pack: Path, caplog: pytest.LogCaptureFixture) -> None:
    rule = pack / "rules/beat.yaml"
    rule.write_text(rule.read_text().replace("tpack.beat.seen", "core.st2.webhook"))
    load_pack(pack)
    assert "core.st2.webhook" in caplog.text
