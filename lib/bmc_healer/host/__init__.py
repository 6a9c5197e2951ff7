"""The host's side: a way in, what is to be seen there, and the lease that keeps others off."""

from __future__ import annotations

from ..config.settings import HostSettings
from ..errors import HostAccessError
from .access import HostAccess


def open_access(host: HostSettings) -> HostAccess:
    """The way onto a host, not yet entered: use it as a context manager.

    :raises HostAccessError: the host is configured with `transport: none`
    """
    if host.transport == "local":
        from .local import LocalAccess

        return LocalAccess(host.name)
    if host.transport == "ssh":
        from .ssh import SshAccess

        return SshAccess(host)
    raise HostAccessError(
        "no way onto this host is configured (transport: none)",
        host.name,
        "Set transport to ssh or local, if there is one",
    )
