"""The parts that need no process."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.executor_buffer import LeaseBuffer
from actors.executor_estimates import DurationEstimates
from task_queue.core.task import Lease
from task_queue.executor.frames import (
    CancelAttempt,
    Importing,
    RunLeases,
    ToChild,
    encode_frame,
    from_child_reader,
    to_child_reader,
)
from task_queue.executor.start_tokens import StartTokens, StartTokenSource


def lease(seq: int, name: str = "quick", priority: int = 5, attempt: int = 1) -> Lease:
    return Lease(
        f"t{seq}", attempt, seq, name, "q", priority, b"{}", None, 0, 0, 0.0, None, None
    )  # fmt: skip


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1_000])
def test_frames_may_be_cut_anywhere(step: int) -> None:
    sent: list[ToChild] = [
        RunLeases(3, [lease(1), lease(2)]),
        CancelAttempt("t", 4),
        RunLeases(4, []),
    ]
    data = b"".join(encode_frame(frame) for frame in sent)
    reader, got = to_child_reader(), []
    for start in range(0, len(data), step):
        got += reader.feed(data[start : start + step])
    assert got == sent


def test_what_is_no_frame_is_refused() -> None:
    with pytest.raises(msgspec.MsgspecError):
        from_child_reader().feed(b"hello, world")
    with pytest.raises(msgspec.MsgspecError):
        from_child_reader().feed(encode_frame(CancelAttempt("t", 1)))
    assert from_child_reader().feed(encode_frame(Importing("m"))) == [Importing("m")]


def test_each_token_starts_one_lease_of_its_own_generation() -> None:
    source = StartTokenSource()
    try:
        child = StartTokens(source.read_fd)
        assert not child.take(0)
        source.give(3)
        assert child.take(0)
        assert source.take_back() == 2
        assert not child.take(0)
        assert source.take_back() == 0
        source.give(1)
        assert source.generation == 1
        assert not child.take(0)  # a lease from before the taking back
        assert not child.take(0)
        assert child.take(1)
        assert not child.take(1)
    finally:
        source.close()


def test_chunks_are_short_and_strangers_travel_alone() -> None:
    buffer = LeaseBuffer()
    seconds = {"quick": 0.0005, "slow": 0.5, "empty": 0.00002}
    for seq in range(20):
        buffer.put_all([lease(seq)], {})
    assert len(buffer.take_chunk(64, seconds)) == 10
    assert len(buffer.take_chunk(3, seconds)) == 3
    buffer.put_all([lease(100, "stranger", 9)], {})
    assert [le.name for le in buffer.take_chunk(64, seconds)] == ["stranger"]
    buffer.put_all([lease(101, "slow", 9)], {})
    assert [le.name for le in buffer.take_chunk(64, seconds)] == ["slow"]
    buffer.put_all([lease(102, "stranger", 1)], {})
    assert {le.name for le in buffer.take_chunk(64, seconds)} == {"quick"}
    assert len(buffer) == 1
    assert buffer.take_short(64, 1.0, seconds) == []


def test_the_first_kind_is_that_of_the_most_urgent_lease() -> None:
    buffer = LeaseBuffer()
    assert buffer.first_kind(("process", "async")) is None
    buffer.put_all([lease(2)], {"quick": "async"})
    buffer.put_all([lease(1, priority=4)], {})
    assert buffer.first_kind(("process", "async")) == "async"
    assert buffer.first_kind(("process",)) == "process"
    buffer.put_all([lease(0)], {})
    assert buffer.first_kind(("process", "async")) == "process"
    assert buffer.remove("t0", 1) is not None
    assert buffer.remove("t0", 1) is None
    assert buffer.first_kind(("process", "async")) == "async"


@given(st.lists(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 3)), max_size=5), max_size=5))
def test_leases_start_by_priority_and_age_however_they_came(
    crowds: list[list[tuple[int, int]]],
) -> None:
    buffer, seq = LeaseBuffer(), 0
    all_leases: list[Lease] = []
    for crowd in crowds:
        leases: list[Lease] = []
        for priority, step in crowd:
            seq = (seq + 7 * step) % 101  # older ones come later too, as after a release
            leases.append(lease(seq, priority=priority, attempt=len(all_leases) + len(leases)))
        buffer.put_all(leases, {})
        all_leases += leases

    started = [buffer.take("process") for _ in range(len(buffer))]

    expected = sorted(all_leases, key=lambda le: (-le.priority, le.seq, le.attempt))
    assert started == expected


def test_the_last_are_given_back_and_the_first_kept() -> None:
    buffer = LeaseBuffer()
    for seq, priority in [(1, 1), (2, 9), (3, 5), (4, 5)]:
        buffer.put_all([lease(seq, priority=priority)], {})
    assert [le.seq for le in buffer.take_last("process", 2)] == [4, 1]
    assert [buffer.take("process").seq for _ in range(2)] == [2, 3]


def test_read_ahead_is_fifty_milliseconds_of_known_work() -> None:
    estimates = DurationEstimates()
    assert estimates.ahead(4) == 0
    for _ in range(100):
        estimates.observe("quick", 0.001)
    assert 45 <= estimates.ahead(1) <= 50
    assert 180 <= estimates.ahead(4) <= 200
    assert estimates.ahead(0) == 0
    estimates.expect(["stranger"])
    assert estimates.ahead(1) == 0
    estimates.raise_to("stranger", 0.001)
    assert estimates.ahead(1) > 0
    for _ in range(100):
        estimates.observe("slow", 0.2)
    assert estimates.ahead(4) == 0
    empty = DurationEstimates()
    empty.observe("empty", 0.0)
    assert empty.ahead(8) == 2_500
