"""Frames out of data that was cut anywhere."""

import pytest

from task_queue.stream.frame_cutter import LENGTH, FrameCutter, FrameTooLong

PAYLOADS = [b"one", b"", b"three" * 50, b"4"]
DATA = b"".join(LENGTH.pack(len(payload)) + payload for payload in PAYLOADS)


@pytest.mark.parametrize("step", [1, 2, 3, 5, 8, 100, 10_000])
def test_frames_may_be_cut_anywhere(step: int) -> None:
    cutter, got = FrameCutter(1_000), []
    for start in range(0, len(DATA), step):
        got += [bytes(frame) for frame in cutter.feed(DATA[start : start + step])]
    assert got == PAYLOADS


def test_what_is_left_over_begins_the_next_frame() -> None:
    cutter = FrameCutter(1_000)
    assert len(cutter.feed(DATA + DATA[:6])) == 4
    assert cutter.feed(DATA[6:])[0] == PAYLOADS[0]


def test_a_frame_that_is_too_long_is_refused_before_it_has_come() -> None:
    assert FrameCutter(10).feed(LENGTH.pack(10)) == []
    for data in (LENGTH.pack(11), b"GET / HTTP/1.1"):
        with pytest.raises(FrameTooLong, match="10 are allowed"):
            FrameCutter(10).feed(data)


def test_the_limit_may_be_raised_in_between() -> None:
    cutter = FrameCutter(3)
    assert cutter.feed(LENGTH.pack(3) + b"abc") == [b"abc"]
    cutter.max_frame_bytes = 4
    assert cutter.feed(LENGTH.pack(4) + b"abcd") == [b"abcd"]
