"""Builds: what is refused, what is found again."""

import socket

import pytest

from lab import LabError, build, debian, kernel, legacy, state, tools
from lab.bmc.simulator import free_port


def test_a_driver_kernel_or_suite_that_is_not_there():
    with pytest.raises(LabError, match="no driver"):
        build.build("new")
    with pytest.raises(LabError, match=r"no kernel '2\.6'; 5\.10 \(bullseye\), 6\.1 \(bookworm\)"):
        build.build("stock", "2.6")
    with pytest.raises(LabError, match=r"made for kernel 6\.1, not for 7\.2"):
        build.build("legacy", "7.2")
    with pytest.raises(LabError, match="not a Debian suite"):
        debian.Suite("../etc")


def test_a_kernel_is_asked_for_by_version_or_suite():
    assert kernel.suite_of("6.12") == kernel.suite_of("trixie") == "trixie"


def test_a_suite_that_moved_on_is_said(monkeypatch):
    newer = kernel.Kernel("linux-image-7.3.1", "7.3.1-1", "7.3.1+deb14-amd64", "", "")
    monkeypatch.setattr(kernel, "_of_suite", lambda suite, refresh: newer)
    assert kernel.kernel("sid") == newer
    with pytest.raises(LabError, match=r"Debian sid has kernel 7\.3\.1\+deb14-amd64, no longer 7\.2"):
        kernel.kernel("7.2")


def test_a_suite_that_cannot_be_reached_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("BMC_LAB_STATE", str(tmp_path))
    monkeypatch.setenv("BMC_LAB_MIRROR", f"http://127.0.0.1:{free_port(socket.SOCK_STREAM)}")
    with pytest.raises(LabError, match=r"Debian trixie cannot be had from http://127\.0\.0\.1"):
        debian.Suite("trixie").update()


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(tools.shutil, "which", lambda name: None)
    with pytest.raises(LabError, match="nosuch-package"):
        tools.ensure({"nosuch-package": "/nosuch/file", "gcc": "/"})


def test_a_failed_command_tells_its_last_words():
    with pytest.raises(LabError, match="exit status 3: sorry"):
        tools.run(["sh", "-c", "echo sorry >&2; exit 3"])
    with pytest.raises(LabError, match="not installed"):
        tools.run(["nosuch-program"])


def test_a_source_that_is_not_the_known_one():
    with pytest.raises(LabError, match="legacy driver cannot be made"):
        legacy.make_legacy("int main(void) { return 0; }")


def test_the_legacy_driver_spins_and_drains_slowly():
    source = (
        "{\n\tunsigned long jiffies_now;\n\tlong time_diff;\n\n\twhile (smi_info->curr_msg) {\n"
        "\t\tjiffies_now = jiffies;\n\t\ttime_diff = 1;\n\t\tschedule_timeout_uninterruptible(1);\n\t}\n}\n"
        "\t\t} else {" + legacy.SLEEP + "\n"
    )
    made = legacy.make_legacy(source)
    assert "usleep_range" not in made
    assert "jiffies_now" not in made
    assert "\t\tpoll(smi_info);\n\t\tschedule_timeout_uninterruptible(1);" in made


def test_a_build_that_fails_leaves_nothing_and_one_that_succeeds_stays(tmp_path):
    final = tmp_path / "made"
    with pytest.raises(RuntimeError), state.made(final) as half:
        (half / "part").write_text("x")
        raise RuntimeError
    assert not final.exists()
    with state.made(final) as half:
        assert list(half.iterdir()) == []
        (half / "whole").write_text("x")
    assert [path.name for path in final.iterdir()] == ["whole"]


def test_a_digest_changes_with_the_words_and_the_files(tmp_path):
    path = tmp_path / "source"
    path.write_text("one")
    first = state.digest("a", files=[path])
    assert state.digest("a", files=[path]) == first
    assert state.digest("b", files=[path]) != first
    path.write_text("two")
    assert state.digest("a", files=[path]) != first


def test_the_state_directory_is_where_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("BMC_LAB_STATE", str(tmp_path / "there"))
    assert state.state_dir() == (tmp_path / "there").resolve()
    assert state.state_dir().is_dir()


def test_the_mirror_of_the_environment_comes_first(monkeypatch):
    monkeypatch.setenv("BMC_LAB_MIRROR", "http://mirror.example/")
    assert debian.mirror() == "http://mirror.example"
