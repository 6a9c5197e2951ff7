"""What the engine says about an execution: StackStorm's REST API, or packrunner's on loopback.

API of st2 3.9 and 3.10: GET and DELETE /v1/executions/<id>, GET /v1/executions/<id>/children,
GET /v1/executions?action=<ref>&status=<status>.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from bmc_healer.errors import StateError

if TYPE_CHECKING:
    import requests

LIMIT_SECONDS = 10.0

ENDED = frozenset({"succeeded", "failed", "timeout", "canceled", "abandoned"})
BUSY = ("running", "canceling")  # somebody is at work, or the engine takes him to be
PAGE = 100  # StackStorm's api.max_page_size


@dataclass(frozen=True)
class ExecutionInfo:
    """One execution.

    :param status: StackStorm's word, e.g. `running`, `canceling`
    :param action: reference, e.g. `bmc_healer.heal`
    :param parent: id of the execution it belongs to
    :param runner_info: `hostname` and `pid` of the action runner that started it
    :param host: the parameter of that name
    :param since: when it took this status, epoch seconds of the engine's clock; 0 when that is not told
    :param task: the workflow's name for it
    :param sentence: what an action of ours said at its end; empty when it was killed or has not ended
    """

    id: str
    status: str
    action: str = ""
    parent: str | None = None
    runner_info: dict[str, Any] = field(default_factory=dict)
    host: str = ""
    since: float = 0.0
    task: str = ""
    sentence: str = ""

    @property
    def ended(self) -> bool:
        """It will not change any more. Its process may live on all the same."""
        return self.status in ENDED


class Executions(Protocol):
    """Each call raises StateError when the engine cannot be asked."""

    def get(self, execution: str) -> ExecutionInfo | None:
        """None: the engine does not know it."""
        ...

    def cancel(self, execution: str) -> None:
        """Ask for its end; no error when it has ended already."""
        ...

    def children(self, execution: str) -> tuple[ExecutionInfo, ...]:
        """Its tasks' executions; StackStorm adds those of sub-workflows."""
        ...

    def busy(self, action: str) -> tuple[ExecutionInfo, ...]:
        """Those of an action that run, or are being cancelled; the latest hundred of each."""
        ...

    def server_time(self) -> float:
        """The engine's clock, epoch seconds, whole ones."""
        ...


class ApiExecutions:
    """The REST API.

    :param url: ST2_ACTION_API_URL, with (StackStorm) or without (packrunner) `/v1` at its end
    :param token: ST2_ACTION_AUTH_TOKEN; empty where authentication is off
    """

    def __init__(self, url: str, token: str, *, limit: float = LIMIT_SECONDS) -> None:
        self._url = url.rstrip("/").removesuffix("/v1") + "/v1"
        self._headers = {"X-Auth-Token": token} if token else {}
        self._limit = limit

    def get(self, execution: str) -> ExecutionInfo | None:
        """See `Executions`."""
        answer = self._ask("GET", f"/executions/{quote(execution, safe='')}")
        return None if answer.status_code == 404 else _info(self._json(answer, dict))

    def cancel(self, execution: str) -> None:
        """See `Executions`. StackStorm answers 200 for an execution that has ended."""
        self._ask("DELETE", f"/executions/{quote(execution, safe='')}")

    def children(self, execution: str) -> tuple[ExecutionInfo, ...]:
        """See `Executions`."""
        answer = self._ask("GET", f"/executions/{quote(execution, safe='')}/children")
        return () if answer.status_code == 404 else tuple(_info(c) for c in self._json(answer, list))

    def busy(self, action: str) -> tuple[ExecutionInfo, ...]:
        """See `Executions`."""
        found = []
        for status in BUSY:
            answer = self._ask("GET", f"/executions?action={quote(action)}&status={status}&limit={PAGE}")
            found += [_info(document) for document in self._json(answer, list)]
        return tuple(found)

    def server_time(self) -> float:
        """See `Executions`: the Date header of any answer."""
        # A path that nobody has: an id that nobody has leaves an ERROR and a traceback in StackStorm's log.
        answer = self._ask("GET", "/clock")
        try:
            return parsedate_to_datetime(answer.headers["Date"]).timestamp()
        except (KeyError, TypeError, ValueError):
            raise StateError("the engine's answer has no usable Date header", self._url) from None

    def _ask(self, method: str, path: str) -> requests.Response:
        import requests

        do = "Check that the API runs and that the action's token is valid"
        try:
            answer = requests.request(method, self._url + path, headers=self._headers, timeout=self._limit)
        except requests.RequestException as error:
            raise StateError(f"the engine cannot be asked ({type(error).__name__})", self._url, do) from error
        if not answer.ok and answer.status_code != 404:
            raise StateError(f"the engine answers {answer.status_code} {answer.reason}", self._url, do)
        return answer

    def _json(self, answer: requests.Response, kind: type) -> Any:
        try:
            found = answer.json()
        except ValueError:
            found = None
        if not isinstance(found, kind):
            raise StateError("the engine's answer is none of StackStorm's API", self._url)
        return found


def clock_skew(executions: Executions, now: float) -> float | None:
    """How far (seconds) this machine's clock is ahead of the engine's; None when that cannot be told."""
    try:
        return now - executions.server_time()
    except StateError:
        return None


def _info(document: Any) -> ExecutionInfo:
    try:
        return ExecutionInfo(
            id=document["id"],
            status=document["status"],
            action=(document.get("action") or {}).get("ref", ""),
            parent=document.get("parent"),
            runner_info=(document.get("liveaction") or {}).get("runner_info") or {},
            host=str((document.get("parameters") or {}).get("host") or ""),
            since=_since(document),
            task=str(((document.get("context") or {}).get("orquesta") or {}).get("task_name") or ""),
            sentence=_sentence(document.get("result")),
        )
    except (KeyError, TypeError, AttributeError, ValueError):
        raise StateError("the engine's answer is none of StackStorm's API") from None


def _since(document: Any) -> float:
    """The latest change of status; the start, where none is written down."""
    log = document.get("log") or [{"timestamp": document.get("start_timestamp")}]
    stamp = log[-1]["timestamp"]
    return datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp() if stamp else 0.0


def _sentence(result: Any) -> str:
    """From a Python action's result; in that of a killed one `result` is the text "None"."""
    said = result.get("result") if isinstance(result, dict) else None
    return str(said.get("sentence") or "") if isinstance(said, dict) else ""
