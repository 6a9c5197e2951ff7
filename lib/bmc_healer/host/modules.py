"""In which order the IPMI modules leave, and what hotmod takes. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from .facts import Module

# Drivers of the hardware. Whoever has opened an interface of theirs (ipmi_devintf, acpi_ipmi, ipmi_poweroff)
# is not named as a user in /proc/modules but counts as a reference: these drivers leave after such modules.
_HARDWARE = frozenset({"ipmi_si", "ipmi_ssif", "ipmi_powernv", "ipmi_ipmb"})
# `kcs,i/o,0xca2,rsp=1,rsi=1,rsh=0,irq=0,ipmb=32`: type, address space, address, options
_PARAMS = re.compile(r"(kcs|smic|bt),(i/o|mem),0x[0-9a-f]{1,16}(,[a-z]{1,8}=(0x)?[0-9a-f]{1,8}){0,8}")


def unload_order(modules: Mapping[str, Module]) -> tuple[str, ...]:
    """IPMI modules in the order in which they can be removed, by their users and reference counts.

    A module whose users include one that is not of IPMI's stays out, and so do those it uses.
    """
    left = {name: module for name, module in modules.items() if "ipmi" in name}
    order: list[str] = []
    while left:
        free = [module for module in left.values() if all(user in order for user in module.users)]
        if not free:
            break
        chosen = min(free, key=lambda module: (module.name in _HARDWARE, module.refcount, module.name))
        order.append(chosen.name)
        del left[chosen.name]
    return tuple(order)


def foreign_users(modules: Mapping[str, Module]) -> dict[str, tuple[str, ...]]:
    """Modules that are not of IPMI's but hold one of its modules: {`ipmi_msghandler`: (`ibmaem`,)}."""
    found = {
        name: tuple(user for user in module.users if "ipmi" not in user)
        for name, module in modules.items()
        if "ipmi" in name
    }
    return {name: users for name, users in found.items() if users}


def hotmod_params(params: str | None) -> str | None:
    """The parameters of an interface when they are what hotmod takes, else None."""
    return params if params is not None and _PARAMS.fullmatch(params) else None
