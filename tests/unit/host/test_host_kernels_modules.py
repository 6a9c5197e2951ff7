from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmc_healer.host.facts import Module
from bmc_healer.host.kernels import one_inband_reset_per_boot, queues_inband_reset, version
from bmc_healer.host.modules import foreign_users, hotmod_params, unload_order


@pytest.mark.parametrize(
    ("kernel", "queues", "once"),
    [
        ("2.6.32-754.el6.x86_64", True, False),
        ("5.3.0-1", True, False),
        ("5.10.0-46-amd64", True, False),
        ("6.1.0-56-amd64", True, True),
        ("6.12.117+deb13-amd64", True, True),
        ("6.17.3", True, True),
        ("6.18.1", True, False),
        ("7.2.13+deb14-amd64", False, False),
        ("garbage", True, False),
    ],
)
def test_what_a_kernel_does(kernel, queues, once):
    assert (queues_inband_reset(kernel), one_inband_reset_per_boot(kernel)) == (queues, once)


@given(st.text())
def test_version_is_total(text):
    version(text)


def modules(**lines: tuple[int, str]) -> dict[str, Module]:
    return {
        name: Module(name, count, tuple(users.split(",")) if users else (), "Live")
        for name, (count, users) in lines.items()
    }


def test_order_of_the_usual_stack():
    stack = modules(
        acpi_ipmi=(0, ""),
        ipmi_devintf=(4, ""),
        ipmi_si=(3, ""),
        ipmi_msghandler=(3, "acpi_ipmi,ipmi_devintf,ipmi_si"),
    )
    assert unload_order(stack) == ("acpi_ipmi", "ipmi_devintf", "ipmi_si", "ipmi_msghandler")


def test_order_follows_users_and_counts_not_names():
    stack = modules(
        ipmi_zzz=(0, ""),
        ipmi_aaa=(2, "ipmi_zzz"),
        ipmi_poweroff=(0, ""),
        ipmi_si=(1, ""),
        ipmi_ssif=(0, ""),
        ipmi_msghandler=(5, "ipmi_aaa,ipmi_poweroff,ipmi_si,ipmi_ssif"),
    )
    order = unload_order(stack)
    assert order.index("ipmi_zzz") < order.index("ipmi_aaa")
    assert order.index("ipmi_poweroff") < order.index("ipmi_si")
    assert order[-1] == "ipmi_msghandler"


def test_what_others_hold_stays():
    stack = modules(ipmi_si=(0, ""), ibmaem=(0, ""), ipmi_msghandler=(2, "ipmi_si,ibmaem"))
    assert unload_order(stack) == ("ipmi_si",)
    assert foreign_users(stack) == {"ipmi_msghandler": ("ibmaem",)}


@pytest.mark.parametrize(
    ("params", "good"),
    [
        ("kcs,i/o,0xca2,rsp=1,rsi=1,rsh=0,irq=0,ipmb=32", True),
        ("bt,mem,0xfed00000,rsp=4,rsi=4,rsh=0,irq=11,ipmb=0x20", True),
        ("kcs,i/o,0xca2", True),
        ("", False),
        (None, False),
        ("kcs,i/o,0xca2,rsp=1\nremove,kcs", False),
        ("kcs,i/o,$(reboot)", False),
    ],
)
def test_hotmod_takes_only_what_an_interface_looks_like(params, good):
    assert hotmod_params(params) == (params if good else None)
