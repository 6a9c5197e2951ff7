"""The one SSH login, for rungs and for the watch: known hosts only, key or agent, no passwords."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config.settings import HostSettings
from ..errors import HostAccessError, HostKeyError, HostLoginError
from .dial import dial, spoken_to

if TYPE_CHECKING:
    import asyncssh


# Before chacha20-poly1305, the first choice of asyncssh: where the CPU has AES a look takes half as much.
CHEAPEST_CIPHER = "aes128-gcm@openssh.com"


def where(host: HostSettings) -> str:
    """For errors: `db01 (root@10.0.0.5:22)`."""
    return f"{host.name} ({host.ssh.user}@{host.address}:{host.ssh.port})"


async def reach(host: HostSettings) -> socket.socket:
    """The TCP connection on which sshd has begun to speak, all within `ssh.connect_timeout` seconds.

    Whoever asks closes it.

    :raises HostAccessError: no connection, or a mute one
    """
    clock = asyncio.get_running_loop().time
    end = clock() + host.ssh.connect_timeout
    try:
        sock = await dial(host.address, host.ssh.port, host.ssh.connect_timeout)
        try:
            await spoken_to(sock, max(end - clock(), 0.001))
        except BaseException:  # cancelled, among others
            sock.close()
            raise
        return sock
    except (asyncio.TimeoutError, TimeoutError):
        raise _late(host) from None
    except (OSError, ValueError) as error:
        raise _failed(host, error) from None


async def connect(
    host: HostSettings,
    *,
    keepalive_seconds: float,
    lost: Callable[[], None] = lambda: None,
    sock: socket.socket | None = None,
) -> asyncssh.SSHClientConnection:
    """Log in within `ssh.connect_timeout` seconds.

    :param keepalive_seconds: three of these without an answer end the connection
    :param lost: called when the connection has ended, for whatever reason
    :param sock: what `reach` gave, ours to close from now on; None: it is made within the same seconds
    :raises HostKeyError: an unknown host key (its fingerprint is named), or another than the known one
    :raises HostLoginError: the key of the host is right, and it refuses ours
    :raises HostAccessError: no connection
    """
    clock = asyncio.get_running_loop().time
    end = clock() + host.ssh.connect_timeout
    sock = sock or await reach(host)
    try:
        return await _log_in(host, sock, max(end - clock(), 0.001), keepalive_seconds, lost)
    except BaseException:
        sock.close()  # asyncssh has done so, unless it stumbled before it took it
        raise


async def _log_in(
    host: HostSettings,
    sock: socket.socket,
    seconds: float,
    keepalive_seconds: float,
    lost: Callable[[], None],
) -> asyncssh.SSHClientConnection:
    import asyncssh

    asyncssh.set_log_level("WARNING")  # at INFO it logs every command
    ssh = host.ssh
    known_hosts = _read_known_hosts(host)
    options: dict[str, Any] = {
        "port": ssh.port,  # with the address what is looked for in known_hosts
        "sock": sock,
        "username": ssh.user,
        "config": None,
        "preferred_auth": ["publickey"],
        "connect_timeout": seconds,
        "login_timeout": seconds,
        "keepalive_interval": keepalive_seconds,
        "known_hosts": known_hosts,
        "encryption_algs": f"^{CHEAPEST_CIPHER}",
    }
    if ssh.key_file is not None:
        options |= {"client_keys": [ssh.key_file], "agent_path": None}
    client = _client(lost)
    try:
        connection, _ = await asyncssh.create_connection(lambda: client, host.address, **options)
    except asyncssh.HostKeyNotVerifiable:
        raise _bad_host_key(host, client, known_hosts) from None
    except asyncssh.PermissionDenied:
        raise HostLoginError(
            f"SSH refused the login ({ssh.key_file or 'a key of the agent or of ~/.ssh'})",
            where(host),
            "put the public key into that user's authorized_keys",
        ) from None
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
        raise HostAccessError(
            f"the key {ssh.key_file} cannot be used: {error}", where(host), "give a key without passphrase"
        ) from None
    except (asyncio.TimeoutError, TimeoutError):
        raise _late(host) from None
    except (OSError, asyncssh.Error, ValueError) as error:
        raise _failed(host, error) from None
    return connection


def _late(host: HostSettings) -> HostAccessError:
    what = f"SSH gave no login within {host.ssh.connect_timeout:.0f} s"
    return HostAccessError(what, where(host), "is the host up?")


def _failed(host: HostSettings, error: Exception) -> HostAccessError:
    return HostAccessError(f"SSH failed: {reason(error)}", where(host), "is sshd up?")


def reason(error: Exception) -> str:
    """Somebody else's words: printable and short."""
    text = str(error) or type(error).__name__
    return "".join(char for char in text if char.isprintable())[:200]


def _client(lost: Callable[[], None]) -> Any:
    """The client's side of the connection: notes the key that was offered, and the end of the connection."""
    import asyncssh

    class Client(asyncssh.SSHClient):
        offered: asyncssh.SSHKey | None = None
        peer = ""

        def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
            self.offered, self.peer = key, addr
            return False  # only asked about keys that are not in known_hosts

        def connection_lost(self, exc: Exception | None) -> None:
            lost()

    return Client()


def _known_hosts(host: HostSettings) -> Path:
    return Path(host.ssh.known_hosts or Path.home() / ".ssh" / "known_hosts")


def _read_known_hosts(host: HostSettings) -> Any:
    file = _known_hosts(host)
    try:
        found = file.stat()
        return _parsed_known_hosts(str(file), (found.st_mtime_ns, found.st_size, found.st_ino))
    except (OSError, ValueError) as error:
        raise HostKeyError(
            f"the known hosts in {file} cannot be read ({reason(error)})",
            where(host),
            f"run {_keyscan(host)}",
        ) from None


@lru_cache(maxsize=8)
def _parsed_known_hosts(file: str, version: tuple[int, ...]) -> Any:
    """Ten thousand lines take 90 ms, twenty times as much as a login."""
    import asyncssh

    return asyncssh.read_known_hosts(file)


def _bad_host_key(host: HostSettings, client: Any, known_hosts: Any) -> HostKeyError:
    file = _known_hosts(host)
    if client.offered is None:
        what = f"its host key is none that {file} trusts (a certificate, or one that is revoked there)"
        return HostKeyError(what, where(host), "look at its entries in that file")
    fingerprint = client.offered.get_fingerprint()
    port = host.ssh.port if host.ssh.port != 22 else None
    if known_hosts.match(host.address, client.peer, port)[0]:
        name = f"[{host.address}]:{port}" if port else host.address
        forget = f"`ssh-keygen -f {file} -R '{name}'`"
        return HostKeyError(
            f"its host key {fingerprint} is not the one in {file}: it was reinstalled, or is another machine",
            where(host),
            f"compare the fingerprint on its console; if it is the same, run {forget} and {_keyscan(host)}",
        )
    return HostKeyError(
        f"{file} does not hold its host key {fingerprint}",
        where(host),
        f"compare the fingerprint on its console; if it is the same, run {_keyscan(host)}",
    )


def _keyscan(host: HostSettings) -> str:
    port = f"-p {host.ssh.port} " if host.ssh.port != 22 else ""
    return f"`ssh-keyscan {port}{host.address} >> {_known_hosts(host)}`"
