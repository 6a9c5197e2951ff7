"""`bmc-healer run` as a process of its own, as an operator would start it, and the story its events tell."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from demo.narrator import Narrator

RUNGS = {
    "begin_heal": "begin: guardrails, lock",
    "diagnose": "diagnose from fresh facts",
    "reap_clients": "rung 1: reap hung clients",
    "reset_in_band": "rung 2: in-band cold reset",
    "gate_in_band_reset": "gate",
    "unload_driver": "rung 3: unload the driver",
    "gate_unload": "gate",
    "throttle_kipmi": "rung 3: throttle kipmi",
    "gate_throttle": "gate",
    "reset_out_of_band": "rung 4: out-of-band cold reset",
    "gate_out_of_band_reset": "gate",
    "load_driver": "rung 5: load the driver",
    "gate_health": "last gate, in-band and LAN",
    "finish_heal": "conclude",
}


class Service:
    """Context manager: the running service; `heals()` yields the output of each heal that ends."""

    def __init__(self, config: Path, state: Path, log: Path, narrator: Narrator) -> None:
        command = [
            str(Path(sys.executable).with_name("bmc-healer")),
            "--config",
            str(config),
            "--state-dir",
            str(state),
        ]
        self._command = [*command, "--json", "run"]
        self._log = log
        self._narrator = narrator
        self._ended: queue.Queue[dict[str, Any] | None] = queue.Queue()

    def __enter__(self) -> Service:
        self._stderr = self._log.open("wb")
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.PIPE, stderr=self._stderr, text=True
        )
        threading.Thread(target=self._read, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._stderr.close()

    def heals(self, seconds: float) -> Iterator[dict[str, Any]]:
        """The outputs of heals as they end, for at most `seconds` until each; ends when the service dies."""
        while True:
            try:
                output = self._ended.get(timeout=seconds)
            except queue.Empty:
                return
            if output is None:
                return
            yield output

    def _read(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        for line in self._process.stdout:
            self._take(json.loads(line))
        self._ended.put(None)

    def _take(self, event: dict[str, Any]) -> None:
        kind, detail = event["kind"], event.get("detail") or {}
        if kind == "trigger":
            payload = detail.get("payload") or {}
            seen = payload.get("signature") or payload.get("error") or ""
            self._narrator.say(f"sensor: {detail['trigger']} host={payload.get('host', '')} {seen}".rstrip())
        elif kind == "rule.matched":
            self._narrator.say(f"rule: {detail['rule']} starts {detail['action']}")
        elif kind == "execution.ended" and event.get("task") in RUNGS:
            result = (event.get("result") or {}).get("result")
            told = result.get("sentence") if isinstance(result, dict) else event["status"]
            self._narrator.say(f"{RUNGS[event['task']]} ({event['seconds']:.0f} s): {told}")
        elif kind == "execution.ended" and event["action"] == "bmc_healer.heal_request":
            self._ended.put((event.get("result") or {}).get("output") or {"outcome": event["status"]})
