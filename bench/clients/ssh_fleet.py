"""ssh_fleet PORT HOST_KEY: an SSH server on every address of 127.0.0.0/8 that plays watched hosts.

A stand-in: real sshd takes two processes for each session. It speaks the real protocol, asks for a public key
(any will do), and says on stdout, a line each, that it is ready, and on which address a session began. It
ends with its stdin.
"""

from __future__ import annotations

import asyncio
import sys

import asyncssh

HELLO = "hello 1 100 5eed0000-0000-4000-8000-000000000000 6.1.0\n"
SNAP = "snap {number} {at}.0 0.10 10 0 10 {idle} 0 0 0 0 0\n"


class AnyKey(asyncssh.SSHServer):
    """Lets in whoever has proved to hold a key."""

    def begin_auth(self, username: str) -> bool:
        """No login without one."""
        return True

    def public_key_auth_supported(self) -> bool:
        """The only way."""
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """Of anybody."""
        return True


async def session(process: asyncssh.SSHServerProcess[str]) -> None:
    """What loop.sh does."""
    print(process.get_extra_info("sockname")[0], flush=True)
    process.stdout.write(HELLO)
    try:
        async for line in process.stdin:
            number = int(line)
            process.stdout.write(SNAP.format(number=number, at=1000 + 30 * number, idle=3000 * number))
    except (asyncssh.Error, OSError):
        pass
    process.exit(0)


async def main(port: int, host_key: str) -> None:
    """Serve until stdin ends."""
    asyncssh.set_log_level("ERROR")
    await asyncssh.listen(
        "0.0.0.0",  # noqa: S104 (in a network namespace)
        port,
        server_factory=AnyKey,
        server_host_keys=[host_key],
        process_factory=session,
        backlog=4096,
        reuse_port=True,
    )
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
