"""No shell is ever given a text that was put together: read from the source of everything that runs.

A shell that is needed (on a host) gets one of the library's own scripts, whole, and data as own arguments.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("lib/bmc_healer", "packrunner", "cli", "actions", "sensors", "lab", "demo", "bench", "year", "tools")
CALLS = {
    "system",
    "popen",
    "getoutput",
    "getstatusoutput",
    "create_subprocess_shell",
    "subprocess_shell",
    "spawnl",
}
SHELLS = {"sh", "bash", "/bin/sh", "/bin/bash", "dash"}
BUILT = (ast.JoinedStr, ast.BinOp)


def faults(source: str) -> list[str]:
    """What is wrong in one file, with its line."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in CALLS:
                found.append(f"{node.lineno}: {name}() starts a shell")
            for keyword in node.keywords:
                off = isinstance(keyword.value, ast.Constant) and not keyword.value.value
                if keyword.arg == "shell" and not off:
                    found.append(f"{node.lineno}: shell={ast.unparse(keyword.value)}")
            if (
                name in ("run", "create_process")
                and _is_connection(node)
                and node.args
                and not _quoted(node.args[0])
            ):
                found.append(f"{node.lineno}: SSH is given {ast.unparse(node.args[0])}")
        if isinstance(node, (ast.List, ast.Tuple)) and _built_script(node.elts):
            found.append(f"{node.lineno}: a shell's script is put together: {ast.unparse(node)[:60]}")
    return found


def _is_connection(node: ast.Call) -> bool:
    """`connection.create_process(TEXT)` of asyncssh takes one text, which the host's shell reads."""
    return isinstance(node.func, ast.Attribute) and "conn" in ast.unparse(node.func.value)


def _quoted(text: ast.expr) -> bool:
    """A constant, or made by shlex, or a text in which every part that is put in is quoted by it."""
    if isinstance(text, ast.JoinedStr):
        return all(_quoted(part.value) for part in text.values if isinstance(part, ast.FormattedValue))
    return isinstance(text, ast.Constant) or ast.unparse(text).startswith(("shlex.join(", "shlex.quote("))


def _built_script(words: list[ast.expr]) -> bool:
    """`["sh", "-c", <a text with something in it>]`, wherever it stands in the list."""
    for at in range(len(words) - 2):
        shell, option, script = words[at : at + 3]
        is_shell = isinstance(shell, ast.Constant) and shell.value in SHELLS
        if (
            is_shell
            and isinstance(option, ast.Constant)
            and option.value == "-c"
            and isinstance(script, BUILT)
        ):
            return True
    return False


def files():
    return [file for room in ROOMS for file in sorted((ROOT / room).rglob("*.py")) if file.resolve() == file]


def test_no_shell_is_built_from_data():
    found = [f"{file.relative_to(ROOT)}:{fault}" for file in files() for fault in faults(file.read_text())]
    assert found == []


def test_there_is_something_to_look_at():
    assert len(files()) > 150
    assert any('"sh", "-c"' in file.read_text() for file in files())


@pytest.mark.parametrize(
    "source",
    [
        "import os; os.system('reboot')",
        "subprocess.run(text, shell=True)",
        "subprocess.run(text, shell=maybe)",
        "asyncio.create_subprocess_shell(text)",
        "access.run(['sh', '-c', f'rm {path}'], limit=1)",
        "access.run(['sh', '-c', 'rm ' + path], limit=1)",
        "run(['sudo', 'sh', '-c', 'rm %s' % path])",
        "subprocess.getoutput(text)",
        "self._connection.run(f'cat {path}')",
        "self._connection.create_process(text)",
        "self._connection.create_process(f'exec sh -c {shlex.quote(script)} {path}')",
    ],
)
def test_a_shell_is_found(source):
    assert faults(source)


@pytest.mark.parametrize(
    "source",
    [
        "subprocess.run(argv, shell=False)",
        "access.run(['sh', '-c', SCRIPT, 'bmc_healer', path])",
        "rt.run(argv)",
    ],
)
def test_what_is_allowed_is_not_found(source):
    assert faults(source) == []
