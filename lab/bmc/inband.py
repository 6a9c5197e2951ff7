"""What the in-band side does with each request and reply: a state machine without I/O."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from lab.bmc import codec
from lab.bmc.codec import Request

RELEASED = (
    0xD2  # completion code for a request that outlived the hang: "destination unavailable"-like, no data
)


class Mode(str, Enum):
    """`hang`: requests are never completed; `drop`: QEMU answers 0xC3 after 4 s; `slow`: late replies."""

    OK = "ok"
    HANG = "hang"
    DROP = "drop"
    SLOW = "slow"


@dataclass(frozen=True)
class ToSim:
    """Write this frame to ipmi_sim."""

    frame: bytes


@dataclass(frozen=True)
class ToGuest:
    """Write this frame to QEMU."""

    frame: bytes


Effect = ToSim | ToGuest


@dataclass(frozen=True)
class InBand:
    """The in-band side.

    `dark` is the BMC as a whole (no power, or rebooting); `answers_left` counts the replies until it hangs by
    itself (None: never); `pending` is the request the KCS interface is busy with.
    """

    mode: Mode = Mode.OK
    delay: float = 0.0
    dark: bool = False
    answers_left: int | None = None
    pending: Request | None = None
    requests: int = 0
    answered: int = 0
    swallowed: int = 0

    @property
    def silent(self) -> bool:
        """Whether replies are lost."""
        return self.dark or self.mode in (Mode.HANG, Mode.DROP)


Step = tuple[InBand, tuple[Effect, ...]]


def on_request(side: InBand, message_frame: bytes) -> Step:
    """The guest's driver sent a message."""
    wanted = codec.request(message_frame)
    if wanted is None:
        return side, ()
    side = replace(side, requests=side.requests + 1, pending=wanted)
    if not side.silent:
        return side, (ToSim(message_frame),)
    side = replace(side, swallowed=side.swallowed + 1)
    return side, _hold(side)


def on_reply(side: InBand, message_frame: bytes) -> Step:
    """ipmi_sim answered; a reply that was under way when the hang came is lost like the request."""
    if side.silent:
        return replace(side, swallowed=side.swallowed + 1), ()
    side = replace(side, pending=None, answered=side.answered + 1)
    effects: tuple[Effect, ...] = (ToGuest(message_frame),)
    if side.answers_left is not None:
        left = side.answers_left - 1
        side = (
            replace(side, answers_left=left) if left > 0 else replace(side, mode=Mode.HANG, answers_left=None)
        )
    return side, effects


def on_guest_connected(side: InBand) -> InBand:
    """A new guest (or a restarted one): its interface is busy with nothing."""
    return replace(side, pending=None)


def switch(side: InBand, mode: Mode, *, delay: float = 0.0, answers: int | None = None) -> Step:
    """Change the mode; with `answers`, a healthy side that hangs after so many more replies (0: at once)."""
    if mode is Mode.OK and answers == 0:
        # The stuck request is completed first: the BMC was back, if only for a moment.
        side, released = _release(side)
        side, held = switch(side, Mode.HANG)
        return side, released + held
    side = replace(side, mode=mode, delay=delay if mode is Mode.SLOW else 0.0, answers_left=answers)
    if side.silent:
        return side, _hold(side)
    return _release(side)


def go_dark(side: InBand) -> Step:
    """The BMC loses power or reboots."""
    side = replace(side, dark=True)
    return side, _hold(side)


def come_back(side: InBand, *, answers: int | None = None) -> Step:
    """The BMC is up again, healthy (or healthy for `answers` replies): whatever was stuck is completed."""
    return switch(replace(side, dark=False), Mode.OK, answers=answers)


def _hold(side: InBand) -> tuple[Effect, ...]:
    if side.pending is None or (side.mode is Mode.DROP and not side.dark):
        return ()
    return (ToGuest(codec.mismatched_reply(side.pending)),)


def _release(side: InBand) -> Step:
    if side.pending is None:
        return side, ()
    return replace(side, pending=None), (ToGuest(codec.reply(side.pending, RELEASED)),)
