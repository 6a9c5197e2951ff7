"""What a pause, a resume or a sweep is aimed at: `fleet`, `host=db01`, a label `rack=r12`, `credential=dell`.

People type a host by its name alone, and everything else with a colon: StackStorm cuts `key=value` off the
end of a chat text before any alias sees it (seen on 3.10dev). Host names hold no colon.
"""

from __future__ import annotations


def typed(target: str) -> str:
    """`target` as it is typed in chat and on the command line."""
    return target.removeprefix("host=").replace("=", ":", 1)


def read(text: str) -> str:
    """What was typed, with `=` as it is kept; a plain word stays a plain word."""
    return text.strip().replace(":", "=", 1).removeprefix("host=")


def subject(target: str, host: str) -> str:
    """`target` in a sentence about `host`, whose name stands in front of that sentence already."""
    if target == f"host={host}":
        return "it"
    return "the fleet" if target == "fleet" else f"the label {typed(target)}"
