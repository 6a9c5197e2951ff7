"""Answers what `story.json` says for this host and task: {"seconds": ..., "fails": ..., "result": {...}}."""

import json
import time
from pathlib import Path

from st2common.runners.base_action import Action


class Canned(Action):
    """One action for all tasks."""

    def run(self, host, task):
        """Wait, then answer."""
        story = json.loads((Path(__file__).parent / "story.json").read_text())
        told = story.get(host, {}).get(task, {})
        time.sleep(told.get("seconds", 0))
        return not told.get("fails", False), {"host": host, **told.get("result", {})}
