"""A copy of the pack with stand-ins for what its actions do: see standin.py."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

PACK = Path(__file__).parents[2]
CONFIG = {"mode": "auto", "hosts": {"db01": {"transport": "local"}}}


def copy_of_the_pack(directory, scripts, *, timeouts=None):
    """Everything but rules and sensors.

    :param timeouts: action -> seconds, where waiting for the real limit takes too long
    """
    for name in ("pack.yaml", "config.schema.yaml"):
        shutil.copy(PACK / name, directory / name)
    for name in ("actions", "aliases", "policies", "workflows"):
        (directory / name).mkdir()
        for file in (PACK / name).glob("*.yaml"):
            shutil.copy(file, directory / name / file.name)
    actions = directory / "actions"
    (actions / "lib").symlink_to(PACK / "lib")
    (actions / "workflows").symlink_to(directory / "workflows")
    for file in (PACK / "actions").glob("*.py"):
        shutil.copy(Path(__file__).with_name("standin.py"), actions / file.name)
    for action, seconds in (timeouts or {}).items():
        shorten(actions / f"{action}.yaml", seconds)
    (actions / "script.json").write_text(json.dumps(scripts))
    return directory


def shorten(file, seconds):
    head, mark, rest = file.read_text().partition("  timeout:\n    immutable: true\n    default: ")
    assert mark, file
    file.write_text(head + mark + str(seconds) + "\n" + rest.partition("\n")[2])
