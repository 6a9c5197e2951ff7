"""The same state on packrunner's datastore, from several processes at once."""

import logging
import multiprocessing
import time
from pathlib import Path

import pytest

from bmc_healer.config.settings import GuardrailSettings, Mode
from bmc_healer.errors import StateError
from bmc_healer.guardrails import Request, judge
from bmc_healer.state.heal_state import HealState
from bmc_healer.state.refs import HealRef
from packrunner.database import FILE_NAME
from packrunner.services import DatastoreService

LIMITS = GuardrailSettings(concurrent_fleet=2)


def open_state(directory, **options):
    file = Path(directory) / FILE_NAME
    file = Path(directory) / FILE_NAME
    service = DatastoreService(file, "bmc_healer", "BeginHeal", logging.getLogger("test"))
    return HealState(service, **options)


def begin(directory, gate, answers, host, bmc):
    state = open_state(directory)
    gate.wait()
    request = Request(host, (f"rack={host}",), bmc, "sensor", ("oob",), 0.0)
    answer = state.claim(
        host=host,
        bmc_address=bmc,
        incident=state.new_incident_id(host, time.time()),
        execution="",
        label_keys=request.label_keys,
        settle_seconds=0.2,
        decide=lambda fleet, seen: judge(request, fleet, seen, LIMITS, Mode.AUTO, time.time()),
    )
    answers.put((host, answer))


@pytest.mark.parametrize("wishes", [[("db01", None)] * 6, [(f"db{n:02d}", None) for n in range(6)]])
def test_many_processes_begin_at_once(tmp_path, wishes):
    context = multiprocessing.get_context("spawn")
    open_state(tmp_path).fleet()  # as always, packrunner itself has made the file before any action runs
    gate, answers = context.Barrier(len(wishes)), context.Queue()
    processes = [context.Process(target=begin, args=(tmp_path, gate, answers, *wish)) for wish in wishes]
    for process in processes:
        process.start()
    found = [answers.get(timeout=60) for _ in wishes]
    for process in processes:
        process.join()
    won = [answer for _, answer in found if isinstance(answer, HealRef)]
    assert len(won) <= (1 if wishes[0] == wishes[1] else 2)
    state = open_state(tmp_path)
    assert {lock.incident for lock in state.fleet().locks} == {ref.incident for ref in won}
    incidents = [answer.incident for answer in won]
    assert len(incidents) == len(set(incidents))
    for ref in won:
        state.release(ref)
    begin(tmp_path, multiprocessing.Barrier(1), answers, "db01", None)
    assert isinstance(answers.get(timeout=10)[1], HealRef), "the race left nothing behind"


def test_a_whole_heal(tmp_path):
    state = open_state(tmp_path)
    incident = state.new_incident_id("db01", time.time())
    ref = state.claim(
        host="db01",
        bmc_address="10.1.0.1:623",
        incident=incident,
        execution="",
        label_keys=("rack=r12",),
        settle_seconds=0.0,
        decide=lambda fleet, host: None,
    )
    with state.deed(ref, "oob", time.time() + 30) as deed:
        deed.may_send()
        deed.result({"completion_code": 0})
    state.latch("db01", incident, "the BMC does not return")
    state.save_incident({"id": incident, "host": "db01", "started_at": 1.0, "outcome": "escalated"})
    state.release(ref)
    host = state.host("db01")
    assert host.latch.incident == incident and len(host.heals) == 1 and host.open_intents == ()
    state.resume("host=db01")
    assert state.host("db01").latch is None
    assert state.incident(incident)["outcome"] == "escalated"


def test_a_file_that_cannot_be_read(tmp_path):
    (tmp_path / FILE_NAME).write_bytes(b"this is no database" * 100)
    with pytest.raises(StateError):
        open_state(tmp_path).fleet()
