"""What may be a host name or an address: pure checks, also the guard in front of shells, keys and logs."""

from __future__ import annotations

import ipaddress
import re

# RFC 1123, 2.1: letters, digits and hyphens, labels of at most 63 and names of at most 253 characters.
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_LONGEST_NAME = 253
_ZONE = re.compile(r"[A-Za-z0-9._-]{1,15}")  # of fe80::1%eth0: ipaddress lets anything pass there


def host_name(text: str) -> str | None:
    """The name in lower case, or None when `text` is not an RFC 1123 name."""
    if len(text) <= _LONGEST_NAME and _NAME.fullmatch(text):
        return text.lower()
    return None


def address(text: str) -> str | None:
    """The one spelling of an address, so that two can be compared; None when it is neither a name nor an IP.

    An IPv4 address inside IPv6 becomes plain IPv4. A name that ends in digits must be an IPv4 address: some
    resolvers read `010.0.0.1` in octal.
    """
    try:
        ip = ipaddress.ip_address(text)
    except ValueError:
        name = host_name(text)
        return None if name is None or name.rsplit(".", 1)[-1].isdigit() else name
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.scope_id is not None and not _ZONE.fullmatch(ip.scope_id):
            return None
        if ip.ipv4_mapped:
            return str(ip.ipv4_mapped)
    return str(ip)


def printable(text: object, limit: int = 64) -> str:
    """`text` in quotes for a message: bounded, with everything but printable ASCII as `?`."""
    shown = "".join(c if " " <= c <= "~" else "?" for c in str(text)[: limit + 1])
    return f"'{shown[:limit]}...'" if len(shown) > limit else f"'{shown}'"
