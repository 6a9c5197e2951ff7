"""StackStorm's REST API, as the tests use it; nothing here knows the pack."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from typing import Any, TypeVar

import requests

ENDED = frozenset({"succeeded", "failed", "timeout", "canceled", "abandoned"})
LIMIT_SECONDS = 90.0  # a datastore key whose writing API process was killed is locked for a minute

Found = TypeVar("Found")


class ApiError(Exception):
    """StackStorm's answer is an error.

    status: of HTTP; text: StackStorm's own words
    """

    def __init__(self, status: int, text: str, what: str) -> None:
        super().__init__(f"{what}: {status} {text}")
        self.status = status
        self.text = text


def until(wanted: Callable[[], Found], seconds: float, what: str, *, interval: float = 0.3) -> Found:
    """Ask again until the answer is truthy; a failure that names what did not come."""
    end = time.monotonic() + seconds
    while True:
        found = wanted()
        if found:
            return found
        assert time.monotonic() < end, f"{what} did not come within {seconds:.0f} s (last: {found!r})"
        time.sleep(interval)


class Api:
    """One StackStorm.

    :param url: as ST2_API_URL, with `/v1`
    :param environ: ST2_AUTH_TOKEN or ST2_API_KEY, where authentication is on
    """

    def __init__(self, url: str, environ: dict[str, str] | None = None) -> None:
        environ = dict(os.environ) if environ is None else environ
        self.url = url.rstrip("/")
        self._session = requests.Session()
        if environ.get("ST2_AUTH_TOKEN"):
            self._session.headers["X-Auth-Token"] = environ["ST2_AUTH_TOKEN"]
        elif environ.get("ST2_API_KEY"):
            self._session.headers["St2-Api-Key"] = environ["ST2_API_KEY"]

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """One request; its decoded answer.

        :raises ApiError: any status but 2xx
        """
        content = self.content(method, path, body, **query)
        return json.loads(content) if content else None

    def content(self, method: str, path: str, body: Any = None, **query: Any) -> bytes:
        """One request; its answer as it comes.

        :raises ApiError: any status but 2xx
        """
        answer = self._session.request(
            method, self.url + path, json=body, params=query, timeout=LIMIT_SECONDS
        )
        if not answer.ok:
            try:
                text = str(answer.json().get("faultstring", answer.text))
            except (ValueError, AttributeError):
                text = answer.text
            raise ApiError(answer.status_code, text, f"{method} {path}")
        return answer.content

    def answers(self) -> bool:
        """Whether it can be asked at all."""
        try:
            self.call("GET", "/actions", limit=1)
        except (ApiError, requests.RequestException):
            return False
        return True

    def run(self, action: str, **parameters: Any) -> str:
        """Start an action or a workflow; the execution's id."""
        return str(self.call("POST", "/executions", {"action": action, "parameters": parameters})["id"])

    def execution(self, execution: str) -> dict[str, Any]:
        """An execution as it is now."""
        found: dict[str, Any] = self.call("GET", f"/executions/{execution}")
        return found

    def ended(self, execution: str, seconds: float = 300.0) -> dict[str, Any]:
        """An execution when it has ended."""

        def look() -> dict[str, Any] | None:
            found = self.execution(execution)
            return found if found["status"] in ENDED else None

        return until(look, seconds, f"the end of execution {execution}") or {}

    def output(self, execution: str, seconds: float = 300.0) -> dict[str, Any]:
        """A workflow's output, or a Python action's result, when it has ended; {} when there is none."""
        result = self.ended(execution, seconds).get("result") or {}
        return result.get("output") or result.get("result") or {}

    def children(self, execution: str) -> list[dict[str, Any]]:
        """The executions of a workflow's tasks, in the order of their start."""
        found: list[dict[str, Any]] = self.call("GET", f"/executions/{execution}/children")
        return sorted(found, key=lambda child: child["start_timestamp"])

    def tasks(self, execution: str) -> list[str]:
        """The names of a workflow's tasks, in the order of their start."""
        return [child["context"]["orquesta"]["task_name"] for child in self.children(execution)]

    def executions(self, action: str, limit: int = 50) -> list[dict[str, Any]]:
        """The latest executions of an action, the newest first."""
        found: list[dict[str, Any]] = self.call("GET", "/executions", action=action, limit=limit)
        return found

    def cancel(self, execution: str) -> None:
        """As a person does it in the web UI."""
        self.call("DELETE", f"/executions/{execution}")

    def trigger(self, name: str, payload: dict[str, Any]) -> None:
        """Inject a trigger as if a sensor had dispatched it."""
        self.call("POST", "/webhooks/st2", {"trigger": name, "payload": payload})

    def chat(self, text: str, user: str = "anna") -> tuple[str, str]:
        """A command as the chat bot sends it, without the `!`: the acknowledgement and the execution's id.

        :raises ApiError: no alias takes it
        """
        body = {"command": text, "user": user, "source_channel": "ops", "notification_route": "chat"}
        found = self.call("POST", "/aliasexecution/match_and_execute", body)["results"][0]
        return str(found["message"]), str(found["execution"]["id"])

    def said(self, execution: str, seconds: float = 60.0) -> str:
        """The result text of an alias's execution, as StackStorm renders it for chat."""
        run = self.run("chatops.format_execution_result", execution_id=execution)
        return str(self.output(run, seconds).get("message", "")).strip()

    def key(self, name: str, value: str, *, secret: bool = False) -> None:
        """Set a key of the datastore; a secret one is stored encrypted."""
        body = {"name": name, "value": value, "scope": "st2kv.system", "secret": secret}
        self.call("PUT", f"/keys/{name}", body)

    def keys(self, prefix: str) -> dict[str, str]:
        """The datastore's keys under a prefix, as they are stored (a secret stays encrypted)."""
        found = self.call("GET", "/keys", prefix=prefix, scope="st2kv.system", limit=1000)
        return {key["name"]: key["value"] for key in found}

    def forget(self, name: str) -> None:
        """Delete a key; no error when there is none."""
        try:
            self.call("DELETE", f"/keys/{name}", scope="st2kv.system")
        except ApiError as error:
            if error.status != 404:
                raise
