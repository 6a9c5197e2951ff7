"""The watch process lives exactly as long as its stdin is open, whatever it is doing."""

import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

import bmc_healer

LIBRARY = str(Path(bmc_healer.__file__).parent.parent)
# 192.0.2.0/24 (TEST-NET-1) would leave the machine: a port nobody answers on does as well
SILENT = {"address": "127.0.0.1", "port": 9, "credential": "lab"}


def start(kind, config):
    process = subprocess.Popen(
        [sys.executable, "-m", "bmc_healer.watch", kind],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": LIBRARY},
    )
    process.stdin.write(json.dumps({"config": config, "state": {}}).encode() + b"\n")
    process.stdin.flush()
    return process


def lines_until(process, wanted):
    for data in process.stdout:
        line = json.loads(data)
        if wanted(line):
            return line
    raise AssertionError("the watch process ended")


def end(process):
    """Milliseconds from the end of its stdin to its own."""
    gone = select.poll()
    number = os.pidfd_open(process.pid)  # Popen.wait looks only every 50 ms
    gone.register(number, select.POLLIN)
    started = time.monotonic()
    process.stdin.close()
    assert gone.poll(5000)
    ended = time.monotonic()
    os.close(number)
    process.wait()
    process.stdout.close()
    return (ended - started) * 1000


def config(host, **watch):
    return {
        "mode": "observe",
        "hosts": {"db01": host},
        "credentials": {"lab": {"username": "admin", "password": "labpass"}},
        "watch": watch,
    }


def beat(line):
    return "beat" in line


@pytest.mark.parametrize(
    ("kind", "host", "watch", "wanted"),
    [
        ("kipmi", {"transport": "local"}, {}, beat),
        (
            "bmc",
            {"transport": "none", "bmc": SILENT | {"identity": "trust"}},
            {},
            beat,
        ),  # in the middle of a sweep
        ("kipmi", {"transport": "local", "bmc": SILENT}, {}, beat),
        ("kipmi", {"transport": "nonsense"}, {}, lambda line: "nothing is watched" in line.get("text", "")),
    ],
)
def test_it_is_gone_with_its_stdin(kind, host, watch, wanted):
    took = []
    for _ in range(3):  # a busy machine may be slow once; what waits for something is slow each time
        process = start(kind, config(host, **watch))
        lines_until(process, wanted)
        took.append(end(process))
        if took[-1] < 100:
            return
    raise AssertionError(took)


def test_it_is_gone_even_while_nobody_reads_it(tmp_path):
    process = start("kipmi", config({"transport": "local"}))
    lines_until(process, beat)
    os.kill(process.pid, 0)
    process.stdout.close()  # its next line meets a broken pipe
    process.stdin.close()
    assert process.wait(5) is not None


CHILD = """
import subprocess, sys
from bmc_healer.watch.wire import follow
child = subprocess.Popen(["sleep", "60"], start_new_session=True, stdout=subprocess.DEVNULL)
print(child.pid, flush=True)
follow(sys.stdin.buffer, print).join()
"""


def test_its_children_end_with_it():
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": LIBRARY},
    )
    child = int(process.stdout.readline())
    assert Path(f"/proc/{child}").exists()
    end(process)
    deadline = time.monotonic() + 2.0
    while _lives(child) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not _lives(child)


def _lives(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


def test_a_bad_configuration_is_said_once_and_the_process_stays():
    process = start("kipmi", {"hosts": {"db01": {}}})
    line = lines_until(process, lambda line: "log" in line)
    assert line["log"] == "error"
    assert "mode" in line["text"]
    assert process.poll() is None
    end(process)


def test_without_a_first_line_there_is_nothing_to_do():
    done = subprocess.run(
        [sys.executable, "-m", "bmc_healer.watch", "kipmi"],
        input=b"",
        capture_output=True,
        timeout=20,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": LIBRARY},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
