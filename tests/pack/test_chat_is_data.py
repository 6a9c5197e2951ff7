"""What is typed in chat is a host's name or nothing: it is not evaluated, and what it evaluates to not shown.

Orquesta evaluates YAQL and Jinja in the inputs of a workflow, `st2kv` included. The real pack, with its real
actions, on packrunner: no such host exists, so nothing is touched.
"""

from __future__ import annotations

import json

import pytest

from packrunner.errors import ParameterError
from packrunner.runner import PackRunner
from tests.pack.temporary import CONFIG, PACK

EVALUATED = "136117223861"  # what the expressions below are worth; no time and no pid looks like it


@pytest.fixture(scope="module")
def runner(tmp_path_factory):
    with PackRunner(PACK, CONFIG, tmp_path_factory.mktemp("state")) as made:
        yield made


@pytest.mark.parametrize(
    "text",
    [
        "bmc heal h<%104729*1299709%>",
        "bmc reset h{{104729*1299709}}",
        "bmc reset db01 host=h<%104729*1299709%>",
        "bmc heal db01 asked_host=h<%104729*1299709%>",
        "bmc heal db01 h<%104729*1299709%>",
    ],
)
def test_an_expression_starts_no_heal(runner, text):
    """`<%st2kv('system.bmc_dell',decrypt=>true)%>` would be a password."""
    before = len(runner.executions.list())
    with pytest.raises(ParameterError, match="is not allowed") as refused:
        runner.chat(text, "jane")
    assert EVALUATED not in str(refused.value)
    assert len(runner.executions.list()) == before


def test_a_name_that_came_through_is_not_shown(runner):
    """Whatever an engine has made of it: begin_heal shows a name only when it is one of a host."""
    reply = runner.chat("bmc heal db136117223861", "jane")
    assert reply.text.startswith("Refused, nothing was reset.") and EVALUATED not in reply.text
    assert [child.task for child in runner.executions.list(parent=reply.execution.id)] == ["begin_heal"]


@pytest.mark.parametrize(
    "text",
    ["bmc diagnose <%104729*1299709%>", "bmc status {{104729*1299709}}", "bmc pause <%104729*1299709%>"],
)
def test_the_other_commands_do_not_evaluate_at_all(runner, text):
    reply = runner.chat(text, "jane")
    assert EVALUATED not in reply.text + json.dumps(reply.execution.as_api())
    assert "104729*1299709" in reply.text and reply.text.endswith("e.g. db01.")
