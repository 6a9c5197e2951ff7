"""The engine's API: packrunner's own over HTTP, and answers as a broken or foreign server gives them."""

import http.server
import threading
import time

import pytest

from bmc_healer.errors import StateError
from bmc_healer.executions import ApiExecutions, clock_skew
from packrunner.api import Api
from packrunner.database import FILE_NAME, Database
from packrunner.history import History
from packrunner.model import Action

NOBODY = "0" * 24


@pytest.fixture
def history(tmp_path):
    database = Database(tmp_path / FILE_NAME)
    yield History(database)
    database.close()


@pytest.fixture
def api(history):
    server = Api(history, "token")
    yield server
    server.close()


def create(history, ref, runner, parent="", context=None):
    action = Action(ref=ref, runner=runner, entry_point="x", parameters={}, description="", enabled=True)
    execution = history.create(action, {"host": "db01"}, context or {}, parent=parent)
    history.mark(execution.id, "running")
    return execution.id


@pytest.mark.parametrize("version", ["", "/v1", "/v1/"])
def test_packrunner(api, history, version):
    engine = ApiExecutions(api.url + version, "token")
    heal = create(history, "bmc_healer.heal", "orquesta")
    task = create(history, "bmc_healer.reset_bmc_oob", "python-script", heal)
    info = engine.get(heal)
    assert (info.status, info.action, info.ended) == ("running", "bmc_healer.heal", False)
    assert info.host == "db01"
    (child,) = engine.children(heal)
    assert (child.id, child.parent) == (task, heal) and child.runner_info["pid"]
    engine.cancel(heal)
    assert engine.get(heal).status == "canceling"
    history.finish(heal, "canceled")
    engine.cancel(heal)
    assert engine.get(heal).ended


@pytest.mark.parametrize(
    ("result", "sentence"),
    [
        ({"result": {"sentence": "It was sent."}, "exit_code": 1}, "It was sent."),
        ({"result": {"sentence": None}}, ""),
        ({"result": "None", "exit_code": -9}, ""),  # killed
        ({"error": "no such action"}, ""),
        (None, ""),
    ],
)
def test_what_a_task_said_at_its_end(api, history, result, sentence):
    engine = ApiExecutions(api.url, "token")
    heal = create(history, "bmc_healer.heal", "orquesta")
    about = {"orquesta": {"task_name": "reset_out_of_band"}}
    task = create(history, "bmc_healer.reset_bmc_oob", "python-script", heal, about)
    (running,) = engine.children(heal)
    assert (running.task, running.sentence) == ("reset_out_of_band", "")
    history.finish(task, "failed", result)
    (ended,) = engine.children(heal)
    assert (ended.task, ended.sentence) == ("reset_out_of_band", sentence)


def test_those_that_run(api, history):
    engine = ApiExecutions(api.url, "token")
    heals = [create(history, "bmc_healer.heal", "orquesta") for _ in range(3)]
    create(history, "bmc_healer.begin_heal", "python-script", heals[0])
    engine.cancel(heals[1])
    history.finish(heals[2], "succeeded")
    found = {info.id: info for info in engine.busy("bmc_healer.heal")}
    assert set(found) == set(heals[:2])
    assert all(abs(info.since - time.time()) < 5 for info in found.values())


def test_unknown_execution(api):
    engine = ApiExecutions(api.url, "token")
    assert engine.get(NOBODY) is None and engine.children(NOBODY) == ()
    assert engine.get("../keys") is None
    engine.cancel(NOBODY)


def test_clock_skew(api):
    engine = ApiExecutions(api.url, "token")
    assert abs(clock_skew(engine, time.time())) < 3
    assert clock_skew(engine, time.time() + 100) == pytest.approx(100, abs=3)


def test_wrong_token(api):
    engine = ApiExecutions(api.url, "wrong")
    with pytest.raises(StateError, match="401"):
        engine.get(NOBODY)
    assert clock_skew(engine, 0.0) is None


def test_nobody_listens(api):
    api.close()
    engine = ApiExecutions(api.url, "token")
    with pytest.raises(StateError, match="cannot be asked"):
        engine.get(NOBODY)
    assert clock_skew(engine, 0.0) is None


@pytest.fixture
def odd(request):
    """A server that answers every GET with the marker's status, Date header and body."""

    class Handler(http.server.BaseHTTPRequestHandler):
        answer = (200, None, b"")

        def do_GET(self):
            status, date, body = self.answer
            self.send_response_only(status)
            if date:
                self.send_header("Date", date)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()

    def engine(status=200, date=None, body=b""):
        Handler.answer = (status, date, body)
        return ApiExecutions(f"http://127.0.0.1:{server.server_port}", "", limit=2.0)

    yield engine
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"id": "x", "status": "running", "action": "y"}']
)
def test_an_answer_of_something_else(odd, body):
    with pytest.raises(StateError, match="none of StackStorm's API"):
        odd(body=body).get(NOBODY)


@pytest.mark.parametrize("status", [500, 503])
def test_a_server_in_trouble(odd, status):
    with pytest.raises(StateError, match=str(status)):
        odd(status).get(NOBODY)


@pytest.mark.parametrize("date", [None, "tomorrow"])
def test_a_date_that_cannot_be_read(odd, date):
    assert clock_skew(odd(404, date), 0.0) is None


def test_the_date_of_any_answer_will_do(odd):
    assert odd(404, "Sat, 21 Nov 2026 10:45:12 GMT").server_time() == 1795257912.0
