"""Renders parameters that hold Jinja and may refer to each other."""

from __future__ import annotations

import graphlib
import json
import re
from collections.abc import Mapping
from typing import Any

import jinja2
import jinja2.meta

from packrunner import templates
from packrunner.errors import ParameterError

# Inside a list or object a lone name keeps its type; StackStorm's expression for that, ranges included.
_WHOLE_NAME = re.compile(r'"{{([A-z0-9_-]+)}}"')


def render_values(
    where: str, values: Mapping[str, Any], context: Mapping[str, Any], literal: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """Render the templates among the values, each after those it names.

    :param where: the action, for the error's sentence
    :param context: further names that templates may use
    :param literal: names of values that are data, whatever they look like
    :raises ParameterError: an unknown name, a circle, or a template that fails
    """
    needs: dict[str, set[str]] = {}
    for name, value in values.items():
        needs[name] = set() if name in literal else _names_in(value)
        missing = sorted(needs[name] - set(values) - set(context))
        if missing:
            raise ParameterError(f'{where}: {name}: Dependency unsatisfied in variable "{missing[0]}"')
    try:
        order = list(graphlib.TopologicalSorter(needs).static_order())
    except graphlib.CycleError as error:
        names = ", ".join(sorted(set(error.args[1])))
        raise ParameterError(f"{where}: Cyclic dependency found in the variables: {names}") from error
    known = dict(context)
    for name in order:
        if name in values:
            value = values[name]
            plain = name in literal or not _has_template(value)
            known[name] = value if plain else _render(where, name, value, known)
    return {name: known[name] for name in values}


def _has_template(value: Any) -> bool:
    return templates.is_template(str(value) if isinstance(value, (dict, list)) else value)


def _names_in(value: Any) -> set[str]:
    if not _has_template(value):
        return set()
    try:
        tree = templates.environment().parse(str(value))
    except jinja2.TemplateSyntaxError:
        return set()
    return jinja2.meta.find_undeclared_variables(tree)


def _render(where: str, name: str, value: Any, known: Mapping[str, Any]) -> Any:
    structured = isinstance(value, (dict, list))
    text = _WHOLE_NAME.sub(r"{{\1 | to_complex}}", json.dumps(value)) if structured else str(value)
    try:
        templates.environment().parse(text)
    except jinja2.TemplateSyntaxError:
        return value  # has braces, but is no Jinja
    try:
        rendered = templates.render(text, known)
        return json.loads(rendered) if structured else rendered
    except Exception as error:  # a template may raise whatever it likes
        raise ParameterError(f'{where}: Failed to render parameter "{name}": {error}') from error
