"""The history as the command line sees it."""

from __future__ import annotations

from collections.abc import Sequence

from packrunner.execution import Execution
from packrunner.history import History
from packrunner.processes import own_identity


class Executions:
    """The history, for the command line."""

    def __init__(self, history: History) -> None:
        self._history = history
        self.bury = history.bury
        self.require = history.require

    def open_here(self) -> Sequence[Execution]:
        """Those of the calling process that have not ended."""
        return [e for e in self._history.unfinished() if e.engine == own_identity()]

    def get(self, execution_id: str) -> Execution | None:
        """The execution, or None; one whose engine is gone is shown as abandoned."""
        self._history.bury()
        return self._history.get(execution_id)

    def list(
        self,
        *,
        parent: str | None = None,
        action: str | None = None,
        status: str | None = None,
        limit: int = 100,
    ) -> list[Execution]:
        """Newest first; ``parent=""`` for the outermost ones only."""
        self._history.bury()
        return self._history.find(parent=parent, action=action, status=status, limit=limit)

    def cancel(self, execution_id: str, user: str = "") -> Execution | None:
        """Ask an execution of any process to end: no further task starts, a running action goes on."""
        return self._history.cancel(execution_id, user)
