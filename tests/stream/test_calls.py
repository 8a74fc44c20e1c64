"""Calls over a stream: there and back, many at a time, large, and those that fail."""

import asyncio
import gc

import pytest

from task_queue.scheduler_api import SchedulerUnavailable
from task_queue.stream.limits import StreamLimits
from task_queue.stream.outcome import CallFailed, StreamLost
from tests.stream.stream_hall import (
    AWAY,
    BROKEN,
    ECHO,
    HOLD,
    SIZED,
    Raw,
    StreamHall,
    background,
    until,
)

pytestmark = pytest.mark.anyio


async def test_a_call_is_answered(hall: StreamHall) -> None:
    await hall.serve()
    client = hall.client()
    assert bytes(await client.call(ECHO, b"hello")) == b"hello"
    assert bytes(await client.call(ECHO, b"")) == b""
    assert hall.finds == 1


async def test_many_calls_share_one_connection_that_is_made_once(hall: StreamHall) -> None:
    server = await hall.serve()
    client = hall.client()
    texts = [b"%d" % number for number in range(2_000)]
    answers = await asyncio.gather(*(client.call(ECHO, text) for text in texts))
    assert [bytes(answer) for answer in answers] == texts
    assert (hall.finds, len(server.peers)) == (1, 1)


async def test_a_call_that_takes_long_does_not_hold_up_others(hall: StreamHall) -> None:
    await hall.serve()
    client = hall.client()
    slow = background(client.call(HOLD, b"slow"))
    await until(lambda: hall.held == 1)
    assert bytes(await client.call(ECHO, b"quick")) == b"quick"
    assert not slow.done()
    hall.release.set()
    assert bytes(await slow) == b"slow"


async def test_large_calls_and_answers_arrive_whole(hall: StreamHall) -> None:
    await hall.serve()
    client = hall.client()
    blob = bytes(range(256)) * (16 * 4_096 + 1)
    small = [client.call(ECHO, b"%d" % number) for number in range(100)]
    large, *rest = await asyncio.gather(client.call(ECHO, blob), *small)
    assert bytes(large) == blob
    assert [int(bytes(answer)) for answer in rest] == list(range(100))


async def test_frames_of_one_turn_leave_in_one_write(hall: StreamHall) -> None:
    """The server reads them with one read, so a frame that is alone would come apart."""
    chunks: list[int] = []

    async def count(raw: Raw) -> None:
        await raw.be_server()
        chunks.append(len(await raw.reader.read(1 << 16)))

    await hall.strange_server(count)
    client = hall.client()
    calls = [background(client.call(ECHO, b"x" * 100)) for _ in range(50)]
    await asyncio.wait(calls)
    for call in calls:
        with pytest.raises(StreamLost):
            call.result()
    assert chunks == [50 * 109]


async def test_errors_reach_the_caller_and_end_nothing_else(hall: StreamHall) -> None:
    await hall.serve()
    client = hall.client()
    with pytest.raises(SchedulerUnavailable, match="the store is away"):
        await client.call(AWAY, b"")
    assert hall.troubles == []
    with pytest.raises(CallFailed, match="lost"):
        await client.call(BROKEN, b"")
    assert [repr(error) for error in hall.troubles] == ["KeyError('lost')"]
    with pytest.raises(CallFailed, match="no call of kind 99"):
        await client.call(99, b"")
    assert bytes(await client.call(ECHO, b"still here")) == b"still here"
    assert hall.finds == 1


async def test_what_is_too_long_for_a_frame_is_told_to_the_caller_alone(hall: StreamHall) -> None:
    limits = StreamLimits(max_frame_bytes=1_000)
    await hall.serve(limits)
    client = hall.client(limits)
    assert len(await client.call(ECHO, bytes(995))) == 995
    with pytest.raises(CallFailed, match="the call has 996 bytes: 1000 are allowed"):
        await client.call(ECHO, bytes(996))
    with pytest.raises(CallFailed, match="the answer has 996 bytes: 1000 are allowed"):
        await client.call(SIZED, b"996")
    assert (hall.finds, hall.cuts) == (1, [])


async def test_a_caller_that_gives_up_disturbs_nobody(hall: StreamHall) -> None:
    await hall.serve()
    client = hall.client()
    given_up, waiting = background(client.call(HOLD, b"1")), background(client.call(HOLD, b"2"))
    await asyncio.sleep(0)
    given_up.cancel()  # while the connection is being made
    await until(lambda: hall.held == 1)
    late = background(client.call(HOLD, b"3"))
    await until(lambda: hall.held == 2)
    late.cancel()
    hall.release.set()
    assert bytes(await waiting) == b"2"
    assert bytes(await client.call(ECHO, b"4")) == b"4"
    assert hall.finds == 1


async def test_the_server_stops_working_for_a_caller_that_is_gone(hall: StreamHall) -> None:
    server = await hall.serve()
    client = hall.client()
    call = background(client.call(HOLD, b""))
    await until(lambda: hall.held == 1)
    await client.close()
    with pytest.raises(StreamLost) as lost:
        await call
    assert lost.value.sent
    await until(lambda: hall.cancelled == 1 and not server.peers)
    assert hall.cuts == []  # leaving is nobody's fault


# ---- the connection is lost --------------------------------------------------------------------


async def test_a_lost_connection_fails_what_was_sent_and_the_next_call_makes_a_new_one(
    hall: StreamHall,
) -> None:
    server = await hall.serve()
    client = hall.client()
    calls = [background(client.call(HOLD, b"")) for _ in range(3)]
    await until(lambda: hall.held == 3)
    for peer in list(server.peers):
        peer.cut("for a test")
    for call in calls:
        with pytest.raises(StreamLost) as lost:
            await call
        assert lost.value.sent
    await hall.serve()  # at another port
    assert bytes(await client.call(ECHO, b"again")) == b"again"
    assert hall.finds == 2


async def test_nobody_there(hall: StreamHall) -> None:
    server = await hall.serve()
    await server.close()
    client = hall.client()
    calls = [background(client.call(ECHO, b"")) for _ in range(3)]
    for call in calls:
        with pytest.raises(StreamLost, match="cannot connect") as lost:
            await call
        assert not lost.value.sent
    assert hall.finds == 1


async def test_a_connection_that_nobody_waits_for_may_fail(hall: StreamHall) -> None:
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, about: complaints.append(about))
    server = await hall.serve()
    await server.close()
    hall.may_find.clear()
    client = hall.client()
    call = background(client.call(ECHO, b""))
    await until(lambda: hall.finds == 1)
    call.cancel()
    await asyncio.wait({call})
    hall.may_find.set()
    with pytest.raises(StreamLost):  # some time later
        await hall.client().call(ECHO, b"")
    with pytest.raises(StreamLost):  # which forgets the connection that failed
        await client.call(ECHO, b"")
    gc.collect()
    assert complaints == []


async def test_closing_the_server_answers_what_can_be_answered(hall: StreamHall) -> None:
    server = await hall.serve()
    client = hall.client()
    call = background(client.call(HOLD, bytes(1_000_000)))
    await until(lambda: hall.held == 1)
    closing = background(server.close(grace_seconds=5.0))
    hall.release.set()
    assert len(await call) == 1_000_000
    await closing
    assert not server.peers
    with pytest.raises(StreamLost):
        await client.call(ECHO, b"")


async def test_closing_the_server_cuts_what_cannot_be_answered(hall: StreamHall) -> None:
    server = await hall.serve()
    call = background(hall.client().call(HOLD, b""))
    await until(lambda: hall.held == 1)
    await server.close(grace_seconds=0.01)
    with pytest.raises(StreamLost, match="closed by the other end"):
        await call
    assert hall.cancelled == 1
