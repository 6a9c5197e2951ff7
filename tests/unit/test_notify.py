"""Chat over real HTTP on loopback: Apprise's json:// target posts to it as to a webhook."""

import http.server
import json
import logging
import threading
import time

import pytest

from bmc_healer import notify
from bmc_healer.state.heal_state import HealState

TOKEN = "s3cr3tT0ken"  # nobody's


class Chat:
    """An HTTP receiver that answers with the given statuses in turn, the last one for ever.

    `delay`: its answer takes so long; `pause`: it begins so late, though the message was taken at once
    """

    def __init__(self, statuses=(200,), delay=0.0, pause=0.0):
        self.heard = []
        self.paths = []
        self.statuses = list(statuses)
        self.delay = delay
        self._end = threading.Event()
        chat = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status = chat.statuses.pop(0) if len(chat.statuses) > 1 else chat.statuses[0]
                chat.paths.append(self.path)
                if status == 200:
                    chat.heard.append((body["title"], body["message"]))
                chat._end.wait(pause)
                self.send_response(status)
                self.end_headers()
                end = time.monotonic() + chat.delay
                while time.monotonic() < end and not chat._end.is_set():
                    self.wfile.write(b" ")
                    self.wfile.flush()
                    chat._end.wait(0.2)

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"json://127.0.0.1:{self.server.server_port}/{TOKEN}"

    def close(self):
        self._end.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def chat(request):
    made = []

    def open_chat(*args, **kwargs):
        made.append(Chat(*args, **kwargs))
        return made[-1]

    yield open_chat
    for one in made:
        one.close()


@pytest.fixture
def state(datastore, clock):
    return HealState(datastore, clock=clock)


def test_what_chat_hears_leaves_nothing_in_the_outbox(chat, state, clock):
    room = chat()
    (delivery,) = notify.tell(state, [room.url], "db01 healed", "by oob in 92 s", clock=clock)
    assert delivery.ok
    assert room.heard == [("db01 healed", "by oob in 92 s")]
    assert state.outbox.pending() == ()


@pytest.mark.parametrize("status", [500, 429, 404])
def test_a_refusing_endpoint_hears_it_later(chat, state, clock, status):
    room = chat([status, 200])
    (delivery,) = notify.tell(state, [room.url], "db01 escalated", "power drain needed", clock=clock)
    assert not delivery.ok
    assert str(status) in delivery.error
    (waiting,) = state.outbox.pending()
    assert waiting.attempts == 1
    assert notify.flush(state, [room.url], clock=clock) == [], "not before its time"
    clock.now = waiting.next_try
    (again,) = notify.flush(state, [room.url], clock=clock)
    assert again.ok
    assert room.heard == [("db01 escalated", "power drain needed")]
    assert state.outbox.pending() == ()


def test_only_the_target_that_missed_it_hears_it_again(chat, state, clock):
    good, bad = chat(), chat([500, 200])
    notify.tell(state, [good.url, bad.url], "t", "b", clock=clock)
    clock.now += 3600
    notify.flush(state, [good.url, bad.url], clock=clock)
    assert len(good.heard) == len(bad.heard) == 1
    assert state.outbox.pending() == ()


def test_loading_apprise_is_not_the_endpoints_time(chat, monkeypatch):
    """Real, but slow at first, as on a busy machine: the plug-ins are loaded with the first URL."""
    import apprise

    real, seconds, good = apprise.Apprise.instantiate, [2.0], chat()

    def slow(*args, **more):
        time.sleep(seconds.pop() if seconds else 0)
        return real(*args, **more)

    monkeypatch.setattr(apprise.Apprise, "instantiate", staticmethod(slow))
    (delivery,) = notify.deliver([good.url], "t", "b", limit=1.5)
    assert delivery.ok, delivery.error


def test_a_hanging_endpoint_costs_its_limit_and_does_not_delay_the_others(chat, state, clock):
    slow, good = chat(delay=60.0), chat()
    notify.deliver([], "", "")
    begun = time.monotonic()
    deliveries = notify.tell(state, [slow.url, good.url], "t", "b", clock=clock, limit=1.5)
    assert time.monotonic() - begun < 6.0, "the limit, and Apprise's import"
    assert [d.ok for d in deliveries] == [False, True]
    assert "no answer within" in deliveries[0].error
    assert len(state.outbox.pending()) == 1


def test_a_chat_that_takes_five_seconds_hears_it_once(chat, state, clock):
    slow = chat(pause=5.0)
    (delivery,) = notify.tell(state, [slow.url], "t", "b", clock=clock)
    assert delivery.ok
    assert len(slow.heard) == 1
    assert state.outbox.pending() == ()


@pytest.mark.parametrize("more", ["", "?rto=1"])
def test_a_chat_that_answers_too_late_hears_it_again_and_ever_less_often(
    chat, state, clock, monkeypatch, more
):
    monkeypatch.setattr(notify, "READ_SECONDS", 0.2 if not more else 60.0)
    slow = chat(pause=20.0)
    url = slow.url + more
    (delivery,) = notify.tell(state, [url], "t", "b", clock=clock, limit=5.0)
    assert (delivery.ok, delivery.unanswered) == (False, True)
    (waiting,) = state.outbox.pending()
    assert waiting.next_try == clock.now + 30
    if not more:
        for _ in range(12):
            clock.now = waiting.next_try
            notify.flush(state, [url], clock=clock, limit=5.0)
            (waiting,) = state.outbox.pending()
        assert waiting.next_try == clock.now + 86400


def test_a_chat_that_refuses_is_tried_every_ten_minutes(chat, state, clock):
    room = chat([503])
    notify.tell(state, [room.url], "t", "b", clock=clock)
    for _ in range(12):
        (waiting,) = state.outbox.pending()
        clock.now = waiting.next_try
        (delivery,) = notify.flush(state, [room.url], clock=clock)
        assert not delivery.unanswered
    (waiting,) = state.outbox.pending()
    assert waiting.next_try == clock.now + 600


@pytest.fixture
def logged():
    """What a root logger at DEBUG would write; pytest's own handlers sit on mute loggers too."""
    lines = []

    class Lines(logging.Handler):
        def emit(self, record):
            lines.append(record.getMessage())

    root, handler = logging.getLogger(), Lines()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield lines
    root.removeHandler(handler)
    root.setLevel(level)


def test_nobody_there_and_no_token_in_any_text(chat, state, clock, logged, datastore):
    room = chat()
    notify.deliver([room.url], "t", "b")
    room.close()
    url = room.url.replace("json://", f"json://user:{TOKEN}@")
    (delivery,) = notify.tell(state, [url], "t", "b", clock=clock)
    assert not delivery.ok and delivery.error
    (waiting,) = state.outbox.pending()
    assert waiting.error
    assert logged
    assert TOKEN not in repr((delivery, waiting, datastore.rows, logged))


def test_an_url_that_apprise_does_not_know(state, clock):
    (delivery,) = notify.tell(state, [f"nosuch://{TOKEN}/x"], "t", "b", clock=clock)
    assert "does not know" in delivery.error and TOKEN not in delivery.error


def test_the_datastore_down_does_not_keep_chat_from_hearing(chat, state, datastore, clock):
    room = chat()
    datastore.down = True
    (delivery,) = notify.tell(state, [room.url], "t", "b", clock=clock)
    assert delivery.ok and room.heard == [("t", "b")]


def test_an_unreachable_chat_is_tried_once_per_flush_and_ever_more_rarely(chat, state, clock):
    room = chat([500])
    for number in range(3):
        notify.tell(state, [room.url], f"t{number}", "b", clock=clock)
        clock.now += 1
    seen = len(room.paths)
    clock.now += 60
    notify.flush(state, [room.url], clock=clock)
    assert len(room.paths) == seen + 1
    waits = [notify.wait_after(n) for n in range(1, 10)]
    assert waits == sorted(waits) and waits[0] == 30.0 and waits[-1] == 600.0


def test_without_a_target_nothing_is_written_and_nothing_lost(state, clock, chat, datastore):
    assert notify.tell(state, [], "t", "b", clock=clock) == [] and not datastore.rows
    notify.tell(state, [chat([500]).url], "t", "b", clock=clock)
    clock.now += 3600
    assert notify.flush(state, [], clock=clock) == []
    assert len(state.outbox.pending()) == 1


def test_scrub_takes_every_part_of_the_url():
    url = "slack://TokenAAAA/TokenBBBB/p%40ssword?key=hush"
    text = "POST to https://hooks.example/TokenBBBB failed: TokenAAAA p@ssword p%40ssword hush"
    assert notify.scrub(text, [url]) == "POST to *** failed: *** *** *** ***"
