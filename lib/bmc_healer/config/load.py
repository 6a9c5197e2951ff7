"""The configuration from a pack's dictionary or a file: checked whole, or refused with place and reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bmc_healer.config import hosts, private, schema
from bmc_healer.config.document import absolute_paths, check_plain, parse_yaml, where
from bmc_healer.config.settings import (
    Config,
    Credential,
    GuardrailSettings,
    LadderSettings,
    Mode,
    NotifyTarget,
    WatchSettings,
)
from bmc_healer.errors import ConfigError

NO_MODE = "mode is missing, and it has no default: whoever installs this decides how much it may do by itself"
CHOOSE_MODE = "Write `mode: observe`, `mode: propose` or `mode: auto`"
IN_ARGV = "StackStorm hands this configuration to every action in its arguments, where `ps` shows it"


def from_dict(data: Any, *, origin: str, plain_secrets: bool) -> Config:
    """A whole configuration from plain data; file names in it are absolute.

    :param origin: the file, or "the pack's configuration": what errors name
    :param plain_secrets: whether `password` and `url` may stand in it: only where the file was checked
    :raises ConfigError: naming file, path and reason
    """
    check_plain(data, origin)
    if isinstance(data, dict) and not data.get("mode"):
        raise ConfigError(NO_MODE, where(origin, ["mode"]), CHOOSE_MODE)
    data = _without_made_up(data)
    schema.check(data, schema.sections(), origin)
    if not plain_secrets:
        _refuse_secrets(data, origin)
    credentials = {
        name: _credential(document, where(origin, ["credentials", name]))
        for name, document in data.get("credentials", {}).items()
    }
    targets = enumerate(data.get("notify", []))
    defaults = data.get("defaults", {})
    checks = hosts.HostChecks(credentials)
    if (credential := defaults.get("bmc", {}).get("credential", "")) and credential not in credentials:
        raise ConfigError("this credential is not defined", where(origin, ["defaults", "bmc", "credential"]))
    return Config(
        mode=Mode(data["mode"]),
        hosts=hosts.build(data.get("hosts", {}), defaults, checks, origin, ("hosts",)),
        inventory=data.get("inventory"),
        credentials=credentials,
        mode_by_label={label: Mode(mode) for label, mode in data.get("mode_by_label", {}).items()},
        watch=_watch(data.get("watch", {}), origin),
        guardrails=GuardrailSettings(**data.get("guardrails", {})),
        ladder=LadderSettings(**data.get("ladder", {})),
        notify=tuple(_target(document, where(origin, ["notify", str(i)])) for i, document in targets),
        defaults=defaults,
    )


def read_raw(path: Path, *, plain_secrets: bool = True) -> dict[str, Any]:
    """The file as plain data with absolute paths, for `from_dict` here or in another process.

    Secrets may stand in it only when the file is 0600 and ours.

    :raises ConfigError: not readable, not YAML, no mapping, or a plain secret in a file that others can read
    """
    origin = str(path)
    content, exposed = private.read(path)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"not UTF-8 text (byte {error.start})", origin) from None
    data = parse_yaml(text, origin)
    if not isinstance(data, dict):
        raise ConfigError("empty, or not a mapping of settings", origin)
    check_plain(data, origin)
    if exposed and plain_secrets and (at := _first_secret(data)):
        raise ConfigError(
            f"a plain secret in this file, and {exposed}", where(origin, at), f"chmod 600 {path}"
        )
    resolved: dict[str, Any] = absolute_paths(data, path.resolve().parent)
    return resolved


def from_file(path: Path, *, plain_secrets: bool = True) -> Config:
    """Read and check a configuration file; relative file names in it are relative to its folder.

    :raises ConfigError: naming file, path and reason
    """
    data = read_raw(path, plain_secrets=plain_secrets)
    return from_dict(data, origin=str(path), plain_secrets=plain_secrets)


def _without_made_up(data: Any) -> Any:
    """Without the empty `bmc` and `redfish` that StackStorm puts where a host has none."""
    if not isinstance(data, dict) or not isinstance(data.get("hosts"), dict):
        return data
    pruned = {}
    for name, host in data["hosts"].items():
        if isinstance(host, dict) and isinstance(host.get("bmc"), dict):
            bmc = {key: value for key, value in host["bmc"].items() if not (key == "redfish" and value == {})}
            host = {key: value for key, value in host.items() if key != "bmc"} | ({"bmc": bmc} if bmc else {})
        pruned[name] = host
    return {**data, "hosts": pruned}


def _secrets(data: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Paths of all plain secrets; tolerant of wrong shapes, since the schema has its say elsewhere."""
    found = []
    credentials, notify = data.get("credentials"), data.get("notify")
    for name, document in credentials.items() if isinstance(credentials, dict) else ():
        if isinstance(document, dict) and "password" in document:
            found.append(("credentials", name, "password"))
    for number, document in enumerate(notify if isinstance(notify, list) else ()):
        if isinstance(document, dict) and "url" in document:
            found.append(("notify", str(number), "url"))
    return found


def _first_secret(data: dict[str, Any]) -> tuple[str, ...] | None:
    return next(iter(_secrets(data)), None)


def _refuse_secrets(data: dict[str, Any], origin: str) -> None:
    if at := _first_secret(data):
        do = f"Use {at[-1]}_key (datastore) or {at[-1]}_file instead"
        raise ConfigError(f"a plain {at[-1]} is refused here: {IN_ARGV}", where(origin, at), do)


def _one_of(document: dict[str, Any], choices: tuple[str, ...], at: str) -> None:
    given = [choice for choice in choices if document.get(choice)]
    if len(given) != 1:
        what = "none is given" if not given else f"{' and '.join(given)} are given"
        raise ConfigError(f"exactly one of {', '.join(choices)} is needed, {what}", at)


def _credential(document: dict[str, Any], at: str) -> Credential:
    _one_of(document, ("password_key", "password_file", "password"), at)
    return Credential(**document)


def _target(document: dict[str, Any], at: str) -> NotifyTarget:
    _one_of(document, ("url_key", "url_file", "url"), at)
    return NotifyTarget(**document)


def _watch(document: dict[str, Any], origin: str) -> WatchSettings:
    watch = WatchSettings(**document)
    if watch.kipmi_cpu_low > watch.kipmi_cpu_high:
        what = f"{watch.kipmi_cpu_low} is above kipmi_cpu_high ({watch.kipmi_cpu_high})"
        raise ConfigError(what, where(origin, ["watch", "kipmi_cpu_low"]))
    return watch
