"""Chat: formats, pins, acknowledgement and result."""

from __future__ import annotations

import time
from typing import Any

import pytest

from packrunner import alias_format
from packrunner.errors import AliasError, ParameterError
from packrunner.runner import PackRunner

RESET = r"pretend reset(?: host)? (?!host\s*$)(?P<host>\S+)\s*$"
FIRST = r"wipe(?: all)? (?={{first}}(?:\s|$)){{host}}"


@pytest.mark.parametrize(
    ("form", "text", "expected"),
    [
        ("ping {{host}}", "ping db01", {"host": "db01"}),
        ("ping {{host}}", "ping db01 and db02", {"host": "db01 and db02"}),
        ("ping {{host}}", "ping 'db 01'", {"host": "db 01"}),
        ("ping {{ host }}", "  ping   db01  ", {"host": "  db01"}),
        ("ping {{host}}", "ping", None),
        ("ping {{host}}", "pong db01", None),
        ("ping {{host}}", "ping db01 count=3", {"host": "db01", "count": "3"}),
        ("ping {{host}}", 'ping db01 text="a b" n=1', {"host": "db01", "text": "a b", "n": "1"}),
        ("ping {{host=here}}", "ping", {"host": "here"}),
        ("ping {{host=here}}", "ping there", {"host": "there"}),
        ('ping {{host="right here"}} now', "ping now", {"host": "right here"}),
        ("say {{what}} to {{who=all}}", "say hello to me", {"what": "hello", "who": "me"}),
        ("status(?: please)?", "status please", {}),
        ("(status|state)$", "state", None),  # the text gets a space at its end
        (r"(status|state)\s*$", "state", {}),
        (RESET, "pretend reset host db01", {"host": "db01"}),
        (RESET, "pretend reset db01", {"host": "db01"}),
        (RESET, "pretend reset host", None),
        (RESET, "pretend reset db01 db02", None),
        (RESET, "pretend reset db01 force=true", {"host": "db01", "force": "true"}),
        (RESET, "please pretend reset db01", None),
        (FIRST, "wipe db01", {"first": "db01", "host": "db01"}),  # an anchor in a look-ahead is none
        (FIRST, "wipe all db01 db02", {"first": "db01", "host": "db01 db02"}),
        (FIRST, "well, wipe db01", None),
        (r"wipe(?=((?=x)|\s+\S$)?) {{host}}", "wipe (db01)", {"host": "(db01)"}),
        (r"wipe \((?<!$)[()$]?{{host}}", "wipe (db01 db02", {"host": "db01 db02"}),
    ],
)
def test_formats(form: str, text: str, expected: dict[str, Any] | None) -> None:
    assert alias_format.parse(form, text) == expected


def test_a_long_text_costs_little() -> None:
    begun = time.process_time()
    for text in ("a" * 1000, "a=" * 500, " " * 1000 + "x", "'" * 1000, "a=b " * 250 + "{"):
        alias_format.parse("ping {{host}}", text)
    assert time.process_time() - begun < 5


def test_a_command_from_ack_to_result(runner: PackRunner) -> None:
    heard: list[str] = []
    reply = runner.chat("pretend reset host db01", "me", on_ack=heard.append)
    assert heard == ["On it: db01"]
    assert reply.ack == "On it: db01"
    assert reply.text == "succeeded db01"
    assert reply.execution.context["api_user"] == "me"
    assert reply.execution.parameters == {"host": "db01", "what": "pair"}


def test_none_and_more_than_one(runner: PackRunner) -> None:
    with pytest.raises(AliasError, match=r"Command 'make coffee' matched no patterns"):
        runner.chat("make coffee", "me")
    with pytest.raises(AliasError, match=r"Command 'tell x now' matched more than 1 pattern"):
        runner.chat("tell x now", "me")
    assert runner.executions.list() == []


def test_what_is_pinned_cannot_be_set(runner: PackRunner) -> None:
    with pytest.raises(AliasError, match="Immutable arguments cannot be overriden: what"):
        runner.chat("pretend reset db01 what=raise", "me")


def test_unknown_parameters_are_refused(runner: PackRunner) -> None:
    with pytest.raises(ParameterError, match="'colour' was unexpected"):
        runner.chat("pretend reset db01 colour=red", "me")


def test_a_text_is_data_and_lists_are_cast(runner: PackRunner) -> None:
    reply = runner.chat("say {{ 7 * 7 }} with x, y", "me")
    got = reply.execution.output["parameters"]
    assert got["text"] == "{{ 7 * 7 }}"
    assert got["names"] == ["x", "y"]
    assert runner.chat("say hi with number=3", "me").execution.output["parameters"]["number"] == 3


def test_an_ack_that_cannot_be_rendered_says_so(runner: PackRunner) -> None:
    reply = runner.chat("say hi loudly", "me")
    assert reply.ack.startswith('Cannot render "format" in field "ack" for alias.')
    assert reply.text.startswith("tpack.echo succeeded: {")


def test_switched_off(runner: PackRunner) -> None:
    reply = runner.chat("tell x", "me")
    assert (reply.ack, reply.text, reply.execution.output) == ("", "", "x")
