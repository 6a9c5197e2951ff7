"""Addresses of BMCs: a name is looked up once, and from then on the heal knows only the IP address."""

from __future__ import annotations

import contextlib
import socket

from bmc_healer.errors import BmcError

Peer = tuple[str, int]
SocketAddress = tuple[str, int] | tuple[str, int, int, int]


def resolve(address: str) -> str:
    """The IP address (the first that the resolver gives) of a BMC's address or name.

    :raises BmcError: when the name cannot be resolved
    """
    try:
        found = socket.getaddrinfo(address, None, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:
        raise BmcError(
            f"the BMC's name cannot be resolved ({error})", address, "correct bmc.address"
        ) from None
    return str(found[0][4][0])


def is_literal(address: str) -> bool:
    """Whether this is an IP address and no name."""
    for family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError, ValueError):
            socket.inet_pton(family, address)
            return True
    return False


def socket_address(address: str, port: int) -> tuple[socket.AddressFamily, SocketAddress]:
    """Family and socket address of a pinned IP address; asks no name server.

    :raises BmcError: when `address` is not an IP address or `port` is out of range
    """
    if not 0 < port < 65536:
        raise BmcError(f"{port} is not a UDP port", address, "correct bmc.port")
    with contextlib.suppress(OSError, ValueError):
        socket.inet_pton(
            socket.AF_INET, address
        )  # a tenth of getaddrinfo's cost, and a sweep asks 10,000 times
        return socket.AF_INET, (address, port)
    try:
        found = socket.getaddrinfo(address, port, socket.AF_INET6, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        raise BmcError("not an IP address", address, "correct bmc.address") from None
    host, _, flow, scope = found[0][4]  # type: ignore[misc]  # AF_INET6 has four fields
    return socket.AF_INET6, (str(host), port, int(flow), int(scope))


def shown(address: str, port: int) -> str:
    """`10.1.0.5:623`, `[2001:db8::5]:623`: for sentences."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
