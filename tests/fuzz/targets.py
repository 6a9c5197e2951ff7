"""Every parser that reads what a host, a BMC or a person sent, as a function of bytes.

Only the documented errors are swallowed; whatever else escapes is a finding, and so is output without bounds.
`make fuzz` feeds them by coverage (atheris), test_corpus.py feeds them the kept corpus.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from bmc_healer.bmc import answers, redfish_child, rmcp
from bmc_healer.bmc.darkness import Darkness
from bmc_healer.bmc.facts import BmcFacts
from bmc_healer.bmc.identity import prove, same_machine
from bmc_healer.config import inventory_file, names
from bmc_healer.config.document import check_plain, parse_yaml
from bmc_healer.config.load import from_dict
from bmc_healer.errors import BmcError, ConfigError, HostAccessError, StateError
from bmc_healer.host import kernels, lease, modules, probe
from bmc_healer.host.access import Result
from bmc_healer.host.facts import Dmi
from bmc_healer.host.observe import facts
from bmc_healer.host.procfs import parse
from bmc_healer.host.programs import classify
from bmc_healer.host.wrapper import Capture, result
from bmc_healer.state.documents import Lock, Pause, decode
from bmc_healer.state.keys import key
from bmc_healer.targets import read, typed
from bmc_healer.verbs import plain
from bmc_healer.watch.hysteresis import Incident
from bmc_healer.watch.snapshot import Hello, parse_hello, parse_snap
from packrunner import aliases
from packrunner.errors import AliasError
from packrunner.loader import load_pack
from packrunner.validation import nullable, problems, with_defaults

LONGEST = 300  # characters of a host's text that an error may carry

Target = Callable[[bytes], None]
"""Takes whatever bytes; an exception that leaves it is a finding."""


def text(data: bytes) -> str:
    """As output of a command is decoded."""
    return data.decode("utf-8", "replace")


def rmcp_packet(data: bytes) -> None:
    """A datagram that came to the sweep's socket."""
    for read_it in (rmcp.parse, rmcp.parse_alive, lambda packet: rmcp.parse_guid(packet, 5)):
        with suppress(BmcError):
            read_it(data)


def bmc_answer(data: bytes) -> None:
    """The data of an answer within a session."""
    for understand in (
        answers.device_id,
        answers.system_guid,
        answers.chassis_status,
        answers.watchdog_timer,
        answers.session_info,
        answers.user_limit,
    ):
        with suppress(BmcError):
            understand(data)


class _Played(redfish_child.Service):
    """Gives the same document for each resource that it is asked for, fifty times."""

    def __init__(self, document: Any) -> None:
        self._document, self._left = document, 50

    def call(self, method: str, path: str, body: Any = None) -> Any:
        self._left -= 1
        if not path.startswith("/") or self._left < 0:
            raise BmcError("elsewhere")
        return SimpleNamespace(ok=True, status_code=200, json=lambda: self._document)


def redfish_json(data: bytes) -> None:
    """What a Redfish service answers: the child makes a sentence of any nonsense, and no more than that."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return
    for operation in redfish_child.OPERATIONS:
        said: list[str] = []
        request = {"operation": operation, "manager": None}
        link = SimpleNamespace(request=request, told_to_go=lambda: True, say=said.append)
        found = redfish_child.operate(_Played(document), link)
        assert len(found["error"]) <= LONGEST + 100
        assert isinstance(found.get("firmware") or "", str) and len(found.get("firmware") or "") <= 64
        same_machine(found.get("guid"), found.get("guid"))
        assert len(said) <= 1, "one reset at most"


def lan_pings(data: bytes) -> None:
    """Answers to pings in any order, doubled, late, never asked for."""
    seen = Darkness()
    now = 0.0
    for byte in data[:2000]:
        now += (byte >> 6) * 0.4
        (seen.asked if byte & 0x20 else seen.answered)(byte & 0x1F, now)
        seen.tick(now)
    assert len(seen.periods) <= len(data)


def identity(data: bytes) -> None:
    """What BMC and SMBIOS say of themselves."""
    first, _, second = text(data).partition("\n")
    same_machine(first, second)
    prove(BmcFacts(0.0, "10.0.0.5", alive=True, guid=first), Dmi(uuid=second, serial=first), second, first)


def proc_snapshot(data: bytes) -> None:
    """What snapshot.sh printed, /proc, /sys, modules and parameters in it."""
    with suppress(HostAccessError):
        shot = parse(text(data), where="db01")
        seen = facts([shot, shot], privileged=True, now=0.0)
        modules.unload_order(seen.modules)
        modules.foreign_users(seen.modules)
        for interface in seen.interfaces:
            modules.hotmod_params(interface.params)
        kernels.version(seen.kernel)
        assert all(len(client.program) <= LONGEST for client in seen.clients)


def watch_lines(data: bytes) -> None:
    """What loop.sh printed: its first line, and an answer."""
    first, _, rest = text(data).partition("\n")
    hello = parse_hello(first) or Hello(100, "b00t", "6.1")
    try:
        parse_snap(rest, 1, hello, "db01")
    except HostAccessError as error:
        assert len(error.sentence) < 3 * LONGEST


def command_line(data: bytes) -> None:
    """Somebody else's process."""
    words = text(data).split("\0")
    program = classify(words[0], words[1:])
    assert len(program.subcommand) <= LONGEST


def ipmitool_output(data: bytes) -> None:
    """Of `mc info`, and of the kernel's log beside it."""
    out, _, err = text(data).partition("\0")
    answer = probe.read_answer(Result(len(data) % 3, out, err, 1.0))
    assert len(answer.error) < LONGEST + 100 and answer.error.isprintable()
    probe.gave_up_lately(out, 60.0)


def lease_lines(data: bytes) -> None:
    """The lease on a host, whoever wrote it."""
    _, found = lease.read(text(data))
    assert found is None or len(found.owner) <= 200


def framed_output(data: bytes) -> None:
    """A command's output in pieces, with the end token somewhere."""
    out, err = Capture("t0k3n", 1000), Capture("t0k3n", 1000)
    for start in range(0, len(data), 7):
        out.feed(data[start : start + 7])
    with suppress(HostAccessError):
        assert len(result(out, err, seconds=1.0, where="db01").out) <= 1000


def _inventory(suffix: str) -> Target:
    def check(data: bytes) -> None:
        with suppress(ConfigError):
            content = data.decode("utf-8-sig", "replace")
            documents = inventory_file._PARSERS[suffix](content, "hosts")
            check_plain(documents, "hosts")
            from_dict({"mode": "observe", "hosts": documents}, origin="hosts", plain_secrets=True)

    return check


inventory_csv, inventory_json, inventory_yaml = map(_inventory, (".csv", ".json", ".yaml"))


def configuration(data: bytes) -> None:
    """A whole configuration as a person wrote it."""
    with suppress(ConfigError):
        from_dict(parse_yaml(text(data), "config"), origin="config", plain_secrets=False)


def names_and_targets(data: bytes) -> None:
    """What a person typed for a host or a label."""
    given = text(data)
    name, address = names.host_name(given), names.address(given)
    assert name is None or (name.isascii() and len(name) < 254)
    assert address is None or address.isascii()
    assert len(names.printable(given)) <= 70
    typed(read(given))
    key("bmc_healer:h:", given)
    plain({given: [given]})


PACK = load_pack(Path(__file__).resolve().parents[2])


def alias_text(data: bytes) -> None:
    """A chat message."""
    with suppress(AliasError):
        found = aliases.match(PACK.aliases, text(data)[:2000])
        aliases.order(PACK.ref, found, "kim", {})


def trigger_payload(data: bytes) -> None:
    """What somebody posted as a trigger, and what is kept in the datastore."""
    with suppress(ConfigError, ValueError, RecursionError):
        payload = json.loads(data)
        for kind in PACK.triggers.values():
            given = with_defaults(payload, kind.payload_schema) if isinstance(payload, dict) else payload
            problems(given, nullable(kind.payload_schema))
        _documents(payload)


def _documents(payload: Any) -> None:
    if isinstance(payload, dict):
        Incident.from_document(payload)
        for shape in (Lock, Pause):
            with suppress(StateError):
                decode(shape, "a key", payload)


TARGETS: dict[str, Target] = {
    target.__name__: target
    for target in (
        rmcp_packet,
        bmc_answer,
        redfish_json,
        lan_pings,
        identity,
        proc_snapshot,
        watch_lines,
        command_line,
        ipmitool_output,
        lease_lines,
        framed_output,
        configuration,
        names_and_targets,
        alias_text,
        trigger_payload,
    )
} | {"inventory_csv": inventory_csv, "inventory_json": inventory_json, "inventory_yaml": inventory_yaml}
