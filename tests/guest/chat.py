"""A chat endpoint on loopback that can be out of order."""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType


class Chat:
    """Context manager around a real HTTP server that receives what Apprise's json:// posts.

    url: for the product's `notify`; heard: titles and bodies in their order, once they are posted
    status: what it answers; it posts what it answers with 200
    seconds: it takes so long to post and to answer, whether anybody waits for the answer or not
    """

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []
        self.status = 200
        self.seconds = 0.0
        self.asked = 0
        self._closed = threading.Event()
        chat = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                message = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
                status = chat.status
                chat.asked += 1
                chat._closed.wait(chat.seconds)
                if status == 200:
                    chat.heard.append((message["title"], message["message"]))
                with suppress(ConnectionError):  # whoever asked has not waited
                    self.send_response(status)
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
        self._closed.set()
        self._server.shutdown()
        self._server.server_close()
