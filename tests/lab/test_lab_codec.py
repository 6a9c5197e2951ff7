"""Framing of the VM codec."""

from hypothesis import given
from hypothesis import strategies as st

from lab.bmc import codec
from lab.bmc.codec import FrameReader, Request


@given(st.binary(min_size=1))
def test_every_payload_survives_its_frame(content):
    framed = codec.frame(content)
    assert codec.payload(framed) == content
    assert [byte for byte in framed[:-1] if byte in (codec.MESSAGE_END, codec.CONTROL_END)] == []


@given(st.lists(st.binary(min_size=1), max_size=5), st.integers(min_value=1, max_value=7))
def test_frames_are_cut_wherever_the_stream_is(contents, size):
    stream = b"".join(codec.frame(content) for content in contents)
    reader = FrameReader()
    found = [
        frame for start in range(0, len(stream), size) for frame in reader.feed(stream[start : start + size])
    ]
    assert [codec.payload(frame) for frame in found] == contents


def test_messages_and_control_commands_are_told_apart():
    assert codec.is_message(codec.frame(b"x"))
    assert not codec.is_message(codec.frame(b"x", codec.CONTROL_END))


def test_a_message_sums_up_to_zero():
    body = codec.payload(codec.message(1, 0x1C, 0x01, 0xD2, 0xA0))
    assert body[:5] == bytes([1, 0x1C, 0x01, 0xD2, 0xA0])
    assert sum(body) & 0xFF == 0


def test_a_reply_carries_the_requests_number_and_the_mismatched_one_another():
    asked = Request(0x90, 0x18, 0x01)
    assert codec.payload(codec.reply(asked, 0xD2))[:4] == bytes([0x90, 0x1C, 0x01, 0xD2])
    assert codec.payload(codec.mismatched_reply(asked))[:3] == bytes([0x10, 0x1C, 0x01])


def test_a_frame_too_short_is_no_request():
    assert codec.request(codec.frame(b"\x01\x18")) is None
    assert codec.request(codec.frame(b"\x01\x18\x01")) == Request(1, 0x18, 1)
