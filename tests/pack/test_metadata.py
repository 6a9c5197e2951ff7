"""The pack's files against what StackStorm asks of them, and against each other."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    tomllib = None

from bmc_healer.verbs import LIMITS, MODULES

PACK = Path(__file__).parents[2]
ACTIONS = {file.stem: yaml.safe_load(file.read_text()) for file in sorted((PACK / "actions").glob("*.yaml"))}
PYTHON = [name for name, action in ACTIONS.items() if action["runner_type"] == "python-script"]
HEALS = ("heal", "heal_request")  # one workflow: the form for a person, and what rules and chat start
# What StackStorm's runners add to every form; see "Noise to hide" in the lab's verified facts.
HIDDEN = {
    "python-script": {"timeout", "log_level", "debug", "env", "content_version"},
    "orquesta": {"notify"},
}
# models/api/pack.py and constants/pack.py of st2 3.10dev, as JSON schema draft 4
PACK_SCHEMA = {
    "required": ["name", "description", "version", "author"],
    "properties": {
        "ref": {"type": "string", "pattern": "^[a-z0-9_]+$"},
        "name": {"type": "string"},
        "description": {"type": "string"},
        "keywords": {"type": "array", "items": {"type": "string"}},
        "version": {"type": "string", "pattern": r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)$"},
        "author": {"type": "string"},
        "email": {"type": "string", "pattern": "^[^@ ]+@[^@ ]+$"},
        "stackstorm_version": {
            "type": "string",
            "pattern": r"^((>?>|>=|=|<=|<?<)\s*[0-9]+\.[0-9]+\.[0-9]+?(\s*,)?\s*)+$",
        },
        "python_versions": {"type": "array", "items": {"enum": ["2", "3"]}, "minItems": 1},
        "contributors": {"type": "array", "items": {"type": "string", "maxLength": 100}},
        "dependencies": {"type": "array", "items": {"type": "string"}},
    },
}
SEEN_IN_THE_ACTION_LIST = 55  # characters of a description


def declared(name):
    """The action's own parameters, in the order of the file."""
    action = ACTIONS[name]
    hidden = HIDDEN[action["runner_type"]]
    return {key: value for key, value in action["parameters"].items() if key not in hidden}


def own(name):
    """Those that a person sees."""
    return {key: value for key, value in declared(name).items() if not value.get("immutable")}


def test_there_is_an_action_for_every_verb_and_the_workflow():
    assert set(ACTIONS) == {*MODULES, *HEALS}


@pytest.mark.parametrize("name", ACTIONS)
def test_an_action_says_what_it_is(name):
    action = ACTIONS[name]
    assert (action["name"], action["pack"], action["enabled"]) == (name, "bmc_healer", True)
    text = action["description"]
    assert text[0].isupper() and not text.endswith(".") and "\n" not in text
    assert len(text) <= 100
    head = text[:SEEN_IN_THE_ACTION_LIST]
    others = [other["description"][:SEEN_IN_THE_ACTION_LIST] for other in ACTIONS.values()]
    assert others.count(head) == 1, "cut off, it reads like another action's"


@pytest.mark.parametrize("name", ACTIONS)
def test_the_form_is_in_order(name):
    """Unset positions or `required: false` scramble the Web UI's form."""
    parameters = own(name)
    assert [parameter["position"] for parameter in parameters.values()] == list(range(1, len(parameters) + 1))
    needed = [parameter.get("required", False) for parameter in parameters.values()]
    assert needed == sorted(needed, reverse=True), "required ones first"
    for key, parameter in ACTIONS[name]["parameters"].items():
        assert parameter.get("required") in (None, True), key


@pytest.mark.parametrize("name", ACTIONS)
def test_every_parameter_is_described_and_typed_and_no_secret(name):
    for key, parameter in own(name).items():
        assert parameter["description"] and not parameter["description"].endswith("."), key
        assert parameter["type"] in ("string", "integer", "boolean", "array"), key
        assert not parameter.get("secret"), "a rerun in the Web UI sends a secret parameter empty"
        assert ("required" in parameter) != ("default" in parameter) or key == "minutes", key
        assert parameter.get("default") is not True, f"{key}: to switch it off takes two clicks"
        if "default" in parameter:
            schema = {word: parameter[word] for word in ("type", "enum", "items") if word in parameter}
            jsonschema.validate(parameter["default"], schema)
        if "enum" in parameter:
            assert parameter["type"] == "string", key
            assert parameter.get("default", parameter["enum"][0]) == parameter["enum"][0], key


@pytest.mark.parametrize("name", ACTIONS)
def test_the_runner_s_own_parameters_are_hidden(name):
    action = ACTIONS[name]
    hidden = HIDDEN[action["runner_type"]]
    assert hidden <= set(action["parameters"])
    assert all(action["parameters"][key]["immutable"] is True for key in hidden)


@pytest.mark.parametrize("name", PYTHON)
def test_a_python_action_has_a_time_limit_and_a_log_level(name):
    parameters = ACTIONS[name]["parameters"]
    assert parameters["timeout"]["default"] == LIMITS[name] <= 3600
    assert parameters["log_level"]["default"] == "INFO", "upper case, or every run fails"
    assert (parameters["env"]["default"], parameters["content_version"]["default"]) == ({}, "")


def code(body):
    """Without docstrings."""
    return [
        node for node in body if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
    ]


@pytest.mark.parametrize("name", PYTHON)
def test_the_entry_point_is_a_thin_adapter(name):
    assert ACTIONS[name]["entry_point"] == f"{name}.py"
    tree = ast.parse((PACK / "actions" / f"{name}.py").read_text())
    imported = {
        node.module if isinstance(node, ast.ImportFrom) else alias.name
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
    }
    assert imported <= {"__future__", "typing", "st2common.runners.base_action", "bmc_healer.verbs"}
    rest = [node for node in code(tree.body) if not isinstance(node, ast.ImportFrom)]
    assert [type(node) for node in rest] == [ast.ClassDef]
    (method,) = code(rest[0].body)
    assert method.name == "run"
    (answer,) = code(method.body)
    assert ast.unparse(answer) == (
        f"return perform('{name}', parameters, self.config, self.action_service, self.logger)"
    )


@pytest.mark.parametrize("heal", HEALS)
def test_the_workflow_takes_what_the_action_offers(heal):
    workflow = yaml.safe_load((PACK / "workflows" / "heal.yaml").read_text())
    inputs = {name: None for name in workflow["input"] if isinstance(name, str)}
    for entry in workflow["input"]:
        if isinstance(entry, dict):
            inputs.update(entry)
    assert set(inputs) == set(declared(heal))
    for name, default in inputs.items():
        assert declared(heal)[name].get("default") == default, name
    assert ACTIONS[heal]["entry_point"] == "workflows/heal.yaml"


def test_both_heals_differ_in_what_only_rules_and_chat_know():
    by_hand, request = declared("heal"), declared("heal_request")
    differ = {name for name in request if by_hand[name] != request[name]}
    assert differ == set(request) - set(own("heal")) == {"source", "key", "asked_host"}


@pytest.mark.parametrize(
    "task", yaml.safe_load((PACK / "workflows" / "heal.yaml").read_text())["tasks"].items()
)
def test_a_task_passes_what_its_action_takes(task):
    name, spec = task
    parameters = own(spec["action"].removeprefix("bmc_healer."))
    given = spec["input"]
    assert set(given) <= set(parameters), name
    assert {key for key, value in parameters.items() if value.get("required")} <= set(given), name
    for key, value in given.items():
        if not str(value).startswith("<%"):
            assert value in parameters[key].get("enum", [value]), name


def test_chat_can_be_told_every_outcome():
    """A task whose input fails its schema ends the workflow: no clean-up, and chat hears nothing."""
    workflow = yaml.safe_load((PACK / "workflows" / "heal.yaml").read_text())
    assert workflow["tasks"]["tell_end"]["input"]["outcome"] == "<% ctx(outcome) %>"
    outcomes = {"healed", "relieved", "escalated", "refused", "proposed", "not_needed"}
    assert outcomes <= set(own("notify")["outcome"].get("enum", outcomes))


def test_pack_yaml_is_what_stackstorm_wants():
    manifest = yaml.safe_load((PACK / "pack.yaml").read_text())
    jsonschema.Draft4Validator(PACK_SCHEMA).validate(manifest)
    assert manifest["ref"] == manifest["name"] == "bmc_healer", "st2 pack install names the directory so"
    assert manifest["python_versions"] == ["3"]


@pytest.mark.skipif(tomllib is None, reason="tomllib comes with Python 3.11")
def test_versions_and_requirements_are_the_same_everywhere():
    project = tomllib.loads((PACK / "pyproject.toml").read_text())["project"]
    manifest = yaml.safe_load((PACK / "pack.yaml").read_text())
    assert manifest["version"] == project["version"]
    assert (PACK / "requirements.txt").read_text().splitlines() == project["dependencies"][:5]


@pytest.mark.parametrize(
    ("link", "target"),
    [("actions/lib", "lib"), ("actions/workflows", "workflows"), ("sensors/bmc_healer", "lib/bmc_healer")],
)
def test_the_links_stay_inside_the_pack(link, target):
    """StackStorm puts the pack's files elsewhere: a link has to be relative, and no directory of its own."""
    path = PACK / link
    assert path.is_symlink() and not path.readlink().is_absolute()
    assert path.resolve() == PACK / target


def test_every_file_of_the_pack_names_itself():
    for folder in ("rules", "aliases", "policies"):
        for file in (PACK / folder).glob("*.yaml"):
            document = yaml.safe_load(file.read_text())
            assert (document["name"], document["pack"]) == (file.stem, "bmc_healer"), file
            assert document["enabled"] is True and re.fullmatch(r"[A-Z].*[^.\n]", document["description"]), (
                file
            )
