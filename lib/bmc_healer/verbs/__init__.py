"""The actions' work: one function per action, joined by `perform`."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from bmc_healer.errors import HealerError
from bmc_healer.state.store import Datastore
from bmc_healer.verbs.lifetime import limited
from bmc_healer.verbs.runtime import Runtime

Verb = Callable[[Runtime, Mapping[str, Any]], dict[str, Any]]

_MARKS = re.compile(r"([{<])([{%#])")

# Action -> module that does it; imported only when it is used, since heavy libraries hang on some.
MODULES = {
    "begin_heal": "begin_heal",
    "diagnose": "diagnose",
    "reap_ipmitool": "host_rungs",
    "reset_bmc_inband": "host_rungs",
    "unload_ipmi": "host_rungs",
    "throttle_kipmid": "host_rungs",
    "load_ipmi": "host_rungs",
    "reset_bmc_oob": "reset_bmc_oob",
    "verify": "verify",
    "end_heal": "end_heal",
    "tidy": "tidy",
    "notify": "people",
    "status": "people",
    "sweep": "people",
    "pause": "people",
    "resume": "people",
}

# Seconds: the same as `timeout` in the action's metadata, which its process is not told.
LIMITS = {
    "begin_heal": 300,
    "diagnose": 600,
    "reap_ipmitool": 180,
    "reset_bmc_inband": 1200,
    "unload_ipmi": 2400,
    "throttle_kipmid": 180,
    "load_ipmi": 2700,
    "reset_bmc_oob": 1200,
    "verify": 3600,
    "end_heal": 300,
    "tidy": 300,
    "notify": 120,
    "status": 60,
    "sweep": 300,
    "pause": 60,
    "resume": 60,
}


def plain(value: Any) -> Any:
    """`value` with every template mark in its strings broken up.

    StackStorm evaluates Jinja and YAQL in whatever a workflow passes on, deep inside objects: a host's text
    with `{{ st2kv.system.x }}` in it would read the datastore (seen on 3.10dev).
    """
    if isinstance(value, str):
        whole = value.encode("utf-8", "replace").decode()  # a lone surrogate makes StackStorm drop the result
        return _MARKS.sub(r"\1 \2", whole)
    if isinstance(value, dict):
        return {plain(str(key)): plain(member) for key, member in value.items()}
    return [plain(member) for member in value] if isinstance(value, (list, tuple)) else value


def perform(
    name: str,
    parameters: Mapping[str, Any],
    config: Mapping[str, Any],
    datastore: Datastore,
    logger: logging.Logger,
) -> tuple[bool, dict[str, Any]]:
    """Do what the action `name` is for.

    :param config: the pack's configuration as the engine hands it over
    :returns: (ok, result). An error is a result with `sentence` and `error`, never an exception: a traceback
        could show what must stay secret.
    """
    try:
        verb: Verb = getattr(import_module(f"bmc_healer.verbs.{MODULES[name]}"), name)
        with limited(LIMITS[name]):
            return True, plain(verb(Runtime(config, datastore, logger=logger), parameters))
    except HealerError as error:
        said = error.sentence if error.where else error.sentence[:1].upper() + error.sentence[1:]
        return False, plain({"sentence": said, "error": type(error).__name__})
    except Exception as error:  # the last rim before the engine
        logger.debug("%s failed", name, exc_info=True)
        return False, {
            "sentence": f"{name} failed inside ({type(error).__name__}); nothing more was sent.",
            "error": type(error).__name__,
        }
