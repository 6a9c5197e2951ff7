"""The loopback API in StackStorm's shape."""

from __future__ import annotations

import socket
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from packrunner.runner import PackRunner

from .conftest import until


def call(runner: PackRunner, path: str, method: str = "GET", **more: Any) -> requests.Response:
    headers = {"X-Auth-Token": runner.api_token}
    return requests.request(method, runner.api_url + path, headers=headers, timeout=10, **more)


def test_one_execution(runner: PackRunner) -> None:
    done = runner.run_action("tpack.flow", user="me")
    answer = call(runner, f"/v1/executions/{done.id}")
    assert answer.status_code == 200
    assert parsedate_to_datetime(answer.headers["Date"]).tzinfo is not None
    document = answer.json()
    assert document["id"] == done.id
    assert document["status"] == "succeeded"
    assert document["action"]["ref"] == "tpack.flow"
    assert document["result"]["output"]["said"] == "hello-1"
    assert document["start_timestamp"].endswith("Z")
    assert document["children"] == list(done.children)
    assert "parent" not in document
    assert call(runner, f"/api/v1/executions/{done.id}").json() == document


def test_lists(runner: PackRunner) -> None:
    done = runner.run_action("tpack.flow")
    runner.run_action("core.noop")

    def actions(query: str) -> list[str]:
        return [document["action"]["ref"] for document in call(runner, "/v1/executions" + query).json()]

    assert actions("?parent=null") == ["core.noop", "tpack.flow"]
    assert actions(f"?parent={done.id}&status=failed") == ["tpack.give"]
    assert actions("?action=tpack.echo") == ["tpack.echo"]
    assert len(actions("?limit=2&offset=1")) == 2
    assert len(actions(f"/{done.id}/children")) == 4
    assert len(actions("")) == 6


def test_children_are_all_descendants(runner: PackRunner, tmp_path: Path) -> None:
    done = runner.run_action("tpack.outer", {"mark": str(tmp_path / "m")})
    documents = call(runner, f"/v1/executions/{done.id}/children").json()
    assert [document["context"]["orquesta"]["task_name"] for document in documents] == [
        "sub",
        "long",
        "cleanup",
        "cleanup",
    ]


def test_cancel(runner: PackRunner, tmp_path: Path) -> None:
    begun = runner.run_action("tpack.cancel", {"mark": str(tmp_path / "m")}, wait=False)
    until(lambda: (tmp_path / "m.begun").exists())
    answer = call(runner, f"/v1/executions/{begun.id}", "DELETE")
    assert (answer.status_code, answer.json()["status"]) == (200, "canceling")
    assert runner.wait(begun.id).status == "canceled"
    again = call(runner, f"/v1/executions/{begun.id}", "DELETE")
    assert again.json()["status"] == "canceled"


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/v1/executions/000", "GET", 404),
        ("/v1/executions/000", "DELETE", 404),
        ("/v1/executions", "DELETE", 404),
        ("/v1/executions/000/children", "GET", 404),
        ("/v1/keys", "GET", 404),
        ("/v1/executions?limit=many", "GET", 400),
        ("/v1/executions?colour=red", "GET", 400),
    ],
)
def test_faults(runner: PackRunner, path: str, method: str, status: int) -> None:
    answer = call(runner, path, method)
    assert answer.status_code == status
    assert answer.json()["faultstring"]


def test_without_the_token(runner: PackRunner) -> None:
    for headers in ({}, {"X-Auth-Token": "wrong"}):
        answer = requests.get(runner.api_url + "/v1/executions", headers=headers, timeout=10)
        assert answer.status_code == 401


def test_it_listens_on_loopback_alone_and_closes(runner: PackRunner) -> None:
    host, port = runner.api_url.removeprefix("http://").split(":")
    assert host == "127.0.0.1"
    runner._api.close()
    with pytest.raises(OSError), socket.create_connection((host, int(port)), timeout=1):
        pass
