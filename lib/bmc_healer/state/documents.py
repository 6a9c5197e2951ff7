"""The documents that the datastore holds, as frozen data. Times are epoch seconds.

| key | document | goes away |
|---|---|---|
| `f:lock:<incident>:` | Lock | by its heal's end, or by tidy; never by time |
| `f:candidate:<id>:` | Lock that somebody would like to have | after a minute |
| `f:heal:<incident>:` | PastHeal | after an hour: for the budgets per hour |
| `f:pause:<target>:` | Pause | at `until` |
| `f:mass:<label>:<watch>:` | MassOutage | at `until` |
| `f:badlogin:<credential>:<bmc>:` | BadLogin | after a day |
| `f:stopped:<credential>:` | StoppedCredential | by a person |
| `h:<host>:fence:` | Fence | never |
| `h:<host>:heartbeat:<incident>:` | Heartbeat | by its heal's end |
| `h:<host>:intent:<incident>:<n>:` | Intent | a day after it was closed; open ones stay |
| `h:<host>:heal:<incident>:` | PastHeal | after 7 days: for cooldown and heals per day |
| `h:<host>:latch:` | Latch | by a person or recovery |
| `h:<host>:memory:<field>:` | {"value": ...} | never |
| `h:<host>:ack:<key>:` | {"key", "at"} | after 7 days |
| `l:<part>:<watch>:` | {"name", "document"}: host to `LanSeen`, of a part of the fleet | never |
| `w:<watch>:<name>:` | {"name", "document"}: what a watch wants to know again after a restart | never |
| `s:<watch>:<sensor>:` | {"name", "machine", "process", "at"}: who shares the fleet | after ten minutes |
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from bmc_healer.errors import StateError
from bmc_healer.state.store import Document

T = TypeVar("T")


@dataclass(frozen=True)
class Lock:
    """Who heals a host, or (as a candidate) would like to.

    :param id: random; the lowest of several candidates wins
    :param execution: id of the workflow's execution; "" for none
    :param bmc_address: `10.1.0.5:623`, pinned; None without a BMC
    :param labels: `key=value` strings of the host
    :param owner: which StackStorm or embedded runner, for people
    :param resets: False: the heal only brings the host back, and no budget counts it
    """

    id: str
    host: str
    incident: str
    execution: str
    bmc_address: str | None
    labels: tuple[str, ...]
    owner: str
    taken_at: float
    resets: bool = True


@dataclass(frozen=True)
class PastHeal:
    """A heal that sent something; one that only looked leaves no such trace. `resets`: as in its `Lock`."""

    incident: str
    host: str
    labels: tuple[str, ...]
    at: float
    resets: bool = True


@dataclass(frozen=True)
class Pause:
    """`target` is `fleet`, `host=<name>` or a label; `until` None: until resumed."""

    target: str
    by: str
    reason: str
    since: float
    until: float | None = None


@dataclass(frozen=True)
class MassOutage:
    """Too many at once for it to be the BMCs. `label` is `fleet` or a label."""

    label: str
    hosts: tuple[str, ...]
    since: float
    until: float


@dataclass(frozen=True)
class BadLogin:
    """A BMC refused a credential."""

    credential: str
    bmc_address: str
    at: float


@dataclass(frozen=True)
class StoppedCredential:
    """Must not be used for a login any more, anywhere."""

    name: str
    reason: str
    since: float


@dataclass(frozen=True)
class Fence:
    """The number below which no deed is sent, and the heal that it belongs to; "" after tidy raised it."""

    number: int = 0
    incident: str = ""


@dataclass(frozen=True)
class Heartbeat:
    """Last sign of life of the process that acts for a heal."""

    incident: str
    at: float
    owner: str
    pid: int


@dataclass(frozen=True)
class Latch:
    """An escalated host: nothing more by itself until `resume` or recovery."""

    incident: str
    sentence: str
    since: float


# What a field's annotation lets in. Annotations are strings here: `from __future__ import annotations`.
_FITS: dict[str, Callable[[Any], bool]] = {
    "str": lambda v: isinstance(v, str),
    "int": lambda v: isinstance(v, int),
    "float": lambda v: isinstance(v, (int, float)),
    "bool": lambda v: isinstance(v, bool),
    "int | None": lambda v: v is None or isinstance(v, int),
    "str | None": lambda v: v is None or isinstance(v, str),
    "float | None": lambda v: v is None or isinstance(v, (int, float)),
    "tuple[str, ...]": lambda v: isinstance(v, tuple) and all(isinstance(item, str) for item in v),
    "dict[str, Any] | None": lambda v: v is None or isinstance(v, dict),
}


def decode(shape: type[T], key: str, document: Document) -> T:
    """`document` as a `shape` (a dataclass of this package); additional members are ignored.

    :raises StateError: a member is missing or has another type; what cannot be read is not "nothing"
    """
    known = {field.name: str(field.type) for field in fields(shape)}  # type: ignore[arg-type]
    values = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in document.items()
        if name in known
    }
    wrong = [name for name, value in values.items() if not _FITS[known[name]](value)]
    try:
        if wrong:
            raise TypeError(f"{', '.join(wrong)} of the wrong type")
        return shape(**values)
    except TypeError as error:
        raise StateError(
            f"the datastore key {key} is no {shape.__name__}: {error}", do="Look at it and delete it"
        ) from None
