"""The part of a chat bot, without a chat: what a person types, and what StackStorm has the bot say."""

from __future__ import annotations

import os
import re
import signal
from contextlib import suppress
from pathlib import Path

from tests.stackstorm.api import ENDED, Api, ApiError, until
from tests.stackstorm.product import PACK

CHANNEL = "bmc-healer-test"
ROUTE = "bmc_healer_test"  # of the message stream: no bot listens to it
MOST = 500  # characters: hubot cuts a text off there, but for Slack and its like
POST_SECONDS = 90.0


class Bot:
    """Types commands as `user`; every text is printed, so that `pytest -rP` shows them as they are read."""

    def __init__(self, api: Api, user: str = "anna") -> None:
        self.api = api
        self.user = user

    def order(self, text: str, *, route: str = "nobody") -> str:
        """A command: the execution's id, after an acknowledgement that reads well."""
        body = {"command": text, "user": self.user, "source_channel": CHANNEL, "notification_route": route}
        found = self.api.call("POST", "/aliasexecution/match_and_execute", body)["results"][0]
        assert not found["actionalias"]["ack"]["append_url"]
        print(f"\n{self.user}: !{text}\nbot: {reads_well(found['message'])}")
        return str(found["execution"]["id"])

    def says(self, execution: str, seconds: float = 120.0) -> str:
        """What chat hears when it has ended: posted as chatops' own rule posts it."""
        self.api.ended(execution, seconds)
        asked = {"execution_id": execution, "user": self.user, "channel": CHANNEL, "route": ROUTE}
        return self._posted(self.api.run("chatops.post_result", **asked))

    def talk(self, text: str, seconds: float = 120.0) -> str:
        """A command and its result."""
        return self.says(self.order(text), seconds)

    def posted_by_rule(self, execution: str) -> str:
        """What chatops' rule has posted by itself."""

        def found() -> str:
            posts = self.api.executions("chatops.post_result", 20)
            return next((p["id"] for p in posts if p["parameters"]["execution_id"] == execution), "")

        return self._posted(until(found, POST_SECONDS, f"the post of {execution}"))

    def refused(self, text: str) -> str:
        """A command that StackStorm refuses at once: its words. Nothing is started."""
        before = self._started()
        try:
            self.order(text)
        except ApiError as error:
            assert error.status == 400, error
            assert self._started() == before
            print(f"\n{self.user}: !{text}\nStackStorm: {error.text.splitlines()[0]}")
            return error.text
        raise AssertionError(f"StackStorm did not refuse {text!r}")

    def _started(self) -> set[str]:
        actions = ("heal_request", "pause", "resume", "diagnose", "status", "sweep")
        return {found["id"] for name in actions for found in self.api.executions(f"{PACK}.{name}", 5)}

    def _posted(self, execution: str) -> str:
        ended = self.api.ended(execution, POST_SECONDS)
        assert ended["status"] == "succeeded", ended
        (post,) = [c for c in self.api.children(execution) if c["action"]["ref"] == "chatops.post_message"]
        assert (post["parameters"]["user"], post["parameters"]["channel"]) == (self.user, CHANNEL)
        print(f"bot: {post['parameters']['message']}")
        return reads_well(post["parameters"]["message"])


def reads_well(text: str) -> str:
    """`text`, when it is one line that ends as a sentence does, short, and holds nothing for machines."""
    assert text == text.strip() and "\n" not in text and "  " not in text, repr(text)
    assert not re.search(r"[{}<>]|None|null|undefined|Traceback|https?:|\.\.", text.replace("->", "")), text
    assert text[0].isalnum() and text.endswith((".", ")")) and len(text) <= MOST, text
    return text


def kill(api: Api, execution: str, task: str, seconds: float = 120.0) -> None:
    """Kill the process of a task's action, or of the execution itself when `task` is empty, while it runs."""

    def running() -> str:
        if not task:
            found = api.execution(execution)
            return found["action"]["name"] if found["status"] == "running" else ""
        tasks = [c for c in api.children(execution) if c["context"]["orquesta"]["task_name"] == task]
        return tasks[0]["action"]["name"] if tasks and tasks[0]["status"] not in ENDED else ""

    action = until(running, seconds, f"the start of {task or execution}")
    for pid in until(lambda: _wrappers(action), seconds, f"the process of {action}", interval=0.05):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _wrappers(action: str) -> list[int]:
    """StackStorm's processes around an action of the pack."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            argv = process.joinpath("cmdline").read_bytes().split(b"\0")
            if f"--pack={PACK}".encode() in argv and any(a.endswith(f"/{action}.py".encode()) for a in argv):
                found.append(int(process.name))
    return found
