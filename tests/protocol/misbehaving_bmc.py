"""A BMC on loopback that misbehaves in ways that ipmi_sim cannot: a mock, since no such BMC can be had.

It speaks the sessionless commands and RMCP+ with the cipher suites 3 and 17. `script` sees every datagram
that would leave, with the step that it answers (`caps`, `guid`, `open`, `rakp1`, `rakp3`, or "netfn/command"
within the session), and returns those that leave instead, as (delay in seconds, datagram).
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

Script = Callable[[str, bytes], Iterable[tuple[float, bytes]]]
Answer = tuple[int, bytes]
GUID = bytes(range(16, 32))
# Cipher suites by their authentication algorithm: the hash, and how many bytes of it are sent
SUITE_3, SUITE_17 = 1, 3
HASHES = {SUITE_3: (hashlib.sha1, 12), SUITE_17: (hashlib.sha256, 16)}
DEVICE_ID = bytes.fromhex("2001024102bfa202000100")


def checksum(part: bytes) -> int:
    return -sum(part) & 0xFF


def message(request: bytes, code: int, data: bytes) -> bytes:
    """The IPMI message that answers `request`."""
    head = bytes((request[3], (request[1] | 4) & 0xFC))
    body = bytes((request[0], request[4], request[5], code)) + data
    return head + bytes((checksum(head),)) + body + bytes((checksum(body),))


def as_is(step: str, packet: bytes) -> list[tuple[float, bytes]]:
    return [(0.0, packet)]


class MisbehavingBmc:
    """A context manager; `port` on 127.0.0.1, `received` counts what came in by step.

    :param answers: (netfn, command) -> (completion code, data) within the session, or a function from the
        request's data to that; all others get 0xC1
    :param status: step -> RMCP+ status code to answer the step with
    :param suites: the cipher suites it offers
    :param source: address that answers come from, instead of `host`
    """

    def __init__(
        self,
        script: Script = as_is,
        *,
        answers: dict[tuple[int, int], Answer | Callable[[bytes], Answer]] | None = None,
        status: dict[str, int] | None = None,
        capabilities: bytes = bytes.fromhex("0180040300000000"),
        suites: tuple[int, ...] = (SUITE_3,),
        host: str = "127.0.0.1",
        source: str | None = None,
    ) -> None:
        self.script = script
        self.answers = {
            (6, 0x01): (0, DEVICE_ID),
            (6, 0x37): (0, GUID),
            (6, 0x3B): (0, b"\x04"),
            (6, 0x3C): (0, b""),
            (0, 0x01): (0, b"\x21\x00\x40"),
            (6, 0x25): (0, bytes(8)),
            (6, 0x02): (0, b""),
            **(answers or {}),
        }
        self.status = status or {}
        self.capabilities = capabilities
        self.suites = suites
        self.received: Counter[str] = Counter()
        self.forgetful = False  # forget every session, as after a reset
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._host = host
        self._sock = self._out = socket.socket(family, socket.SOCK_DGRAM)
        self._sock.bind((host, 0))
        if source:
            self._out = socket.socket(family, socket.SOCK_DGRAM)
            self._out.bind((source, 0))
        self._closing = False
        self.port: int = self._sock.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> MisbehavingBmc:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing = True
        self._sock.sendto(b"", (self._host, self.port))
        self._thread.join()
        for sock in {self._sock, self._out}:
            sock.close()

    def _serve(self) -> None:
        while not self._closing:
            packet, peer = self._sock.recvfrom(4096)
            if len(packet) > 16:
                step, reply = self._handle(packet)
                self.received[step] += 1
                if reply is not None:
                    for delay, out in self.script(step, reply):
                        self._send(delay, out, peer)

    def _send(self, delay: float, packet: bytes, peer: tuple[str, int]) -> None:
        def send() -> None:
            with contextlib.suppress(OSError):  # closed meanwhile
                self._out.sendto(packet, peer)

        if delay:
            timer = threading.Timer(delay, send)
            timer.daemon = True
            timer.start()
        else:
            send()

    def _handle(self, packet: bytes) -> tuple[str, bytes | None]:
        if packet[4] != 6:
            request = packet[14:]
            data = {0x38: self.capabilities, 0x37: GUID}.get(request[5], b"")
            reply = message(request, 0 if data else 0xC1, data)
            step = {0x38: "caps", 0x37: "guid"}.get(request[5], "other")
            return step, packet[:13] + bytes((len(reply),)) + reply
        kind, payload = packet[5] & 0x3F, packet[16:]
        if kind == 0x10:
            return "open", self._plain(0x11, self._open(payload))
        if kind == 0x12:
            return "rakp1", self._plain(0x13, self._rakp1(payload))
        if kind == 0x14:
            return "rakp3", self._plain(0x15, self._rakp3(payload))
        return self._command(packet)

    @staticmethod
    def _plain(kind: int, payload: bytes) -> bytes:
        return (
            bytes.fromhex("0600ff0706")
            + bytes((kind,))
            + bytes(8)
            + struct.pack("<H", len(payload))
            + payload
        )

    def _open(self, asked: bytes) -> bytes:
        code = self.status.get("open", 0 if asked[12] in self.suites else 0x11)
        if code:
            return bytes((asked[0], code, 4, 0)) + asked[4:8]
        self._console = asked[4:8]
        self._hash, self._sent = HASHES[asked[12]]
        return bytes((asked[0], 0, 4, 0)) + self._console + b"BMC1" + asked[8:32]

    def _rakp1(self, asked: bytes) -> bytes:
        if code := self.status.get("rakp2"):
            return bytes((asked[0], code, 0, 0)) + self._console
        self._theirs, self._ours = asked[8:24], os.urandom(16)
        self._who = asked[24:25] + asked[27:]
        proof = hmac.new(
            b"secret",
            self._console + b"BMC1" + self._theirs + self._ours + GUID + self._who,
            self._hash,
        )
        return bytes((asked[0], 0, 0, 0)) + self._console + self._ours + GUID + proof.digest()

    def _rakp3(self, asked: bytes) -> bytes:
        if code := self.status.get("rakp4"):
            return bytes((asked[0], code, 0, 0)) + self._console
        sik = hmac.new(b"secret", self._theirs + self._ours + self._who, self._hash).digest()
        self._k1 = hmac.new(sik, b"\x01" * 20, self._hash).digest()
        self._aes = hmac.new(sik, b"\x02" * 20, self._hash).digest()[:16]
        self._sequence = 0
        proof = hmac.new(sik, self._theirs + b"BMC1" + GUID, self._hash).digest()[: self._sent]
        return bytes((asked[0], 0, 0, 0)) + self._console + proof

    def _command(self, packet: bytes) -> tuple[str, bytes | None]:
        length = struct.unpack_from("<H", packet, 14)[0]
        encrypted = packet[16 : 16 + length]
        opened = Cipher(algorithms.AES(self._aes), modes.CBC(encrypted[:16])).decryptor()
        clear = opened.update(encrypted[16:])
        request = clear[: -clear[-1] - 1]
        netfn, command = request[1] >> 2, request[5]
        step = f"{netfn}/{command:#04x}"
        if self.forgetful:
            return step, None
        answer = self.answers.get((netfn, command), (0xC1, b""))
        code, data = answer(request[6:-1]) if callable(answer) else answer
        return step, self._sealed(message(request, code, data))

    def _sealed(self, clear: bytes) -> bytes:
        self._sequence += 1
        pad = -(len(clear) + 1) % 16
        clear += bytes(range(1, pad + 1)) + bytes((pad,))
        iv = os.urandom(16)
        sealer = Cipher(algorithms.AES(self._aes), modes.CBC(iv)).encryptor()
        payload = iv + sealer.update(clear)
        packet = (
            bytes.fromhex("06c0") + self._console + struct.pack("<IH", self._sequence, len(payload)) + payload
        )
        filler = -(len(packet) + 2) % 4
        packet += b"\xff" * filler + bytes((filler, 7))
        return (
            bytes.fromhex("0600ff07") + packet + hmac.new(self._k1, packet, self._hash).digest()[: self._sent]
        )


def later(seconds: float) -> Script:
    """Everything comes so much later."""
    return lambda step, packet: [(seconds, packet)]


def silent_at(*steps: str) -> Script:
    """Nothing comes at these steps."""
    return lambda step, packet: [] if step in steps else [(0.0, packet)]


def lossy(share: float, seed: int) -> Script:
    """A share of the answers is lost."""
    dice = random.Random(seed)
    return lambda step, packet: [] if dice.random() < share else [(0.0, packet)]


class Gap:
    """For `seconds` after `begin()` nothing leaves; what was asked meanwhile is answered later, or never."""

    def __init__(self, seconds: float, *, later: bool = False) -> None:
        self._seconds = seconds
        self._later = later
        self._until = 0.0

    def begin(self) -> None:
        self._until = time.monotonic() + self._seconds

    def __call__(self, step: str, packet: bytes) -> list[tuple[float, bytes]]:
        left = self._until - time.monotonic()
        if left <= 0:
            return [(0.0, packet)]
        return [(left, packet)] if self._later else []
