"""Programs by name and subcommand; nobody's arguments survive."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmc_healer.host.programs import INTERESTING, Program, classify


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("ipmitool mc info", Program("ipmitool", "mc info", "client", True)),
        ("/usr/bin/ipmitool -v -I open sdr elist", Program("ipmitool", "sdr elist", "client", True)),
        ("ipmitool -vv raw 0x06 0x01", Program("ipmitool", "raw", "client", True)),
        ("ipmitool -I lanplus -H b -P secret mc info", Program("ipmitool", "mc info", "client", False)),
        ("ipmitool -Ilanplus -Hbmc -Psecret power on", Program("ipmitool", "power on", "client", False)),
        ("ipmitool -H bmc -f /etc/pw power status", Program("ipmitool", "power status", "client", False)),
        ("ipmitool -vI lan -H x sel list", Program("ipmitool", "sel list", "client", False)),
        ("ipmitool -d 1 user set password 2 secret", Program("ipmitool", "user set", "client", True)),
        ("ipmitool set password secret", Program("ipmitool", "set", "client", True)),
        ("ipmitool hpm upgrade bmc.img force", Program("ipmitool", "hpm upgrade", "flash", True)),
        ("ipmitool sol activate", Program("ipmitool", "sol activate", "console", True)),
        ("ipmitool shell", Program("ipmitool", "shell", "console", True)),
        ("ipmitool -P", Program("ipmitool", "", "client", True)),
        ("ipmi-sensors --no-header-output", Program("ipmi-sensors", "", "client", True)),
        ("ipmi-sensors -h node7 -u a -p secret", Program("ipmi-sensors", "", "client", False)),
        ("ipmi-chassis-config --checkout", Program("ipmi-chassis-config", "", "client", True)),
        ("bmc-info", Program("bmc-info", "", "client", True)),
        ("bmc-watchdog -d", Program("bmc-watchdog", "", "other", True)),
        ("ipmievd open daemon", Program("ipmievd", "", "other", True)),
        ("ipmiconsole -h node7 -p secret", Program("ipmiconsole", "", "console", False)),
        ("ipmiutil sensor -N node7", Program("ipmiutil", "sensor", "client", False)),
        ("ipmiutil wdt -r", Program("ipmiutil", "wdt", "other", True)),
        ("/sbin/modprobe -q -- acpi*:IPI0001:*", Program("modprobe", "ipmi_si", "module", True)),
        ("modprobe ipmi-devintf", Program("modprobe", "ipmi_devintf", "module", True)),
        ("insmod /lib/modules/x/ipmi_si.ko.xz trydefaults=1", Program("insmod", "ipmi_si", "module", True)),
        ("modprobe nfs", Program("modprobe", "", "module", True)),
        ("Yafuflash2 -cd rom.ima", Program("Yafuflash2", "", "flash", True)),
        ("racadm fwupdate -g -u -a 10.0.0.1", Program("racadm", "", "flash", True)),
        ("racadm getsysinfo", Program("racadm", "", "other", True)),
        ("sum /etc/passwd", Program("sum", "", "other", True)),
        ("sum -c UpdateBmc --file x.bin", Program("sum", "", "flash", True)),
    ],
)  # fmt: skip
def test_known_command_lines(command, expected):
    argv = command.split()
    assert classify(argv[0].rsplit("/", 1)[-1][:15], argv) == expected


def test_a_script_goes_by_its_own_name():
    assert classify("ipmi_exporter.p", ["python3", "/usr/local/bin/ipmi_exporter.py"]).kind == "other"


def test_a_script_around_ipmitool_is_known_by_its_words():
    """Sites wrap ipmitool in a script of its name, in front of it in PATH."""
    script = ["/bin/sh", "/usr/local/bin/ipmitool"]
    assert classify("ipmitool", [*script, "mc", "info"]) == Program("ipmitool", "mc info", "client", True)
    assert classify("ipmitool", [*script, "hpm", "upgrade", "x"]).kind == "flash"
    assert classify("ipmitool", [*script, "-I", "lanplus", "-H", "db02", "mc", "info"]).inband is False


def test_without_a_command_line_the_name_decides():
    assert classify("ipmitool", []) == Program("ipmitool", "", "client", True)
    assert classify("rmmod", []).kind == "module"


@given(st.text(max_size=15), st.lists(st.text(max_size=12), max_size=8))
def test_total(comm, argv):
    classify(comm, argv)


@given(st.lists(st.from_regex(r"-[A-Za-z]?S3cret![0-9]{3}|S3cret![0-9]{3}", fullmatch=True), max_size=6))
def test_nobodys_secret_survives(words):
    assert "S3cret" not in repr(
        classify("ipmitool", ["ipmitool", "-I", "lanplus", *words, "mc", "info", *words])
    )


@pytest.mark.parametrize(
    "name",
    ["ipmitool", "ipmi-sensors", "kipmi0", "bmc-info", "modprobe", "Yafuflash2", "IPMICFG-Linux.x", "racadm"],
)
def test_names_that_the_snapshot_selects(name):
    assert re.search(INTERESTING, name)


@pytest.mark.parametrize("name", ["bash", "nginx", "sumatra", "qemu-system-x86"])
def test_names_that_it_does_not(name):
    assert not re.search(INTERESTING, name)


def test_of_a_module_tool_each_module_is_kept_once_and_not_without_limit():
    assert classify("modprobe", ["modprobe", "-a", "ipmi_si", "ipmi_devintf", "ipmi_si"]).subcommand == (
        "ipmi_si ipmi_devintf"
    )
    many = [f"ipmi_{number:027}" for number in range(100)]
    assert len(classify("modprobe", ["modprobe", "-a", *many]).subcommand) <= 300
