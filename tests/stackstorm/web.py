"""An HTTP service on loopback that repeats in every answer what it was sent, tokens and logins too."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

REDFISH_TASKS = "/redfish/v1/TaskService/Tasks"


class Web:
    """A context manager.

    :param answer: path to status and JSON
    url: `http://127.0.0.1:PORT`; asked: path and Authorization of every request; heard: what was posted
    """

    def __init__(self, answer: Callable[[str], tuple[int, dict[str, Any]]]) -> None:
        self.asked: list[str] = []
        self.heard: list[dict[str, Any]] = []
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                web.asked.append(f"{self.path} {self.headers.get('Authorization')}")
                status, told = answer(self.path)
                body = json.dumps({**told, "asked": web.asked[-1]}).encode()
                self.send_response(status, web.asked[-1])
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                web.heard.append(json.loads(self.rfile.read(length)))
                self.do_GET()

            def log_message(self, *_: object) -> None:
                """No access log."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Web:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def idle_redfish(path: str) -> tuple[int, dict[str, Any]]:
    """A Redfish service without tasks."""
    return (200, {"Members": []}) if path == REDFISH_TASKS else (404, {})


def always(status: int) -> Callable[[str], tuple[int, dict[str, Any]]]:
    """The same for every path."""
    return lambda path: (status, {})
