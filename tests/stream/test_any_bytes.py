"""Junk on the way between processes: any bytes give frames or one clear error, never more memory
than a frame may have."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from task_queue.executor.frames import (
    Broken,
    CancelAttempt,
    FromChild,
    Importing,
    RunLeases,
    ToChild,
    Wrote,
    encode_frame,
    from_child_reader,
    to_child_reader,
)
from task_queue.stream.frame_cutter import LENGTH, FrameCutter, FrameTooLong
from task_queue.stream.handshake import ClientHandshake, HandshakeFailed, ServerHandshake
from tests.stream.stream_hall import KEY

MOST = 64
DEEP = b"\x91" * 100_000 + b"\xc0"

any_test = settings(max_examples=200, deadline=None, derandomize=True)
pieces = st.lists(st.binary(max_size=80), max_size=8)


@any_test
@given(pieces)
def test_the_cutter_keeps_no_more_than_a_frame(data: list[bytes]) -> None:
    cutter = FrameCutter(MOST)
    whole, got = b"".join(data), []
    try:
        for piece in data:
            got += [bytes(frame) for frame in cutter.feed(piece)]
            assert len(cutter._rest) < LENGTH.size + MOST
    except FrameTooLong as error:
        assert f"{MOST} are allowed" in str(error)
    else:
        kept = b"".join(LENGTH.pack(len(frame)) + frame for frame in got)
        assert whole == kept + bytes(cutter._rest)


@any_test
@given(st.lists(st.binary(max_size=MOST), max_size=6), st.integers(1, 90))
def test_frames_come_out_as_they_went_in(frames: list[bytes], step: int) -> None:
    data = b"".join(LENGTH.pack(len(frame)) + frame for frame in frames)
    cutter, got = FrameCutter(MOST), []
    for start in range(0, len(data), step):
        got += [bytes(frame) for frame in cutter.feed(data[start : start + step])]
    assert got == frames


@any_test
@given(st.binary(max_size=128))
def test_no_bytes_pass_for_a_handshake(frame: bytes) -> None:
    with pytest.raises(HandshakeFailed):
        ServerHandshake(KEY).answer(frame)
    client = ClientHandshake(KEY)
    client.answer(ServerHandshake(KEY).opening())
    with pytest.raises(HandshakeFailed):
        client.answer(frame)
    if len(frame) != len(ServerHandshake(KEY).opening()):
        with pytest.raises(HandshakeFailed):
            ClientHandshake(KEY).answer(frame)


# ---- the pipes of executors --------------------------------------------------------------------

packable = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=5)
    | st.sampled_from(["Boot", "RunLeases", "CancelAttempt", "Ended", "Ready", "Wrote"])
    | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=15,
)  # fmt: skip


@any_test
@given(st.binary(max_size=60) | packable.map(msgspec.msgpack.encode))
def test_pipes_take_frames_or_say_that_these_are_none(payload: bytes) -> None:
    for reader in (to_child_reader(), from_child_reader()):
        try:
            reader.feed(LENGTH.pack(len(payload)) + payload)
        except (msgspec.MsgspecError, ValueError) as error:
            assert str(error)


def test_a_frame_that_is_nested_too_deeply() -> None:
    """What stands behind the fields of a frame is passed over, however deep it is."""
    payload = b"\x93\xa9Importing\xa1m" + DEEP
    with pytest.raises(msgspec.DecodeError, match="nested too deeply"):
        from_child_reader().feed(LENGTH.pack(len(payload)) + payload)


@any_test
@given(
    st.one_of(
        st.builds(Importing, st.text()),
        st.builds(Broken, st.text(), st.text(), st.text(), st.text()),
        st.builds(Wrote, st.text(), st.integers(0, 2**31), st.text()),
    )
)
def test_what_children_say_comes_back_exactly(frame: FromChild) -> None:
    try:
        data = encode_frame(frame)
    except UnicodeEncodeError:  # a lone surrogate; children replace those in what they print
        return
    assert from_child_reader().feed(data) == [frame]


@any_test
@given(st.integers(0, 2**63), st.text(st.characters(codec="utf-8")))
def test_what_workers_say_comes_back_exactly(number: int, task_id: str) -> None:
    frames: list[ToChild] = [RunLeases(number, []), CancelAttempt(task_id, number)]
    data = b"".join([encode_frame(frame) for frame in frames])
    assert to_child_reader().feed(data) == frames
