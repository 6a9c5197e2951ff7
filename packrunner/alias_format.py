"""Matches a chat text against one format of an alias, by StackStorm's rules.

A format is text with ``{{parameter}}`` and ``{{parameter=default}}``, or a regular expression with named
groups; ``key=value`` pairs at the end of the text set further parameters.
"""

from __future__ import annotations

import re
from functools import lru_cache

_ANY_VALUE = r'""|\'\'|"(.+?)"|\'(.+?)\'|({.+?})'
_PAIR = r"(?:^\s*|\s+)(\S+?)\s*=(" + _ANY_VALUE + r"|(\S+))"
_ENDING_PAIRS = re.compile(r".*?((?:" + _PAIR + r"\s*)*)$", re.DOTALL)
_ONE_PAIR = re.compile(_PAIR, re.DOTALL)
_REQUIRED = r"{{\s*(\S+?)\s*}}"
_OPTIONAL = r"{{\s*(\S+?)\s*=\s*(?:" + _ANY_VALUE + r"|(.+?))\s*}}"
# What stands for a parameter: quoted, in braces, or as little as possible, spaces included.
_CAPTURE = r'\1["\']?(?P<\2>(?:(?<=\').+?(?=\')|(?<=").+?(?=")|{.+?}|.+?))["\']?'


def parse(form: str, text: str) -> dict[str, str | None] | None:
    """The parameters that the text gives in this format; None when it does not match."""
    pairs, rest = _split_pairs(text)
    found = _compile(form).search(f" {rest} ")
    if found is None:
        return None
    parameters: dict[str, str | None] = dict(found.groupdict())
    for name, *default in re.findall(_OPTIONAL, form, re.DOTALL):
        parameters[name] = parameters[name] or "".join(default)
    parameters.update(pairs)
    if form and not rest.strip() and not any(parameters.values()):
        return None
    return parameters


@lru_cache(maxsize=1)
def _split_pairs(text: str) -> tuple[dict[str, str], str]:
    """``key=value`` pairs at the end, and the text without them.

    Once for all formats: StackStorm's expression takes the third power of a text's length when the text is
    made for it.
    """
    ending = _ENDING_PAIRS.match(text)
    tail = ending.group(1) if ending else ""
    if not tail:
        return {}, text
    pairs = {key: "".join(values) for key, _, *values in _ONE_PAIR.findall(tail)}
    return pairs, text.replace(tail, "")


def _compile(form: str) -> re.Pattern[str]:
    pattern = re.sub(r"(\s*)" + _OPTIONAL, f"(?:{_CAPTURE})?", form)
    pattern = re.sub(r"(\s*)" + _REQUIRED, _CAPTURE, pattern)
    starts, ends = _anchors(pattern)
    return re.compile(("" if starts else r"^\s*") + pattern + ("" if ends else r"\s*$"), re.DOTALL)


def _anchors(pattern: str) -> tuple[bool, bool]:
    """Whether an anchor for the beginning, and one for the end, stand anywhere outside of ``[...]`` and of
    look-arounds: StackStorm does not look into those."""
    bare = re.sub(r"\\[^AZ]", "", pattern)
    bare = re.sub(r"\[\^?\]?[^\]]*\]", "", bare)
    bare = _without_lookarounds(bare)
    return bool(re.search(r"\^|\\A", bare)), bool(re.search(r"\$|\\Z", bare))


def _without_lookarounds(bare: str) -> str:
    """The pattern, which holds no escapes and sets any more, without its look-aheads and look-behinds."""
    kept, depth, inside = [], 0, 0  # inside: the depth at which the outermost look-around began
    for found in re.finditer(r"\(\?<?[=!]|.", bare, re.DOTALL):
        piece = found.group()
        depth += (piece[0] == "(") - (piece == ")")
        if len(piece) > 1 and not inside:
            inside = depth
        if not inside:
            kept.append(piece)
        elif depth < inside:
            inside = 0
    return "".join(kept)
