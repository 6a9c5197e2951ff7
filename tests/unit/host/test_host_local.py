"""Commands on this machine, and what sudo does to them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from bmc_healer.config.settings import HostSettings
from bmc_healer.errors import HostAccessError
from bmc_healer.host import open_access
from bmc_healer.host.observe import observe

LOCAL = HostSettings("db01", "db01", "local")
ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")

# Stand-ins for a login that is not root: `id` says so, `sudo` empties the environment as the real one does.
SUDO = """#!/bin/sh
[ "$1" = -n ] || exit 9
shift
exec env -i PATH="$PATH" SUDO_USER=ops "$@"
"""
REFUSING = """#!/bin/sh
echo 'sudo: a password is required' >&2
exit 1
"""


@pytest.fixture
def ordinary(tmp_path, monkeypatch):
    """A user who is not root, with the given `sudo`."""

    def with_sudo(text: str) -> None:
        for name, content in (("id", "#!/bin/sh\necho 1000\n"), ("sudo", text)):
            (tmp_path / name).write_text(content)
            (tmp_path / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    return with_sudo


WAITING = """
import sys
from bmc_healer.config.settings import HostSettings
from bmc_healer.host import open_access
with open_access(HostSettings("db01", "db01", "local")) as access:
    access.run(["sh", "-c", 'echo $$ > "$1"; exec sleep 300', "x", sys.argv[1]], limit=2, root=False)
"""


def test_run_and_observe():
    with open_access(LOCAL) as access:
        ran = access.run(["sh", "-c", "cat; exit 3"], limit=9, stdin="hi\n", root=False)
        assert (ran.status, ran.out, ran.err) == (3, "hi\n", "")
        found = observe(access, windows=0)
    assert found.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def test_a_command_keeps_its_limit_when_who_started_it_is_killed(tmp_path):
    told = tmp_path / "pid"
    parent = subprocess.Popen(
        [sys.executable, "-c", WAITING, str(told)], env={**os.environ, "PYTHONPATH": ":".join(sys.path)}
    )
    _until(lambda: told.exists() and told.read_text().strip())
    command = Path("/proc") / told.read_text().strip()
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert command.joinpath("stat").read_text().split()[2] != "Z"
    _until(lambda: _gone(command))


def _gone(process):
    try:
        return not process.joinpath("cmdline").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


def _until(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_no_way_in():
    with pytest.raises(HostAccessError, match="transport: none"):
        open_access(HostSettings("db01", "db01", "none"))


def test_mark_gets_through_sudo(ordinary):
    ordinary(SUDO)
    with open_access(LOCAL) as access:
        assert access.privileged
        ran = access.run(["env"], limit=9, mark="inc:4")
        assert "SUDO_USER=ops" in ran.out.split()
        assert "BMC_HEALER_MARK=inc:4" in ran.out.split()
        assert "SUDO_USER=ops" not in access.run(["env"], limit=9, root=False).out.split()


def test_refused_sudo_is_known_and_said(ordinary):
    ordinary(REFUSING)
    with open_access(LOCAL) as access:
        assert not access.privileged
        assert access.run(["true"], limit=9, root=False).ok
        with pytest.raises(
            HostAccessError, match="root is needed and sudo refuses: sudo: a password is required"
        ):
            access.run(["true"], limit=9)
        assert not observe(access, windows=0).privileged


def test_a_machine_without_sudo(ordinary, tmp_path, monkeypatch):
    ordinary("")
    (tmp_path / "sudo").unlink()
    (tmp_path / "sh").symlink_to("/bin/sh")
    monkeypatch.setenv("PATH", str(tmp_path))
    with open_access(LOCAL) as access:
        assert not access.privileged
        with pytest.raises(HostAccessError, match="sudo refuses: sudo could not be started"):
            access.run(["true"], limit=9)


@ROOT
def test_a_real_user_without_rights(tmp_path):
    """As `nobody`, with the real sudo if there is one: an observation without rights, no more."""
    program = textwrap.dedent(
        """
        import sys
        sys.path[:0] = sys.argv[1].split(":")
        from bmc_healer.config.settings import HostSettings
        from bmc_healer.host import open_access
        from bmc_healer.host.observe import observe
        with open_access(HostSettings("db01", "db01", "local")) as access:
            found = observe(access, windows=0)
            print(access.privileged, found.privileged, found.dmi.uuid == "", len(found.kernel) > 2)
        """
    )
    argv = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3", "-c", program]
    if not os.access("/usr/bin/python3", os.X_OK):
        argv[4] = sys.executable
    ran = subprocess.run(
        [*argv, ":".join(sys.path)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd="/",
        env={"PATH": os.environ["PATH"]},
    )
    assert ran.stdout.split() == ["False", "False", "True", "True"], ran.stderr
