"""Ports as of dead hosts, where nobody answers a connection, and of hung ones, where only the kernel does."""

from __future__ import annotations

import contextlib
import select
import socket
from collections.abc import Iterator


@contextlib.contextmanager
def silent_port() -> Iterator[int]:
    """A port of 127.0.0.1, its queue full: the kernel drops what asks for a connection to it."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(8):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
            if not select.select([], [client], [], 0.3)[1]:
                break
        else:
            raise AssertionError("the queue of a listener does not fill up")
        yield listener.getsockname()[1]


@contextlib.contextmanager
def mute_port() -> Iterator[int]:
    """A port of 127.0.0.1; the kernel takes connections to it, and no server ever speaks on them."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        yield listener.getsockname()[1]
