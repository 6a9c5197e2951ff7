"""The frame around a command: what is sent, and reading its answer in whatever pieces it arrives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmc_healer.errors import HostAccessError
from bmc_healer.host.wrapper import Capture, result, wrap

END = "--end-0123456789abcdef"


def captured(data: bytes, most: int = 65536) -> Capture:
    capture = Capture(END, most)
    capture.feed(data)
    return capture


def test_sudo_stands_before_the_whole_frame():
    argv = wrap(["rmmod", "ipmi_si"], end=END, limit=24.2, mark="inc:4", sudo=True)
    assert argv[:4] == ["sudo", "-n", "sh", "-c"]
    assert argv[5:] == ["bmc_healer", END, "25", "inc:4", "rmmod", "ipmi_si"]
    assert wrap(["true"], end=END, limit=0.1, mark=None, sudo=False)[:2] == ["sh", "-c"]


@given(st.binary(max_size=300), st.lists(st.integers(min_value=1, max_value=40), max_size=60))
def test_any_output_in_any_pieces(data, sizes):
    whole = data + f"\n{END} 7\nlate rubbish".encode()
    capture = Capture(END, 65536)
    at = 0
    for size in [*sizes, len(whole)]:
        if capture.feed(whole[at : at + size]):
            break
        at += size
    assert capture.word == "7"
    assert capture.text() == data.decode("utf-8", "replace")


def test_output_is_bounded_and_the_end_is_still_found():
    capture = Capture(END, 1000)
    for _ in range(100):
        capture.feed(b"x" * 1000)
    assert capture.feed(f"\n{END} 0\n".encode())
    assert capture.text() == "x" * 1000


def test_text_without_an_end_is_kept_too():
    assert captured(b"sudo: a password is required\n").text() == "sudo: a password is required\n"
    assert captured(b"sudo").word is None


@pytest.mark.parametrize(
    ("word", "status", "unkillable"),
    [("0", 0, False), ("255", 255, False), ("late", None, False), ("stuck", None, True)],
)
def test_words_of_the_shell(word, status, unkillable):
    answer = result(captured(f"out\n{END} {word}\n".encode()), captured(b""), seconds=1.5, where="db01")
    assert (answer.status, answer.unkillable, answer.out, answer.seconds) == (status, unkillable, "out", 1.5)


@given(st.text(max_size=12))
def test_other_words_are_an_access_error(word):
    out = Capture(END, 100)
    out.word = word
    try:
        answer = result(out, captured(b""), seconds=0.0, where="db01")
    except HostAccessError as error:
        assert error.where == "db01"
    else:
        assert answer.status is None or str(answer.status) == word.lstrip("0") or answer.status == 0
