"""The executions part of StackStorm's REST API on loopback: a client written for one talks to the other.

GET /v1/executions/ID, GET /v1/executions/ID/children (all descendants),
GET /v1/executions?parent=&action=&status=&limit=&offset=, DELETE /v1/executions/ID (cancel).
Header ``X-Auth-Token``; every answer carries ``Date``.
"""

from __future__ import annotations

import hmac
import json
import logging
import threading
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from packrunner.execution import Execution
from packrunner.history import History

LOG = logging.getLogger(__name__)

_FILTERS = frozenset({"parent", "action", "status"})


class Api:
    """The server; it listens from construction on, on a free port of 127.0.0.1, until ``close``."""

    def __init__(self, history: History, token: str) -> None:
        handler = type("BoundHandler", (_Handler,), {"history": history, "token": token})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.2,), daemon=True, name="api").start()

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()


class _Fault(Exception):  # noqa: N818  StackStorm's word in the answer
    def __init__(self, status: HTTPStatus, text: str) -> None:
        self.status = status
        self.text = text
        super().__init__(text)


class _Handler(BaseHTTPRequestHandler):
    history: History
    token: str
    timeout = 10  # seconds a client may take to say what it wants
    server_version = "packrunner"
    sys_version = ""

    def do_GET(self) -> None:
        """Executions."""
        self._answer(self._get)

    def do_DELETE(self) -> None:
        """Cancel an execution."""
        self._answer(self._delete)

    def log_message(self, format: str, *args: Any) -> None:
        """To the logger instead of stderr."""
        LOG.debug(format, *args)

    def _answer(self, method: Any) -> None:
        try:
            given = self.headers.get("X-Auth-Token", "")
            if not hmac.compare_digest(given.encode(), self.token.encode()):
                raise _Fault(
                    HTTPStatus.UNAUTHORIZED, "Unauthorized - the header X-Auth-Token is missing or wrong"
                )
            parts = urlsplit(self.path)
            status, document = HTTPStatus.OK, method(parts.path, dict(parse_qsl(parts.query)))
        except _Fault as fault:
            status, document = fault.status, {"faultstring": fault.text}
        except Exception as error:
            LOG.exception("%s %s", self.command, self.path)
            status, document = HTTPStatus.INTERNAL_SERVER_ERROR, {"faultstring": str(error)}
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _get(self, path: str, query: dict[str, str]) -> Any:
        self.history.bury()
        match _segments(path):
            case []:
                return self._list(query)
            case [identity]:
                return self._one(identity).as_api()
            case [identity, "children"]:
                return [e.as_api() for e in self._descendants(self._one(identity))]
        raise _Fault(HTTPStatus.NOT_FOUND, f"The resource {path} could not be found.")

    def _list(self, query: dict[str, str]) -> list[dict[str, Any]]:
        try:
            limit, offset = int(query.pop("limit", "100")), int(query.pop("offset", "0"))
        except ValueError as error:
            raise _Fault(HTTPStatus.BAD_REQUEST, "limit and offset must be numbers") from error
        unknown = sorted(set(query) - _FILTERS)
        if unknown:
            raise _Fault(HTTPStatus.BAD_REQUEST, f"Unsupported query parameter: {unknown[0]}")
        if query.get("parent") == "null":  # StackStorm's word for "has none"
            query["parent"] = ""
        return [e.as_api() for e in self.history.find(limit=limit, offset=offset, **query)]

    def _one(self, identity: str) -> Execution:
        execution = self.history.get(identity)
        if execution is None:
            raise _Fault(HTTPStatus.NOT_FOUND, f'Resource with a reference or id "{identity}" not found')
        return execution

    def _descendants(self, execution: Execution) -> Iterator[Execution]:
        """Children, their children, and so on, as StackStorm answers."""
        for identity in execution.children:
            child = self._one(identity)
            yield child
            yield from self._descendants(child)

    def _delete(self, path: str, query: dict[str, str]) -> Any:
        match _segments(path):
            case [identity]:
                self._one(identity)
                cancelled = self.history.cancel(identity, "api")
                return cancelled.as_api() if cancelled else {}
        raise _Fault(HTTPStatus.NOT_FOUND, f"The resource {path} could not be found.")


def _segments(path: str) -> list[str]:
    """What follows /v1/executions (or /api/v1/executions), in pieces."""
    for prefix in ("/api/v1/executions", "/v1/executions"):
        if path == prefix or path.startswith(prefix + "/"):
            return [piece for piece in path[len(prefix) :].split("/") if piece]
    raise _Fault(HTTPStatus.NOT_FOUND, f"The resource {path} could not be found.")
