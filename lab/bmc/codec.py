"""The VM codec: the byte stream between QEMU's `ipmi-bmc-extern` and `ipmi_sim`'s serial port.

A frame is a payload in which 0xA0, 0xA1 and 0xAA are escaped (0xAA, then the byte with bit 4 set), ended by
0xA0 for an IPMI message or 0xA1 for a control command. Source: QEMU, hw/ipmi/ipmi_bmc_extern.c.
"""

from __future__ import annotations

from dataclasses import dataclass

MESSAGE_END = 0xA0
CONTROL_END = 0xA1
ESCAPE = 0xAA
ESCAPE_BIT = 0x10
RESPONSE_BIT = 0x04  # a reply's network function is the request's plus one: bit 2 of the netfn/LUN byte
CONTROL_VERSION = 0xFF
CONTROL_CAPABILITIES = 0x08


@dataclass(frozen=True)
class Request:
    """An in-band request as QEMU sends it; `netfn_lun` holds the LUN in its two low bits."""

    seq: int
    netfn_lun: int
    command: int


class FrameReader:
    """Cuts a byte stream into frames; each keeps its end byte and its escapes."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The frames completed by `data`, in order."""
        frames: list[bytes] = []
        start = 0
        self._rest += data
        for index, byte in enumerate(self._rest):
            if byte in (MESSAGE_END, CONTROL_END):
                frames.append(self._rest[start : index + 1])
                start = index + 1
        self._rest = self._rest[start:]
        return frames


def is_message(frame: bytes) -> bool:
    """Whether a frame carries an IPMI message (and not a control command)."""
    return frame[-1] == MESSAGE_END


def payload(frame: bytes) -> bytes:
    """A frame's payload without end byte and escapes."""
    out = bytearray()
    escaped = False
    for byte in frame[:-1]:
        if byte == ESCAPE:
            escaped = True
            continue
        out.append(byte & ~ESCAPE_BIT if escaped else byte)
        escaped = False
    return bytes(out)


def frame(content: bytes, end: int = MESSAGE_END) -> bytes:
    """The frame around a payload."""
    out = bytearray()
    for byte in content:
        out += (
            bytes([ESCAPE, byte | ESCAPE_BIT])
            if byte in (MESSAGE_END, CONTROL_END, ESCAPE)
            else bytes([byte])
        )
    return bytes([*out, end])


def message(seq: int, netfn_lun: int, command: int, *data: int) -> bytes:
    """The frame of one IPMI message, with its checksum."""
    body = bytes([seq, netfn_lun, command, *data])
    return frame(body + bytes([-sum(body) & 0xFF]))


def request(message_frame: bytes) -> Request | None:
    """The request in a message frame; None when it is too short to be one."""
    body = payload(message_frame)
    return Request(body[0], body[1], body[2]) if len(body) >= 3 else None


def reply(to: Request, completion_code: int) -> bytes:
    """The reply that ends a request with a completion code and no data."""
    return message(to.seq, to.netfn_lun | RESPONSE_BIT, to.command, completion_code)


def mismatched_reply(to: Request) -> bytes:
    """A reply nobody waits for: it stops QEMU's 4 s timer for a silent BMC, the KCS device throws it away.

    The input buffer of the interface stays full, and KCS ABORT is ignored: a true hang on an unchanged QEMU.
    """
    return message((to.seq + 0x80) & 0xFF, to.netfn_lun | RESPONSE_BIT, to.command, 0xFF)
