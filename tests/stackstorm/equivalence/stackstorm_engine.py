"""A running StackStorm: its API, as its web UI, its chat bot and its sensors use it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.stackstorm.api import ENDED, ApiError, until
from tests.stackstorm.equivalence.engine import KINDS, Run, Settings
from tests.stackstorm.product import CHAT_KEY, PACK, PASSWORD_KEY, Product

RULE_SECONDS = 60.0
PROCESSED = ("processed", "processing_failed")


class StackStorm:
    """The pack that is installed there, with its sensors off.

    :param person: who asks
    """

    name = "stackstorm"

    def __init__(self, product: Product, person: str) -> None:
        self._product = product
        self._api = product.api
        self._person = person

    def configure(self, settings: Settings) -> None:
        """Secrets are keys of the datastore."""
        self._api.key(PASSWORD_KEY, settings.password, secret=True)
        self._api.key(CHAT_KEY, settings.chat_url, secret=True)
        self._product.config = {
            **settings.sections,
            "credentials": {"lab": {"username": settings.user, "password_key": PASSWORD_KEY}},
            "notify": [{"url_key": CHAT_KEY}],
        }
        self._product.configure()

    def heal(self, parameters: Mapping[str, Any]) -> Run:
        """As from the web UI's form."""
        return self._run("heal", parameters)

    def action(self, name: str, parameters: Mapping[str, Any]) -> Run:
        """As from the web UI's form."""
        by = {"user": self._person} if name == "pause" else {}
        return self._run(name, {**parameters, **by})

    def trigger(self, name: str, payload: Mapping[str, Any]) -> Run:
        """Through /webhooks/st2, the rules engine and the rule."""
        run, full = Run("trigger"), f"{PACK}.{name}"
        known = {each["id"] for each in self._instances(full)}
        try:
            self._api.trigger(full, dict(payload))
        except ApiError as error:
            run.refused = error.text
            return run

        def processed() -> str:
            fresh = [each for each in self._instances(full) if each["id"] not in known]
            return next((each["id"] for each in fresh if each["status"] in PROCESSED), "")

        instance = until(processed, RULE_SECONDS, f"the rules engine's turn for {full}")
        (begun,) = self._api.call("GET", "/executions", trigger_instance=instance, parent="null")
        run.id = begun["id"]
        return run

    def chat(self, text: str) -> Run:
        """As the chat bot sends it."""
        run = Run("chat")
        try:
            run.ack, run.id = self._api.chat(text, self._person)
        except ApiError as error:
            run.refused = error.text
        return run

    def end(self, run: Run, seconds: float) -> None:
        """See `Engine`; a cancelled workflow may end before its last task."""
        if not run.id:
            return
        run.document = self._api.ended(run.id, seconds)
        until(
            lambda: all(task["status"] in ENDED for task in self.tasks(run)),
            seconds,
            f"the end of every task of {run.id}",
        )
        if run.order == "chat":
            run.said = self._api.said(run.id)

    def tasks(self, run: Run) -> list[dict[str, Any]]:
        """See `Engine`."""
        return [
            {**child, "task": child["context"]["orquesta"]["task_name"]}
            for child in self._api.children(run.id)
        ]

    def cancel(self, run: Run) -> None:
        """As in the web UI."""
        self._api.cancel(run.id)

    def documents(self) -> dict[str, dict[str, Any]]:
        """See `Engine`."""
        found: dict[str, dict[str, Any]] = {}
        for kind in KINDS:
            found |= {key: json.loads(value) for key, value in self._api.keys(f"{PACK}:{kind}").items()}
        return found

    def _run(self, action: str, parameters: Mapping[str, Any]) -> Run:
        return Run(action, self._api.run(f"{PACK}.{action}", **parameters))

    def _instances(self, trigger: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._api.call("GET", "/triggerinstances", trigger=trigger, limit=20)
        return found
