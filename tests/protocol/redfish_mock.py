"""A BMC's Redfish over real HTTP on loopback: a mock, since no such BMC can be had on a test machine."""

import base64
import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from bmc_healer.config.secrets import BmcLogin
from bmc_healer.config.settings import RedfishSettings

LOGIN = BmcLogin("ädmin".encode(), b"s:cret")
ROOT = "/redfish/v1"
BMC1 = f"{ROOT}/Managers/BMC1"
SYSTEM = "4C4C4544-0042-3510-8052-B3C04F4B4E32"
RESET = f"{BMC1}/Actions/Manager.Reset"
HEALTHY = {
    f"{ROOT}/Managers": {"Members": [{"@odata.id": BMC1}]},
    BMC1: {
        "FirmwareVersion": "2.41",
        "Status": {"State": "Enabled", "Health": "OK"},
        "Links": {"ManagerForServers": [{"@odata.id": f"{ROOT}/Systems/1"}]},
        "Actions": {
            "#Manager.Reset": {
                "target": RESET,
                "ResetType@Redfish.AllowableValues": ["GracefulRestart", "ForceRestart"],
            }
        },
    },
    f"{ROOT}/Systems/1": {"UUID": SYSTEM, "PowerState": "On"},
    f"{ROOT}/TaskService/Tasks": {"Members": []},
}


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def answer(self):
        server = self.server
        length = int(self.headers.get("Content-Length") or 0)
        server.seen.append((self.command, self.path, self.rfile.read(length).decode()))
        expected = "Basic " + base64.b64encode(server.login.username + b":" + server.login.password).decode()
        answer = server.answers.get(self.path, 404)
        if self.headers["Authorization"] != expected:
            answer = 401
        if callable(answer):
            answer(self)
            return
        status, body = (answer, {}) if isinstance(answer, int) else (200, answer)
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        if status == 302:
            self.send_header("Location", f"{server.elsewhere}{self.path}")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    do_GET = do_POST = answer  # noqa: N815 - http.server's names


@contextlib.contextmanager
def serving(**changes):
    """A Redfish service; `answers`: path -> JSON, bytes, HTTP status or a function of the handler.

    :param changes: `login`: whom it knows; the others are of RedfishSettings
    """
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.answers = {**HEALTHY, RESET: 204, **changes.pop("answers", {})}
    server.login = changes.pop("login", LOGIN)
    server.seen, server.elsewhere = [], changes.pop("elsewhere", "")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    server.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield server, RedfishSettings(url=server.url, **changes)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
