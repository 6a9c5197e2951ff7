"""The TCP connection below an SSH login, made by itself: a host that is not there costs time and no CPU."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import Any


async def dial(address: str, port: int, seconds: float) -> socket.socket:
    """A connected socket; each address that a name stands for is tried, in the resolver's order.

    Who is silent takes an equal part of the time that is left, so that the last one has its turn too.

    :param seconds: for the name and all addresses together
    :raises OSError: no address could be connected to; TimeoutError is one, and says that one was silent
    :raises ValueError: this can be no host's name
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    silent = False
    trouble: dict[str, OSError] = {}
    found = await asyncio.wait_for(_addresses(address, port), seconds)
    for number, (family, where) in enumerate(found):
        patience = (end - loop.time()) / (len(found) - number)
        try:
            return await _connected(family, where, patience)
        except (asyncio.TimeoutError, TimeoutError):
            silent = True
        except OSError as error:
            trouble[str(error)] = error
    if silent:
        raise TimeoutError
    if len(trouble) == 1:
        raise next(iter(trouble.values()))
    raise OSError("; ".join(trouble) or "the name has no address")


async def spoken_to(sock: socket.socket, seconds: float) -> None:
    """Until the other end has said something, which stays unread, or has closed the connection.

    The kernel takes connections for a server that hangs: only a word on them is the server's own.

    :raises TimeoutError: nothing came
    """
    loop = asyncio.get_running_loop()
    heard = asyncio.Event()
    loop.add_reader(sock, heard.set)
    try:
        await asyncio.wait_for(heard.wait(), seconds)
    finally:
        loop.remove_reader(sock)


async def _connected(family: socket.AddressFamily, where: Any, seconds: float) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await asyncio.wait_for(asyncio.get_running_loop().sock_connect(sock, where), seconds)
    except BaseException:  # cancelled, among others
        sock.close()
        raise
    return sock


async def _addresses(address: str, port: int) -> list[tuple[socket.AddressFamily, Any]]:
    """Family and socket address of each. A number needs no resolver, and so no thread of the loop's few."""
    kind = socket.SOCK_STREAM
    with suppress(socket.gaierror):
        numeric = socket.getaddrinfo(address, port, type=kind, flags=socket.AI_NUMERICHOST)
        return [(family, where) for family, _, _, _, where in numeric]
    found = await asyncio.get_running_loop().getaddrinfo(address, port, type=kind)
    return [(family, where) for family, _, _, _, where in found]
