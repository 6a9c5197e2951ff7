"""Text that came from hosts and BMCs, fit for a terminal: no escape sequence gets through."""

from __future__ import annotations


def clean(text: object) -> str:
    """`text` with everything that is neither printable nor a line's end as `?`."""
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in str(text))
