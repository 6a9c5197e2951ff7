"""A chat endpoint on loopback: receives what the pack posts (Apprise's json://) and hands it on."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType


class Chat:
    """Context manager around a real HTTP server; `url` is what goes into the pack's `notify`."""

    def __init__(self, heard: Callable[[str, str], None]) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                message = json.loads(body)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()
                heard(str(message.get("title", "")), str(message.get("message", "")))

            def log_message(self, *_: object) -> None:
                """The narrator says what chat heard; the access log is noise."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """The Apprise URL of this endpoint."""
        return f"json://127.0.0.1:{self._server.server_port}/bmc"

    def __enter__(self) -> Chat:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
