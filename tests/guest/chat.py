"""A chat endpoint on loopback that can be out of order."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType


class Chat:
    """Context manager around a real HTTP server that receives what Apprise's json:// posts.

    url: for the product's `notify`; heard: titles and bodies in their order; down: it answers 503
    """

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []
        self.down = False
        chat = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                message = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
                if not chat.down:
                    chat.heard.append((message["title"], message["message"]))
                self.send_response(503 if chat.down else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """No access log."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"json://127.0.0.1:{self._server.server_port}/bmc"

    @property
    def titles(self) -> list[str]:
        """What was heard, by title."""
        return [title for title, _ in self.heard]

    def __enter__(self) -> Chat:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
