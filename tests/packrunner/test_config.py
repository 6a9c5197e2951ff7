"""The configuration, as StackStorm checks and fills it."""

from __future__ import annotations

import pytest

from packrunner.config import check_config, resolve_config
from packrunner.errors import PackError
from packrunner.loader import load_pack

from .conftest import PACK


def test_defaults_make_up_nested_objects() -> None:
    config = check_config(
        load_pack(PACK), {"mode": "a", "hosts": {"db1": {}, "db2": {"port": 1}}, "unknown": 1}
    )
    assert config == {
        "mode": "a",
        "limit": 3,
        "unknown": 1,
        "hosts": {"db1": {"port": 623, "deep": {"x": 1}}, "db2": {"port": 1, "deep": {"x": 1}}},
    }


def test_an_object_nobody_wrote() -> None:
    assert check_config(load_pack(PACK), {"mode": "a"})["hosts"] == {}


@pytest.mark.parametrize(
    ("config", "path", "reason"),
    [
        ({}, "", "'mode' is a required property"),
        ({"mode": "c"}, "mode", "'c' is not one of"),
        ({"mode": "a", "hosts": {"db1": {"prot": 1}}}, "hosts.db1", "'prot'"),
        ({"mode": "a", "hosts": {"db1": {"port": "x"}}}, "hosts.db1.port", "is not of type 'integer'"),
    ],
)
def test_faults_name_the_path(config: dict[str, object], path: str, reason: str) -> None:
    with pytest.raises(PackError) as caught:
        check_config(load_pack(PACK), config)
    assert caught.value.path == path
    assert reason in caught.value.reason
    assert caught.value.file == "configuration of tpack"


def test_datastore_values_are_resolved() -> None:
    keys = {"db.password": "s3"}
    config = {"a": ["{{ st2kv.system.db.password }}"], "b": "{{ st2kv.system.none }}", "c": 1}
    assert resolve_config(config, keys.get) == {"a": ["s3"], "b": None, "c": 1}
    with pytest.raises(PackError, match="cannot be rendered"):
        resolve_config("{{ nothing }}", keys.get)
