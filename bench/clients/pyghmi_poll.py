"""pyghmi_poll login|kept COUNT: power state of so many BMCs, with a new session each time or a kept one."""

from __future__ import annotations

import sys

from pyghmi.ipmi.command import Command

from bench.clients.meter import metered
from lab.fleet import PASSWORD, USER, addresses


def main(kind: str, count: int) -> None:
    """Log in to all; `kept` asks them again, `login` logs in again."""
    where = addresses(count)
    kept: list[Command] = []

    def login() -> None:
        for address in where:
            session = Command(address, USER, PASSWORD)
            ask(session)
            session.ipmi_session.logout()

    def again() -> None:
        if not kept:
            kept.extend(Command(address, USER, PASSWORD) for address in where)
        for session in kept:
            ask(session)

    def ask(session: Command) -> None:
        if session.get_power()["powerstate"] != "on":
            sys.exit("no power state")

    if kind == "login":
        metered(login, 1, before=0)
    else:
        metered(again, 3)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
