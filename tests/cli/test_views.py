"""What a person sees: steps, the running one, results and reports at their width."""

import io

import pytest
from rich.console import Console

from bmc_healer import ladder
from bmc_healer_cli import report, show
from bmc_healer_cli.clean import clean
from bmc_healer_cli.live import LiveView
from bmc_healer_cli.progress import BAD, GOOD, LABELS, NEUTRAL, Progress, kipmi_percent, label, note
from bmc_healer_cli.view import PlainView, Quiet, view
from packrunner.events import Event
from tests.cli.incident import INCIDENT


def console(width=80, encoding="utf-8"):
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True)
    return Console(file=file, width=width, force_terminal=True, color_system=None, legacy_windows=False)


def printed(shown):
    shown.file.seek(0)
    return shown.file.read()


def started(task, execution="e1", at=1000.0):
    return Event("execution.started", at, execution, "r", "r", "bmc_healer.x", task, "running")


def ended(task, result, execution="e1", at=1030.0, seconds=30.0, status="succeeded"):
    whole = {"result": result, "stdout": ""}
    return Event("execution.ended", at, execution, "r", "r", "bmc_healer.x", task, status, whole, seconds)


def test_every_task_of_the_ladder_has_words():
    tasks = {
        *ladder.RUNG_TASKS.values(),
        *ladder.GATE_TASKS.values(),
        ladder.FINISH,
        "begin_heal",
        "diagnose",
    }
    assert tasks <= LABELS.keys()
    assert label("some_new_task") == "some new task"


@pytest.mark.parametrize(
    ("status", "verdict", "mark"),
    [
        ("succeeded", "passed", GOOD),
        ("succeeded", "hung", GOOD),
        ("succeeded", "failed", BAD),
        ("succeeded", "stuck", BAD),
        ("succeeded", "skipped", NEUTRAL),
        ("failed", "passed", BAD),
        ("timeout", "", BAD),
    ],
)
def test_progress_marks_steps(status, verdict, mark):
    progress = Progress()
    assert progress.take(started("gate_health")) is None
    assert [step.label for step in progress.running.values()] == ["gate: healthy again?"]
    result = {"host": "db01", "verdict": verdict, "sentence": "Said \x1b[2J so."}
    step = progress.take(ended("gate_health", result, status=status))
    assert (step.mark, step.sentence, step.host, step.seconds) == (mark, "Said ?[2J so.", "db01", 30.0)
    assert progress.running == {}


def test_progress_without_a_result_says_the_status():
    step = Progress().take(ended("gate_health", "None", status="timeout"))
    assert step.sentence == "timeout"


@pytest.mark.parametrize(
    ("evidence", "percent"),
    [
        ({"kipmi_percent": 3}, 3.0),
        ({"kipmi_percent": None}, None),
        ({"host": {"kipmi": [{"cpu_percent": 1.0}, {"cpu_percent": 99.5}]}}, 99.5),
        ({"host": {"kipmi": []}}, 0.0),
        ({"host": {}}, None),
        ({}, None),
        (None, None),
    ],
)
def test_kipmi_in_evidence(evidence, percent):
    assert kipmi_percent(evidence) == percent


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_live_shows_ended_steps_and_the_running_one(encoding):
    shown = console(encoding=encoding)
    live = LiveView(shown, lambda: 1095.0, named=False, waiting="")
    live.on_event(started("diagnose"))
    evidence = {"host": {"kipmi": [{"cpu_percent": 99.7}]}}
    live.on_event(
        ended("diagnose", {"sentence": "In-band hangs. " * 8, "verdict": "hung", "evidence": evidence})
    )
    live.on_event(started("reset_out_of_band", "e2", 1030.0))
    shown.print(live)
    lines = printed(shown).splitlines()
    assert lines[0][0] == ("✓" if encoding == "utf-8" else "+")
    assert lines[0][11:].startswith("look and diagnose  In-band hangs.")
    assert lines[1].startswith(" " * 11 + "In-band")
    assert lines[-1][5:].strip() == "1:05 rung: out-of-band cold reset  kipmi 100 %"
    assert max(map(len, lines)) <= 80


def test_live_view_runs_and_clears_itself():
    shown = console()
    with LiveView(shown, lambda: 1065.0, named=True, waiting="watching") as live:
        live.on_event(
            Event(
                "trigger",
                1000.0,
                detail={"trigger": "bmc_healer.kipmi.high_cpu", "payload": {"host": "db01"}},
            )
        )
        live.on_event(started("diagnose"))
        live.say("Something else.")
    assert "trigger bmc_healer.kipmi.high_cpu db01" in printed(shown)
    assert "Something else." in printed(shown)


def test_live_shows_that_it_waits_while_nothing_runs():
    shown = console()
    times = iter([1000.0, 1065.0])
    shown.print(LiveView(shown, lambda: next(times), named=False, waiting="diagnose db01"))
    assert printed(shown).rstrip().endswith("1:05 diagnose db01")


def test_the_view_fits_the_console():
    assert isinstance(view(console(), "", quiet=True), Quiet)
    assert isinstance(view(console(), ""), LiveView)
    assert isinstance(view(Console(file=io.StringIO()), ""), PlainView)


@pytest.mark.parametrize(
    ("event", "sentence"),
    [
        (Event("sensor.exited", 0, detail={"sensor": "s", "exit_code": 1}), "sensor s ended with status 1"),
        (Event("trigger.dropped", 0, detail={"trigger": "t", "reason": "r"}), "trigger t dropped: r"),
        (Event("rule.failed", 0, detail={"rule": "r", "reason": "x\x07"}), "rule r failed: x?"),
        (Event("execution.started", 0), None),
        (
            Event(
                "execution.ended",
                0,
                "r",
                "",
                "r",
                "p.heal",
                "",
                "succeeded",
                {"output": {"host": "a", "outcome": "healed", "summary": "S."}},
            ),
            "p.heal ended (a healed): S.",
        ),
        (Event("execution.ended", 0, "r", "", "r", "p.heal", "", "failed"), "p.heal ended: failed"),
    ],
)
def test_notes(event, sentence):
    assert note(event) == sentence


@pytest.mark.parametrize("width", [80, 120])
def test_a_report_fits_its_terminal(width):
    shown = console(width)
    show.lines(shown, report.lines(INCIDENT, 0.0))
    lines = printed(shown).splitlines()
    assert max(map(len, lines)) <= width
    for line in (
        "Outcome    healed by oob",
        "When       2026-11-21 10:45:12 UTC, 2 min 31 s",
        "  10:46:30  gate: out-of-band reset worked?  [passed, 58.0 s]",
        "            Warning: The firmware is 2.42 now, it was 2.41.",
        "  counters   ipmi0: 0 completed, 12 timeouts in 30 s",
        "             ipmitool sdr list (pid 911) 11 h, S in do_select",
        "  watchdog   ipmi_watchdog is loaded",
    ):
        assert line in lines
    assert sum("ipmitool sdr list" in line for line in lines) == 5


def test_a_report_of_a_heal_that_just_began():
    incident = {"id": "a-20261121-104512", "host": "a", "started_at": 1000.0}
    lines = report.lines(incident, 1060.0)
    assert "Outcome    running" in lines
    assert any(line.endswith("UTC, 1 min") for line in lines)
    assert lines[-1] == "  none was collected"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59.9, "59 s"), (60, "1 min"), (3661, "1 h 1 min 1 s"), (-5, "0 s")]
)
def test_durations(seconds, text):
    assert report.duration(seconds) == text


ROWS = [
    {
        "id": "db01-20261121-104512",
        "outcome": "healed by oob",
        "why": "Healed by an out-of-band cold reset. " * 3,
    }
]


def test_a_table_shortens_its_last_column_or_puts_it_below():
    wide, narrow = console(100), console(50)
    show.table(wide, ROWS)
    show.table(narrow, ROWS)
    assert [len(line) <= 100 for line in printed(wide).splitlines()] == [True, True]
    assert printed(wide).splitlines()[1].endswith("…")
    lines = printed(narrow).splitlines()
    assert lines[0] == "db01-20261121-104512  healed by oob"
    assert lines[1].startswith("    Healed by")
    assert max(map(len, lines)) <= 50


def test_a_diagnosis_shows_its_evidence():
    shown = console()
    show.result(
        shown, {"sentence": "It hangs.", "plan": ["oob"], "evidence": INCIDENT["evidence"], "identity": "x"}
    )
    lines = printed(shown).splitlines()
    assert lines[:3] == ["It hangs.", "plan: oob", "evidence"]
    assert "  BMC        in-band hung, LAN alive, firmware 2.41" in lines


def test_a_heal_without_an_outcome_says_so():
    shown = console()
    show.result(shown, {"summary": "It broke off.", "outcome": None, "host": "db01"})
    assert printed(shown) == "db01: ended without an outcome. It broke off.\n"


def test_clean():
    assert clean("a\x1b[2Jb\x00\nü") == "a?[2Jb?\nü"
