"""An audit through a real sshd: each way in which a host is not ready."""

from __future__ import annotations

import socket

import pytest

from bmc_healer.host import open_access
from bmc_healer.verbs.audit import Audit, choose
from tests.unit.verbs import config, runtime

from .conftest import fingerprint, keygen, start


def audited(server, **ssh):
    """Look at the server as a host of the fleet."""
    settings = server.settings(**ssh)
    given = {
        "port": settings.ssh.port,
        "user": settings.ssh.user,
        "key_file": settings.ssh.key_file,
        "known_hosts": settings.ssh.known_hosts,
        "connect_timeout": settings.ssh.connect_timeout,
    }
    rt = runtime(config({"db01": {"address": "127.0.0.1", "ssh": given}}))
    (result,) = Audit(rt, choose(rt, ()))
    return {check.name: check.state.value for check in result.checks}, {
        check.name: check.sentence for check in result.missing
    }


@pytest.fixture
def no_sudo(tmp_path, monkeypatch):
    """A server whose user is not root, and whose sudo wants a password; `id` and `sudo` are stand-ins."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, script in (
        ("id", "echo 1000"),
        ("sudo", 'echo "sudo: a password is required" >&2; exit 1'),
    ):
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    running = start(tmp_path)
    yield running
    running.process.terminate()
    running.process.wait(timeout=10)


def test_a_host_that_lets_us_in(server):
    with open_access(server.settings()) as access:
        root = access.privileged  # who runs the tests may not be root
    states, missing = audited(server)
    assert (states["ssh"], states["host_key"]) == ("good", "good")
    assert states["sudo"] == ("good" if root else "missing")
    assert "bmc" in missing


def test_an_unknown_host_key(server, tmp_path):
    (tmp_path / "known_hosts").write_text("")
    states, missing = audited(server, known_hosts=str(tmp_path / "known_hosts"))
    assert (states["ssh"], states["host_key"], states["sudo"]) == ("unseen", "missing", "unseen")
    assert f"does not hold its host key {fingerprint(server)}" in missing["host_key"]
    assert f"ssh-keyscan -p {server.port} 127.0.0.1" in missing["host_key"]


def test_a_changed_host_key(server, tmp_path):
    keygen(tmp_path / "other")
    known = tmp_path / "known_hosts"
    known.write_text(f"[127.0.0.1]:{server.port} {(tmp_path / 'other.pub').read_text()}")
    _, missing = audited(server, known_hosts=str(known))
    assert f"{fingerprint(server)} is not the one in {known}" in missing["host_key"]
    assert "ssh-keygen -f" in missing["host_key"]


def test_a_refused_login(server, tmp_path):
    keygen(tmp_path / "id")
    states, missing = audited(server, key_file=str(tmp_path / "id"))
    assert (states["ssh"], states["host_key"]) == ("missing", "good")
    assert "authorized_keys" in missing["ssh"]


def test_a_closed_port(server):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        states, missing = audited(server, port=unused.getsockname()[1])
    assert (states["ssh"], states["host_key"]) == ("missing", "unseen")
    assert missing["ssh"].endswith("Is sshd up?")


def test_no_sudo(no_sudo):
    states, missing = audited(no_sudo)
    assert (states["ssh"], states["host_key"], states["sudo"]) == ("good", "good", "missing")
    assert missing["sudo"] == (
        "Root is needed and sudo refuses: sudo: a password is required. "
        "Log in as root, or allow the login NOPASSWD: ALL in sudoers."
    )
    assert "ipmitool" in states  # what everybody may see was looked at all the same
