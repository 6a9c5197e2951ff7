"""Who may know whom: read from the source, and from what an action's process really imports."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bmc_healer.verbs import MODULES

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "lib" / "bmc_healer"
STACKSTORM = {"st2common", "st2reactor", "st2client", "st2api", "st2actions"}
OWN = {"bmc_healer", "packrunner", "bmc_healer_cli", "actions", "sensors", "lab", "bench", "year", "tests"}
# Room -> which of our rooms, of StackStorm and of other people's libraries it may import
ROOMS = {
    "lib": (
        LIBRARY,
        {"bmc_healer", "pyghmi", "psutil", "requests", "asyncssh", "apprise", "yaml", "jsonschema"},
    ),
    "actions": (ROOT / "actions", {"bmc_healer", "st2common"}),
    "sensors": (ROOT / "sensors", {"bmc_healer", "bmc_healer_engine", "st2common", "st2reactor"}),
    "packrunner": (
        ROOT / "packrunner",
        # st2common and st2reactor are its own stand-ins, where the real ones are not installed
        {"packrunner", "st2common", "st2reactor", "orquesta", "jinja2", "jsonschema", "psutil", "yaml"},
    ),
    "cli": (ROOT / "cli", {"bmc_healer", "packrunner", "bmc_healer_cli", "typer", "rich"}),
    "lab": (ROOT / "lab", {"lab"}),
    "year": (ROOT / "year", {"year", "bmc_healer"}),
    "bench": (
        ROOT / "bench",
        {"bench", "lab", "bmc_healer", "asyncssh", "psutil", "pyghmi", "paramiko", "pytest"},
    ),
}
HEAVY = {"pyghmi", "asyncssh", "apprise", "requests", "jsonschema"}
ALLOWED_CPU_SECONDS = 0.25


def sources(directory):
    """Every Python file of a room; its links lead into other rooms."""
    return [file for file in sorted(directory.rglob("*.py")) if file.resolve() == file]


def imports(file):
    """Top-level names of everything a file imports, wherever in it; a relative one stays in its package."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield (node.module or "").partition(".")[0]


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_whom_it_may_know(room):
    directory, allowed = ROOMS[room]
    files = sources(directory)
    assert files
    for file in files:
        strangers = set(imports(file)) - allowed - sys.stdlib_module_names
        assert not strangers, f"{file.relative_to(ROOT)} imports {', '.join(sorted(strangers))}"


def test_only_the_command_line_knows_library_and_packrunner():
    both = {
        room
        for room, (directory, _) in ROOMS.items()
        if {"bmc_healer", "packrunner"} <= {name for file in sources(directory) for name in imports(file)}
    }
    assert both == {"cli"}


def test_packrunner_has_not_one_word_about_bmcs():
    """Another pack would run in it."""
    words = re.compile(r"bmc|ipmi|redfish|\bheal", re.IGNORECASE)
    for file in sorted((ROOT / "packrunner").rglob("*")):
        if file.suffix in (".py", ".yaml", ".md", ".sh"):
            for number, line in enumerate(file.read_text().splitlines(), 1):
                found = words.search(line)
                assert not found, f"{file.relative_to(ROOT)}:{number}: {found.group()}"


def test_the_library_names_no_engine_s_classes():
    """StackStorm's datastore and executions come in as protocols."""
    for file in sources(LIBRARY):
        assert not set(imports(file)) & (STACKSTORM | OWN - {"bmc_healer"}), file


def import_alone(module):
    """(CPU seconds, what is loaded) of importing a module in a process of its own, as an action does."""
    script = (
        "import sys, time; before = time.process_time(); __import__(sys.argv[1]); "
        "print(time.process_time() - before, *sorted({n.partition('.')[0] for n in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, module],
        env={"PYTHONPATH": str(ROOT / "lib")},
        capture_output=True,
        text=True,
        check=True,
    )
    seconds, *loaded = done.stdout.split()
    return float(seconds), set(loaded)


@pytest.mark.parametrize("module", sorted(set(MODULES.values())))
def test_importing_a_verb_is_cheap(module):
    """StackStorm starts a process per action: what a task does not use it must not pay for."""
    seconds, loaded = import_alone(f"bmc_healer.verbs.{module}")
    assert not loaded & HEAVY
    for _ in range(3):  # the first time may have had to compile
        seconds = min(seconds, import_alone(f"bmc_healer.verbs.{module}")[0])
        if seconds < ALLOWED_CPU_SECONDS:
            break
    assert seconds < ALLOWED_CPU_SECONDS


def test_the_watch_starts_without_the_heavy_libraries():
    """Two of them run all the time."""
    _, loaded = import_alone("bmc_healer.watch.__main__")
    assert not loaded & (HEAVY - {"jsonschema"})
