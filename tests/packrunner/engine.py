"""``python engine.py STATE_DIR ACTION JSON``: another process with a runner on the same state directory."""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from packrunner.runner import PackRunner


def main() -> None:
    pack = Path(__file__).parent / "pack"
    with PackRunner(pack, {"mode": "a"}, Path(sys.argv[1])) as runner:
        execution = runner.run_action(sys.argv[2], json.loads(sys.argv[3]), wait=False)
        print(execution.id, flush=True)
        print(runner.wait(execution.id).status, flush=True)


if __name__ == "__main__":
    main()
