"""packrunner, as it is used without a StackStorm server: the command line, one process per order."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from packrunner.database import FILE_NAME, Database
from packrunner.datastore import Datastore
from packrunner.execution import Execution
from packrunner.executions import Executions
from packrunner.history import History
from tests.guest.healer import COMMAND
from tests.stackstorm.api import until
from tests.stackstorm.equivalence.engine import KINDS, Run, Settings
from tests.stackstorm.product import PACK

BEGIN_SECONDS = 60.0


class Packrunner:
    """An installation of its own in `folder`."""

    name = "packrunner"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._commands: list[_Command] = []
        database = Database(folder / "state" / FILE_NAME)
        self._executions = Executions(History(database))
        self._datastore = Datastore(database)

    def configure(self, settings: Settings) -> None:
        """Secrets stand in the file itself, which is 0600."""
        config = {
            **settings.sections,
            "credentials": {"lab": {"username": settings.user, "password": settings.password}},
            "notify": [{"url": settings.chat_url}],
        }
        file = self._folder / "bmc_healer.yaml"
        file.touch(mode=0o600)
        file.write_text(json.dumps(config))

    def heal(self, parameters: Mapping[str, Any]) -> Run:
        """`bmc-healer heal`."""
        given = dict(parameters)
        rungs = given.pop("rungs", [])
        flags = [f"--{name.replace('_', '-')}" for name in ("force", "dry_run") if given.pop(name, False)]
        flags += ["--rungs", ",".join(rungs)] if rungs else []
        assert set(given) == {"host", "reason"}, given
        return self._start("heal", *flags, "--reason", given["reason"], "--", given["host"])

    def action(self, name: str, parameters: Mapping[str, Any]) -> Run:
        """`bmc-healer pause` and the like."""
        given = dict(parameters)
        about = [given.pop(word) for word in ("host", "target") if word in given]
        options = [text for option, value in given.items() for text in (f"--{option}", str(value))]
        return self._start(name, *options, "--", *about)

    def trigger(self, name: str, payload: Mapping[str, Any]) -> Run:
        """`bmc-healer trigger`."""
        return self._start("trigger", name, json.dumps(payload))

    def chat(self, text: str) -> Run:
        """`bmc-healer chat`."""
        return self._start("chat", text)

    def end(self, run: Run, seconds: float) -> None:
        """The command ends with its execution."""
        run.handle.process.wait(seconds)
        told = run.handle.told
        run.ack, run.said = told.get("ack", ""), told.get("text", "")
        if run.id:
            run.document = self._executions.require(run.id).as_api()

    def tasks(self, run: Run) -> list[dict[str, Any]]:
        """See `Engine`."""
        found = self._executions.list(parent=run.id)
        return [{**each.as_api(), "task": each.task} for each in reversed(found)]

    def cancel(self, run: Run) -> None:
        """From another process."""
        self._executions.cancel(run.id, "somebody")

    def documents(self) -> dict[str, dict[str, Any]]:
        """See `Engine`."""
        rows = (row for kind in KINDS for row in self._datastore.list(f"{PACK}:{kind}", limit=-1))
        return {row.name: json.loads(row.value) for row in rows}

    def close(self) -> None:
        """End what a failed scenario left running."""
        for command in self._commands:
            if command.process.poll() is None:
                command.process.kill()
                command.process.wait()

    def _start(self, *arguments: str) -> Run:
        output = self._folder / f"{len(self._commands)}"
        options = ["--config", str(self._folder / "bmc_healer.yaml"), "--json"]
        options += ["--state-dir", str(self._folder / "state")]
        with output.with_suffix(".out").open("wb") as out, output.with_suffix(".err").open("wb") as err:
            process = subprocess.Popen([COMMAND, *options, *arguments], stdout=out, stderr=err)
        command = _Command(process, output)
        self._commands.append(command)
        run = Run(arguments[0], handle=command)

        def begun() -> bool:
            ended = process.poll() is not None
            run.id = self._execution_of(process.pid)
            return bool(run.id) or ended

        until(begun, BEGIN_SECONDS, f"the beginning of {arguments}", interval=0.1)
        if not run.id:
            run.refused = command.told.get("sentence") or command.errors
        return run

    def _execution_of(self, pid: int) -> str:
        """The outermost execution that a command began."""
        found: list[Execution] = self._executions.list(parent="")
        return next((each.id for each in found if each.engine.pid == pid), "")


class _Command(NamedTuple):
    """A command line at work; its output goes to files."""

    process: subprocess.Popen[bytes]
    output: Path

    @property
    def told(self) -> dict[str, Any]:
        """The JSON document it printed."""
        told: dict[str, Any] = json.loads(self.output.with_suffix(".out").read_text() or "{}")
        return told

    @property
    def errors(self) -> str:
        return self.output.with_suffix(".err").read_text()
