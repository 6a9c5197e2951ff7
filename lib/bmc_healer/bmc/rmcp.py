"""Sessionless IPMI over RMCP: the two requests that every BMC answers without a login, and the parser of
replies.

The layout is that of IPMI 2.0, section 13.6 (RMCP header, IPMI 1.5 session header with authentication type
none, IPMI LAN message); the same packets serve IPMI 1.5 and 2.0. Pure functions from bytes to bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

from bmc_healer.errors import BmcError

SEQUENCES = 64  # rqSeq is a field of 6 bits

_HEADER = bytes.fromhex(
    "0600ff07" + "00" + "00000000" + "00000000"
)  # RMCP class IPMI, no auth, sequence 0, session 0
_BMC_ADDRESS = 0x20  # IPMB address of every BMC
_CONSOLE = 0x81  # software id of a remote console (IPMI 2.0, table 5-4)
_APP = 0x06
_GET_CHANNEL_AUTH_CAPABILITIES = 0x38
_GET_SYSTEM_GUID = 0x37
_CURRENT_CHANNEL = 0x0E
_ADMINISTRATOR = 0x04
_MESSAGE = 14  # offset of the IPMI message in a packet without authentication code
_SHORTEST = 8  # addresses, netFn, two checksums, sequence, command, completion code


@dataclass(frozen=True)
class Reply:
    """A well-formed answer. `sequence` is the rqSeq of the request that it answers."""

    sequence: int
    netfn: int
    command: int
    code: int
    data: bytes


def _checksum(part: bytes) -> int:
    return -sum(part) & 0xFF


def _request(sequence: int, command: int, data: bytes = b"") -> bytes:
    if not 0 <= sequence < SEQUENCES:
        raise ValueError(f"rqSeq {sequence} does not fit into 6 bits")
    head = bytes((_BMC_ADDRESS, _APP << 2))
    body = bytes((_CONSOLE, sequence << 2, command)) + data
    message = head + bytes((_checksum(head),)) + body + bytes((_checksum(body),))
    return _HEADER + bytes((len(message),)) + message


def auth_capabilities_request(sequence: int) -> bytes:
    """Get Channel Authentication Capabilities (IPMI 2.0, 22.13): the cheapest question a BMC must answer.

    Asked without the bit for IPMI 2.0 data: some BMCs of IPMI 1.5 refuse it, and nobody here reads the
    answer.

    :raises ValueError: when `sequence` is not in 0..63
    """
    return _request(sequence, _GET_CHANNEL_AUTH_CAPABILITIES, bytes((_CURRENT_CHANNEL, _ADMINISTRATOR)))


def system_guid_request(sequence: int) -> bytes:
    """Get System GUID (IPMI 2.0, 22.14), which a BMC may answer without a session.

    :raises ValueError: when `sequence` is not in 0..63
    """
    return _request(sequence, _GET_SYSTEM_GUID)


def parse(packet: bytes) -> Reply:
    """The reply in a datagram, checked against both checksums.

    :raises BmcError: for anything that is not a well-formed sessionless answer
    """
    message = _message(packet)
    return Reply(
        sequence=message[4] >> 2,
        netfn=message[1] >> 2,
        command=message[5],
        code=message[6],
        data=message[7:-1],
    )


def parse_alive(packet: bytes) -> int:
    """The rqSeq of an answer to `auth_capabilities_request`. Any completion code proves life.

    :raises BmcError: when it is no such answer
    """
    message = _message(packet)  # a sweep reads 10,000 of them: no Reply is made
    if message[1] >> 2 != _APP | 1 or message[5] != _GET_CHANNEL_AUTH_CAPABILITIES:
        raise BmcError("the BMC answered another question")
    return message[4] >> 2


def _message(packet: bytes) -> bytes:
    """The IPMI message in a datagram.

    Bytes behind it are allowed: the legacy pad of IPMI 1.5 (section 13.6) stands there.
    """
    if len(packet) < _MESSAGE + _SHORTEST or not packet.startswith(_HEADER):
        raise BmcError("the BMC sent something that is no sessionless IPMI answer")
    length = packet[_MESSAGE - 1]
    message = packet[_MESSAGE : _MESSAGE + length]
    if len(message) != length or length < _SHORTEST:
        raise BmcError("the BMC sent an answer that is cut short")
    if sum(message[:3]) & 0xFF or sum(message[3:]) & 0xFF:
        raise BmcError("the BMC sent an answer with a wrong checksum")
    if message[0] != _CONSOLE or not message[1] & 0x04:
        raise BmcError("the BMC sent a request or an answer for somebody else")
    return message


def parse_guid(packet: bytes, sequence: int) -> str:
    """The GUID in the answer to `system_guid_request(sequence)`: 32 hex digits in the order of the wire.

    :raises BmcError: when it is no such answer, or the BMC gives no GUID without a session
    """
    reply = parse(packet)
    if (reply.sequence, reply.netfn, reply.command) != (sequence, _APP | 1, _GET_SYSTEM_GUID):
        raise BmcError("the BMC answered another question")
    if reply.code or len(reply.data) != 16:
        raise BmcError(f"the BMC gives no System GUID without a session (completion code 0x{reply.code:02x})")
    return reply.data.hex()
