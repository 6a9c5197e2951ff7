"""A rule's criteria: StackStorm's operators, and the lookup of ``trigger.some.field`` in a payload."""

from __future__ import annotations

import fnmatch
import json
import logging
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any

from packrunner import templates

LOG = logging.getLogger(__name__)

_STEP = re.compile(r"\.?([^.\[\]]+)|\[(\d+|\*)\]")
# A pattern that is a lone expression keeps its type.
_EXPRESSION = re.compile(r"({{)\s*(.*)\s*(}})")


def matches(criteria: Mapping[str, Mapping[str, Any]], payload: Any, context: Mapping[str, Any]) -> bool:
    """Whether a payload fulfils all criteria; one that cannot be judged counts as not fulfilled."""
    return all(
        _fulfilled(key, criterion, {**context, "trigger": payload}) for key, criterion in criteria.items()
    )


def _fulfilled(key: str, criterion: Mapping[str, Any], context: Mapping[str, Any]) -> bool:
    # "#" and what follows only keep two criteria on one field apart.
    value = lookup(context, key.split("#", 1)[0])
    try:
        pattern = _render(criterion.get("pattern"), context)
        kind = criterion["type"].lower()
        if kind == "search":
            return _search(value, pattern, criterion.get("condition"), context)
        return bool(OPERATORS[kind](value, pattern))
    except Exception as error:  # noqa: BLE001  whatever a foreign payload makes of it: no match, and a line
        LOG.warning("criterion %s cannot be judged: %s", key, error)
        return False


def lookup(context: Mapping[str, Any], path: str) -> Any:
    """The value at ``trigger.a.b[0].c`` (``[*]``: the first), None when there is none."""
    value: Any = context
    for name, index in _STEP.findall(path):
        try:
            value = value[name] if name else value[0 if index == "*" else int(index)]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def _render(pattern: Any, context: Mapping[str, Any]) -> Any:
    if not isinstance(pattern, str):
        return pattern
    if _EXPRESSION.search(pattern):
        try:
            return json.loads(templates.render(_EXPRESSION.sub(r"\1\2 | to_complex\3", pattern), context))
        except ValueError:
            LOG.debug("pattern %s is text", pattern)
    return templates.render(pattern, context)


def _search(value: Any, patterns: Any, condition: Any, context: Mapping[str, Any]) -> bool:
    """Any or all items of a list against any or all child criteria on ``item``."""
    over_items, over_patterns = _CONDITIONS[condition]
    items = [value] if isinstance(value, dict) else value
    return over_items(
        over_patterns(_fulfilled(key, child, {**context, "item": item}) for key, child in patterns.items())
        for item in items
    )


def _age_seconds(value: str) -> float:
    then = datetime.fromisoformat(value.replace("Z", "+00:00"))
    then = then if then.tzinfo else then.replace(tzinfo=timezone.utc)
    return (datetime.now(timezone.utc) - then).total_seconds()


_Operator = Callable[[Any, Any], Any]


def _needs_pattern(operator: _Operator) -> _Operator:
    """Without a pattern StackStorm's operators are never true."""
    return lambda value, pattern: pattern is not None and operator(value, pattern)


_CONDITIONS: dict[Any, tuple[Callable[[Any], bool], Callable[[Any], bool]]] = {
    "any": (any, all),
    "all": (all, all),
    "any2any": (any, any),
    "all2any": (all, any),
}
_PLAIN: dict[str, _Operator] = {
    "equals": lambda v, p: v == p,
    "iequals": lambda v, p: v.lower() == p.lower(),
    "contains": lambda v, p: p in v,
    "icontains": lambda v, p: p.lower() in v.lower(),
    "ncontains": lambda v, p: p not in v,
    "incontains": lambda v, p: p.lower() not in v.lower(),
    "startswith": lambda v, p: v.startswith(p),
    "istartswith": lambda v, p: v.lower().startswith(p.lower()),
    "endswith": lambda v, p: v.endswith(p),
    "iendswith": lambda v, p: v.lower().endswith(p.lower()),
    "lessthan": lambda v, p: v < p,
    "greaterthan": lambda v, p: v > p,
    "matchwildcard": fnmatch.fnmatch,
    "matchregex": lambda v, p: re.match(p, v, re.DOTALL),
    "regex": lambda v, p: re.search(p, v),
    "iregex": lambda v, p: re.search(p, v, re.IGNORECASE),
    "timediff_lt": lambda v, p: _age_seconds(v) < float(p),
    "timediff_gt": lambda v, p: _age_seconds(v) > float(p),
    "inside": lambda v, p: v in p,
    "ninside": lambda v, p: v not in p,
}
OPERATORS: dict[str, _Operator] = {name: _needs_pattern(operator) for name, operator in _PLAIN.items()}
OPERATORS.update(
    {
        "nequals": lambda v, p: v != p,
        "exists": lambda v, p: v is not None,
        "nexists": lambda v, p: v is None,
    }
)
for _short, _long in {
    "eq": "equals",
    "neq": "nequals",
    "ieq": "iequals",
    "lt": "lessthan",
    "gt": "greaterthan",
    "td_lt": "timediff_lt",
    "td_gt": "timediff_gt",
    "in": "inside",
    "nin": "ninside",
}.items():
    OPERATORS[_short] = OPERATORS[_long]
KNOWN = frozenset({*OPERATORS, "search"})
