"""A BMC, and an HTTP server that is StackStorm's API and chat, for pack tests; each is a process of its own.

In StackStorm's interpreter st2tests replaces threads and sockets with eventlet's: a server in a thread would
stand still as long as the code under test waits. Run as a script: `loopback.py bmc|http PORT` prints its port
(that of 0 is a free one), then what it was sent, a line each, and ends when its stdin is closed.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer


class Loopback:
    """A context manager; `port` on 127.0.0.1."""

    def __init__(self, kind: str, port: int = 0) -> None:
        self._argv = [sys.executable, "-I", __file__, kind, str(port)]

    def __enter__(self) -> Loopback:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self._process = subprocess.Popen(self._argv, text=True, **pipes)
        self.port = int(self._process.stdout.readline())
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def line(self) -> str:
        """The next thing that it was sent; waits for it."""
        return self._process.stdout.readline().rstrip("\n")


def say(text: object) -> None:
    print(text, flush=True)


def bmc(port: int) -> None:
    """Answers the sessionless commands, and those alone."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", port))
        say(sock.getsockname()[1])
        while True:
            packet, peer = sock.recvfrom(512)
            if packet[4] == 0 and len(packet) > 20:  # without authentication 14 bytes are headers
                request = packet[14:]
                answer = reply(request, {0x38: bytes(8), 0x37: bytes(range(16))}.get(request[5]))
                sock.sendto(packet[:13] + bytes((len(answer),)) + answer, peer)


def reply(request: bytes, data: bytes | None) -> bytes:
    """The IPMI message that answers `request`; without data it is refused (0xC1)."""
    head = bytes((request[3], (request[1] | 4) & 0xFC))
    body = bytes((request[0], request[4], request[5], 0xC1 if data is None else 0)) + (data or b"")
    return head + bytes((-sum(head) & 0xFF,)) + body + bytes((-sum(body) & 0xFF,))


def http(port: int) -> None:
    """404 with a Date for a GET, as StackStorm's API about an unknown execution; a POST is told."""
    server = HTTPServer(("127.0.0.1", port), Handler)
    say(server.server_port)
    server.serve_forever()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._answer(404)

    def do_POST(self) -> None:
        said = self.rfile.read(int(self.headers["Content-Length"])).decode()
        say(json.dumps({"path": self.path, "said": json.loads(said)}))
        self._answer(200)

    def log_message(self, *_: object) -> None:
        return

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")


def end_with_stdin() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=end_with_stdin, daemon=True).start()
    {"bmc": bmc, "http": http}[sys.argv[1]](int(sys.argv[2]))
