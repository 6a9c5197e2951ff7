"""ChatOps: from a text to an action, and from its end to the text that chat hears."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jinja2

from packrunner import alias_format, casts, model, templates
from packrunner.errors import AliasError
from packrunner.execution import Execution
from packrunner.executor import Order

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Match:
    """An alias, and the parameters a text gives it."""

    alias: model.Alias
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class ChatReply:
    """``ack`` is said at once, ``text`` at the end; either is empty when the alias switched it off."""

    ack: str
    text: str
    execution: Execution


def match(aliases: Mapping[str, model.Alias], text: str) -> Match:
    """The one alias that the text fits.

    :raises AliasError: none, or more than one; in StackStorm's words
    """
    found = [
        Match(alias, parameters)
        for alias in aliases.values()
        if alias.enabled
        for form in alias.formats
        if (parameters := alias_format.parse(form.representation, text)) is not None
    ]
    if len(found) > 1:
        raise AliasError(f"Command '{text}' matched more than 1 pattern")
    if not found:
        raise AliasError(f"Command '{text}' matched no patterns")
    return found[0]


def order(pack: str, found: Match, user: str, names: Mapping[str, Any]) -> Order:
    """What to run. A text is data: no templates in it.

    :param names: what the templates of ``immutable_parameters`` may refer to
    :raises AliasError: the text sets what the alias pins, or a pinned template fails
    """
    pinned = found.alias.immutable_parameters
    set_anyway = [name for name in pinned if name in found.parameters]
    if set_anyway:
        raise AliasError(f"Immutable arguments cannot be overriden: {','.join(set_anyway)}")
    context = {"action_alias_ref": {"name": found.alias.ref}, "api_user": user, "user": user, "pack": pack}
    try:
        parameters = {**found.parameters, **templates.render_mapping(pinned, {**names, **context})}
    except jinja2.TemplateError as error:
        raise AliasError(f"{found.alias.ref}: immutable_parameters: {error}") from error
    return Order(found.alias.action, parameters, context, cast_with=casts.cast_chat)


def acknowledge(alias: model.Alias, execution: Execution) -> str:
    """What chat hears at once."""
    if not alias.ack.get("enabled", True):
        return ""
    if "format" not in alias.ack:
        return f"Started {execution.action} (execution {execution.id})."
    try:
        return templates.render(alias.ack["format"], {"execution": execution.as_api(), "actionalias": alias})
    except jinja2.TemplateError as error:
        return f'Cannot render "format" in field "ack" for alias. {error}'


def conclude(alias: model.Alias, execution: Execution) -> str:
    """What chat hears at the end; a plain line when the template fails, where StackStorm says nothing."""
    if not alias.result.get("enabled", True):
        return ""
    plain = f"{execution.action} {execution.status}: {json.dumps(execution.output, default=str)}"
    if "format" not in alias.result:
        return plain
    try:
        context = {"execution": execution.as_api(), "alias": alias}
        return templates.render(alias.result["format"], context, allow_undefined=True).strip()
    except jinja2.TemplateError:
        LOG.exception("alias %s: result.format fails; in StackStorm chat would hear nothing", alias.ref)
        return plain
