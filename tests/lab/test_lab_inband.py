"""What the in-band side does with requests and replies in each state."""

import pytest

from lab.bmc import codec, inband
from lab.bmc.codec import Request
from lab.bmc.inband import InBand, Mode, ToGuest, ToSim

ASKED = Request(7, 0x18, 0x01)
REQUEST = codec.message(7, 0x18, 0x01)
REPLY = codec.message(7, 0x1C, 0x01, 0x00, 0x20)
HOLD = ToGuest(codec.mismatched_reply(ASKED))
RELEASE = ToGuest(codec.reply(ASKED, inband.RELEASED))


@pytest.mark.parametrize(
    ("side", "effects", "swallowed"),
    [
        (InBand(), (ToSim(REQUEST),), 0),
        (InBand(mode=Mode.SLOW, delay=2.0), (ToSim(REQUEST),), 0),
        (InBand(mode=Mode.HANG), (HOLD,), 1),
        (InBand(mode=Mode.DROP), (), 1),
        (InBand(dark=True), (HOLD,), 1),
        (InBand(mode=Mode.DROP, dark=True), (HOLD,), 1),
    ],
)
def test_a_request(side, effects, swallowed):
    after, done = inband.on_request(side, REQUEST)
    assert done == effects
    assert (after.requests, after.swallowed, after.pending) == (1, swallowed, ASKED)


@pytest.mark.parametrize(
    ("side", "effects"),
    [
        (InBand(pending=ASKED), (ToGuest(REPLY),)),
        (InBand(pending=ASKED, mode=Mode.HANG), ()),
        (InBand(pending=ASKED, mode=Mode.DROP), ()),
        (InBand(pending=ASKED, dark=True), ()),
    ],
)
def test_a_reply_reaches_the_guest_only_when_nothing_is_wrong(side, effects):
    after, done = inband.on_reply(side, REPLY)
    assert done == effects
    assert (after.answered, after.swallowed) == ((1, 0) if effects else (0, 1))
    assert (after.pending is None) == bool(effects)


def test_a_hang_takes_hold_of_the_request_under_way_and_ok_completes_it():
    hung, held = inband.switch(InBand(pending=ASKED), Mode.HANG)
    assert held == (HOLD,)
    healthy, released = inband.switch(hung, Mode.OK)
    assert released == (RELEASE,)
    assert healthy.pending is None


def test_a_dark_bmc_completes_nothing_until_it_is_back():
    dark, held = inband.go_dark(InBand(pending=ASKED, mode=Mode.HANG))
    assert held == (HOLD,)
    still_dark, nothing = inband.switch(dark, Mode.OK)
    assert nothing == (HOLD,)
    back, released = inband.come_back(still_dark)
    assert released == (RELEASE,)
    assert (back.mode, back.dark) == (Mode.OK, False)


def test_a_reset_ends_a_hang():
    back, _ = inband.come_back(InBand(mode=Mode.HANG, dark=True))
    assert back.mode is Mode.OK


def test_a_flapping_bmc_answers_so_many_and_hangs_again():
    side, _ = inband.come_back(InBand(dark=True), answers=2)
    for _ in range(2):
        side, sent = inband.on_request(side, REQUEST)
        assert sent == (ToSim(REQUEST),)
        side, given = inband.on_reply(side, REPLY)
        assert given == (ToGuest(REPLY),)
    _, effects = inband.on_request(side, REQUEST)
    assert effects == (HOLD,)


def test_a_bmc_that_flaps_at_once_still_completes_what_was_stuck():
    side, effects = inband.come_back(InBand(dark=True, pending=ASKED), answers=0)
    assert effects == (RELEASE,)
    assert side.mode is Mode.HANG


def test_a_new_guest_waits_for_nothing():
    assert inband.on_guest_connected(InBand(pending=ASKED)).pending is None


def test_only_the_slow_mode_delays():
    assert inband.switch(InBand(), Mode.SLOW, delay=3.0)[0].delay == 3.0
    assert inband.switch(InBand(mode=Mode.SLOW, delay=3.0), Mode.OK)[0].delay == 0.0
