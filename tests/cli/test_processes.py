"""The command line as a process: exit statuses, signals, the service."""

import contextlib
import json
import signal
import sqlite3
import time

import pytest

pytestmark = pytest.mark.alone


def read_until(child, text):
    """Lines up to the one that contains `text`."""
    lines = []
    for line in child.stdout:
        lines.append(line)
        if text in line:
            return lines
    pytest.fail(f"{text!r} never came: {''.join(lines)} {child.stderr.read()}")


@pytest.mark.parametrize(("host", "status"), [("well", 0), ("busy", 3), ("dead", 4)])
def test_exit_statuses(process, host, status):
    child = process("heal", host, "--json")
    out, err = child.communicate(timeout=60)
    assert (child.returncode, err) == (status, "")
    assert json.loads(out)["host"] == host


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_the_step_end_and_starts_no_other(process, number):
    child = process("heal", "slow")
    read_until(child, "look and diagnose ...")
    child.send_signal(number)
    out, _ = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "Cancelling. The step that runs now goes on to its natural end" in out
    assert "look and diagnose done" in out
    assert "the lock stays until" in out
    assert "This must never run" not in out


def test_a_second_signal_leaves_at_once_and_the_step_lives_on(process):
    child = process("heal", "slow")
    began = time.monotonic()
    read_until(child, "look and diagnose ...")
    child.send_signal(signal.SIGINT)
    read_until(child, "Cancelling.")
    child.send_signal(signal.SIGINT)
    out, _ = child.communicate(timeout=60)
    assert child.returncode == 130
    assert time.monotonic() - began < 60
    assert "Left. The step that was running goes on by itself" in out
    assert "look and diagnose done" not in out


def wait_for_task(database, task, status="running"):
    """Until that task of a workflow has this status."""
    query = "SELECT 1 FROM executions WHERE task = ? AND status = ?"
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(database)) as connection:
            if connection.execute(query, [task, status]).fetchone():
                return
        time.sleep(0.05)
    pytest.fail(f"{task} never began")


def test_a_cancelled_heal_is_one_json_document(process, tmp_path):
    child = process("heal", "slow", "--json")
    wait_for_task(tmp_path / "state" / "packrunner.db", "diagnose")
    child.send_signal(signal.SIGINT)
    out, _ = child.communicate(timeout=60)
    assert json.loads(out)["status"] == "canceled"


def test_the_service_heals_by_itself_and_stops(process):
    child = process("run")
    lines = read_until(child, "bmc_healer.heal ended")
    assert any("trigger bmc_healer.kipmi.high_cpu well" in line for line in lines)
    assert any("rule bmc_healer.heal starts bmc_healer.heal" in line for line in lines)
    assert "(well not_needed): No symptom: nothing to heal." in lines[-1]
    second = process("run")
    _, err = second.communicate(timeout=60)
    assert second.returncode == 2
    assert f"is running already (process {child.pid})" in err
    child.send_signal(signal.SIGTERM)
    child.communicate(timeout=60)
    assert child.returncode == 0


def test_the_service_tells_machines_an_event_a_line(process):
    child = process("run", "--json")
    lines = read_until(child, '"rule.matched"')
    assert json.loads(lines[0])["kind"] == "runner.started"
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=60)
    assert child.returncode == 0


def test_a_reader_that_has_enough(process):
    child = process("heal", "--help")
    child.stdout.close()
    child.wait(60)
    assert "Traceback" not in child.stderr.read()


def test_a_service_that_nobody_reads_goes_on(process, tmp_path):
    child = process("run", "--json")
    child.stdout.readline()
    child.stdout.close()
    wait_for_task(tmp_path / "state" / "packrunner.db", "begin_heal", "succeeded")
    child.send_signal(signal.SIGTERM)
    assert child.wait(60) == 0
    assert "Traceback" not in child.stderr.read()
