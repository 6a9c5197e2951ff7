"""Is this BMC the BMC of this host? (SAFETY 1) Pure functions.

Nothing else ties an address to a machine, and a wrong one would pass every gate.
"""

from __future__ import annotations

import string
import uuid
from dataclasses import dataclass
from typing import Literal

from bmc_healer.bmc.facts import BmcFacts
from bmc_healer.host.facts import Dmi

# UUIDs that whole product lines share (osquery #4374, oshi #2417, rockstor-core #1964)
_SHARED_UUIDS = frozenset(
    uuid.UUID(text)
    for text in (
        "03000200-0400-0500-0006-000700080009",
        "03020100-0504-0706-0809-0a0b0c0d0e0f",
        "00010203-0405-0607-0809-0a0b0c0d0e0f",
        "10000000-0000-8000-0040-000000000000",
        "12345678-1234-5678-90ab-cddeefaabbcc",
    )
)

# What stands in SMBIOS and FRU where nobody entered a serial number, without blanks and punctuation
_PLACEHOLDER_SERIALS = frozenset(
    (
        *("tobefilledbyoem", "default", "defaultstring", "oem", "oemstring", "standard", "invalid", "empty"),
        *("serialnumber", "systemserialnumber", "chassisserialnumber", "baseboardserialnumber"),
        *("productserialnumber", "notspecified", "notapplicable", "notavailable", "notpresent", "notset"),
        *("none", "null", "unknown", "01234567", "0123456789", "12345678", "123456789", "1234567890"),
    )
)

_SHORTEST_SERIAL = 4  # anything shorter is a counter or a revision, not a serial number


@dataclass(frozen=True)
class Identity:
    """Whether the BMC is the host's; `how` it was proved, and a sentence for a person either way."""

    proven: bool
    how: Literal["guid", "remembered", "serial", ""]
    sentence: str


def same_machine(bmc_guid: str | None, smbios_uuid: str | None) -> bool:
    """Whether both are one UUID, in any of the byte orders in use; False when one of them proves nothing.

    :param bmc_guid: 32 hex digits as on the wire; dashes do not matter, in either
    """
    guid, expected = _uuid(bmc_guid), _uuid(smbios_uuid)
    return guid is not None and expected is not None and expected in _orders(guid)


def machine(dmi: Dmi) -> str:
    """What tells a machine from others, as it is remembered.

    :returns: `uuid=4c4c4544-... serial=cz3012abcd`, without what it does not tell or shares with others
    """
    told = (("uuid", _uuid(dmi.uuid)), ("serial", _serial(dmi.serial)))
    return " ".join(f"{name}={value}" for name, value in told if value)


def own_guid(remembered_guid: str | None, learnt_on: str, runs_on: str) -> str | None:
    """The remembered GUID, but None when the host runs on another machine than it was learnt on.

    A host is remembered by its name, and a name moves with the disks. Only the machine counts: the GUID of
    many a board is its UUID in no byte order, so that these two cannot contradict each other.

    :param learnt_on: a `machine`; empty: not known, then the GUID holds
    :param runs_on: a `machine`: the present one, or the latest that was seen; empty: not known
    """
    before, now = (dict(word.split("=", 1) for word in known.split()) for known in (learnt_on, runs_on))
    if "uuid" in before and "uuid" in now:
        return remembered_guid if same_machine(before["uuid"], now["uuid"]) else None
    if "serial" in before and "serial" in now:
        return remembered_guid if before["serial"] == now["serial"] else None
    return remembered_guid


def prove(facts: BmcFacts, dmi: Dmi, remembered_guid: str | None, fru_serial: str | None) -> Identity:
    """The first proof that holds: GUID = SMBIOS UUID, GUID = remembered GUID, FRU serial = DMI serial.

    :param remembered_guid: what in-band IPMI gave on this machine while it was healthy: `own_guid`
    """
    where = facts.address
    if same_machine(facts.guid, dmi.uuid):
        return Identity(True, "guid", f"{where}: the BMC's GUID is the host's SMBIOS UUID.")
    if same_machine(facts.guid, remembered_guid):
        return Identity(
            True, "remembered", f"{where}: the BMC's GUID is the one that the host's own BMC gave."
        )
    if _serial(fru_serial) and _serial(fru_serial) == _serial(dmi.serial):
        return Identity(True, "serial", f"{where}: the serial number in the BMC's FRU is the host's.")
    if _uuid(facts.guid) and _uuid(dmi.uuid):
        what = f"its GUID {facts.guid} is not the host's SMBIOS UUID {dmi.uuid}"
    elif _uuid(facts.guid):
        what = "the host has no SMBIOS UUID that could prove it"
    else:
        what = "it gives no GUID that could prove it"
    return Identity(False, "", f"{where}: this may be the BMC of another machine: {what}.")


def _uuid(text: str | None) -> uuid.UUID | None:
    """The UUID, or None for one that many machines share or that is none."""
    try:
        found = uuid.UUID(hex=(text or "").strip())
    except ValueError:
        return None
    if len(set(found.bytes)) == 1:  # all zero, all FF, all FE
        return None
    return None if _orders(found) & _SHARED_UUIDS else found


def _orders(guid: uuid.UUID) -> frozenset[uuid.UUID]:
    """The UUIDs that bytes on the wire may stand for.

    They come as they are (RFC 4122), with the first three fields swapped (SMBIOS 2.6), or from back to
    front (IPMI 2.0, 20.8); and the host may have swapped its own (SMBIOS before 2.6).
    """
    forth, back = guid, uuid.UUID(bytes=guid.bytes[::-1])
    return frozenset((forth, uuid.UUID(bytes=forth.bytes_le), back, uuid.UUID(bytes=back.bytes_le)))


def _serial(text: str | None) -> str:
    """The serial number in comparable form; empty for a placeholder."""
    kept = "".join(char for char in (text or "").lower() if char in string.ascii_lowercase + string.digits)
    if len(kept) < _SHORTEST_SERIAL or len(set(kept)) == 1 or kept in _PLACEHOLDER_SERIALS:
        return ""
    return kept
