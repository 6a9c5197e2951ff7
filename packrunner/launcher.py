"""Starts a python action in a process of its own, and ends it with its whole family on timeout."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from packrunner.family import kill_family
from packrunner.processes import Identity, identify

LOG = logging.getLogger(__name__)

_OUTPUT_LIMIT = 256 * 1024  # bytes of stdout and of stderr that are kept: the first half and the last half
_RESULT_LIMIT = 16 * 1024 * 1024  # bytes; MongoDB's limit for a document, and so StackStorm's for a result
_GRACE_SECONDS = 1.0  # for the rest of the output once the process has ended

# What a child inherits of the environment; the rest may hold secrets and is nobody's business.
_INHERITED = frozenset(
    {"HOME", "LANG", "LANGUAGE", "LOGNAME", "PATH", "SSH_AUTH_SOCK", "TMPDIR", "TZ", "USER"}
    | {"SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"}
    | {"http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"}
)
_INHERITED_PREFIXES = ("LC_", "COVERAGE_")


@dataclass(frozen=True)
class Outcome:
    """How the process ended: ``exit_code`` is -9 after SIGKILL; ``answer`` its JSON document, if any."""

    exit_code: int
    stdout: str
    stderr: str
    answer: dict[str, Any] | None


class Capture:
    """Reads a pipe to its end in a thread and keeps the first and the last bytes."""

    def __init__(self, stream: IO[bytes], limit: int) -> None:
        self._stream = stream
        self._half = limit // 2
        self._head = bytearray()
        self._tail = bytearray()
        self._lost = 0
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with self._stream:
            while chunk := self._stream.read1(65536):  # type: ignore[attr-defined]
                room = max(0, self._half - len(self._head))
                self._head += chunk[:room]
                self._tail += chunk[room:]
                over = max(0, len(self._tail) - self._half)
                del self._tail[:over]
                self._lost += over

    def finish(self, seconds: float) -> bytes:
        """What came so far, after waiting for the end; whoever still holds the pipe goes on being read."""
        self._thread.join(seconds)
        gap = f"\n... {self._lost} bytes left out ...\n".encode() if self._lost else b""
        return bytes(self._head) + gap + bytes(self._tail)


def base_environment() -> dict[str, str]:
    """The inherited part of a child's environment."""
    return {
        name: value
        for name, value in os.environ.items()
        if name in _INHERITED or name.startswith(_INHERITED_PREFIXES)
    }


def python_path(*first: Path) -> str:
    """PYTHONPATH with the given directories, and at its end the one this package is in."""
    return os.pathsep.join(str(entry) for entry in (*first, Path(__file__).parent.parent))


def start(
    python: str, module: str, environment: Mapping[str, str], stderr: int
) -> tuple[subprocess.Popen[bytes], IO[bytes], int]:
    """Start ``python -m module`` in a session of its own: pipes as stdin, stdout, and one for answers.

    :returns: the process, our end of that pipe, and the number its other end has in the process
    :raises OSError: the process cannot be started
    """
    reading, writing = os.pipe()
    try:
        process = subprocess.Popen(
            [python, "-u", "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            pass_fds=(writing,),
            env=dict(environment),
            cwd="/",
            start_new_session=True,
        )
    except OSError:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    return process, os.fdopen(reading, "rb"), writing


def run_python(
    python: str,
    request: Mapping[str, Any],
    environment: Mapping[str, str],
    timeout: float,
    started: Callable[[Identity], None],
) -> Outcome:
    """Run ``packrunner.action_process`` to its end, or for ``timeout`` seconds.

    :param request: see ``action_process``; reaches the process by stdin alone
    :param started: is called with the process's identity
    :raises OSError: the process cannot be started
    """
    process, answers, number = start(python, "packrunner.action_process", environment, subprocess.PIPE)
    started(identify(process.pid))
    assert process.stdin and process.stdout and process.stderr  # noqa: S101  they are pipes
    answer = Capture(answers, _RESULT_LIMIT)
    stdout = Capture(process.stdout, _OUTPUT_LIMIT)
    stderr = Capture(process.stderr, _OUTPUT_LIMIT)
    text = json.dumps({**request, "fd": number}, default=str).encode()
    threading.Thread(target=_feed, args=(process.stdin, text), daemon=True).start()
    timed_out = False
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        timed_out = True
        given_up = kill_family(process.pid)
        if given_up:
            LOG.warning("processes %s cannot be killed (uninterruptible sleep)", given_up)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_SECONDS)
    return Outcome(
        exit_code=-9 if timed_out or process.returncode is None else process.returncode,
        stdout=stdout.finish(_GRACE_SECONDS).decode(errors="replace"),
        stderr=stderr.finish(_GRACE_SECONDS).decode(errors="replace"),
        answer=None if timed_out else _parse(answer.finish(_GRACE_SECONDS)),
    )


def _feed(stream: IO[bytes], text: bytes) -> None:
    with contextlib.suppress(BrokenPipeError), stream:
        stream.write(text)


def _parse(line: bytes) -> dict[str, Any] | None:
    if not line.endswith(b"\n"):
        return None
    try:
        answer = json.loads(line)
    except ValueError:
        LOG.warning("a result of more than %d bytes was left out", _RESULT_LIMIT)
        return None
    return answer if isinstance(answer, dict) else None
