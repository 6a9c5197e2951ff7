"""paramiko_poll COUNT PORT FOLDER USER: paramiko, a command on each of so many connections that stay open."""

from __future__ import annotations

import sys

import paramiko

from bench.clients.meter import metered


def main(count: int, port: int, folder: str, user: str) -> None:
    """Connect to all, then run a command on all some times."""
    clients = []
    for _ in range(count):
        client = paramiko.SSHClient()
        client.load_host_keys(f"{folder}/known_hosts")
        client.connect("127.0.0.1", port, user, key_filename=f"{folder}/id", allow_agent=False)
        clients.append(client)

    def look() -> None:
        for client in clients:
            _, out, _ = client.exec_command("true")
            if out.channel.recv_exit_status() != 0:
                sys.exit("the command failed")

    metered(look, 3)
    for client in clients:
        client.close()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4])
