"""Ends that do not read, and ends that say nothing any more."""

import asyncio

import pytest

from task_queue.scheduler_api import SchedulerUnavailable
from task_queue.stream.limits import StreamLimits
from task_queue.stream.outcome import StreamLost
from tests.stream.stream_hall import ECHO, HOLD, SIZED, Raw, StreamHall, background, until

pytestmark = pytest.mark.anyio

_SMALL = 4_096
#: More than the kernel takes for a connection that nobody reads.
_MUCH = 8_000_000


async def test_who_lets_answers_pile_up_is_cut(hall: StreamHall) -> None:
    server = await hall.serve(StreamLimits(backlog_bytes=1_000_000, pause_bytes=100_000))
    raw = await hall.raw(receive_buffer_bytes=_SMALL)
    await raw.be_client()
    raw.write_call(1, HOLD)
    for call_id in range(2, 10):
        raw.write_call(call_id, SIZED, b"%d" % (_MUCH // 8))
    (peer,) = server.peers
    await until(lambda: peer.paused and hall.held == 1)
    hall.release.set()  # one more answer, and that is too much
    await until(lambda: not server.peers)
    ((_, reason),) = hall.cuts
    assert "bytes wait for it, and it does not read them" in reason


async def test_who_takes_one_long_answer_slowly_is_not(hall: StreamHall) -> None:
    server = await hall.serve(StreamLimits(backlog_bytes=1_000_000, pause_bytes=100_000))
    raw = await hall.raw(receive_buffer_bytes=_SMALL)
    await raw.be_client()
    for call_id in (1, 2):
        raw.write_call(call_id, HOLD)
    raw.write_call(3, SIZED, b"%d" % _MUCH)
    (peer,) = server.peers
    await until(lambda: peer.paused and hall.held == 2)
    hall.release.set()
    assert [len(await raw.frame()) for _ in range(3)] == [_MUCH + 5, 5, 5]
    assert hall.cuts == []


async def test_who_has_too_many_calls_open_is_refused_more(hall: StreamHall) -> None:
    server = await hall.serve(StreamLimits(max_open_calls=3))
    client, other = hall.client(), hall.client()
    held = [asyncio.ensure_future(client.call(HOLD, b"")) for _ in range(3)]
    await until(lambda: hall.held == 3)
    with pytest.raises(SchedulerUnavailable, match="3 calls of this connection"):
        await client.call(ECHO, b"")
    assert bytes(await other.call(ECHO, b"x")) == b"x"
    hall.release.set()
    await asyncio.gather(*held)
    assert bytes(await client.call(ECHO, b"y")) == b"y"
    assert hall.cuts == [] and len(server.peers) == 2


async def test_who_takes_no_answers_may_ask_nothing_more(hall: StreamHall) -> None:
    server = await hall.serve(StreamLimits(pause_bytes=100_000))
    raw = await hall.raw(receive_buffer_bytes=_SMALL)
    await raw.be_client()
    raw.write_call(1, SIZED, b"%d" % _MUCH)
    (peer,) = server.peers
    await until(lambda: peer.paused)
    raw.write_call(2, HOLD)
    other = hall.client()
    for _ in range(20):  # the server is busy with others meanwhile
        await other.call(ECHO, b"")
    assert hall.held == 0
    assert len(await raw.frame()) == _MUCH + 5
    await until(lambda: hall.held == 1)


async def test_who_takes_nothing_for_long_is_cut(hall: StreamHall) -> None:
    server = await hall.serve(StreamLimits(heartbeat_seconds=0.02, pause_bytes=100_000))
    raw = await hall.raw(receive_buffer_bytes=_SMALL)
    await raw.be_client()
    raw.write_call(1, SIZED, b"%d" % _MUCH)
    await until(lambda: not server.peers)
    assert [reason for _, reason in hall.cuts] == ["no sign of life for 0.1 s"]


async def test_a_client_waits_for_a_server_that_does_not_read(hall: StreamHall) -> None:
    may_read = asyncio.Event()
    calls = []

    async def dawdle(raw: Raw) -> None:
        await raw.be_server()
        await may_read.wait()
        assert len(await raw.frame()) == _MUCH + 5
        while (frame := await raw.frame())[4] == 0:
            pass  # heartbeats
        raw.write_call(int.from_bytes(frame[:4]), 1, frame[5:])
        await raw.until_cut()

    await hall.strange_server(dawdle)
    client = hall.client(StreamLimits(pause_bytes=100_000))
    calls.append(background(client.call(ECHO, bytes(_MUCH))))
    await until(lambda: client.paused)
    calls.append(background(client.call(ECHO, b"given up")))
    calls.append(background(client.call(ECHO, b"third")))
    for _ in range(20):
        await asyncio.sleep(0)
    calls[1].cancel()  # it still waits for room, so it never leaves
    may_read.set()
    assert bytes(await calls[2]) == b"third"
    calls[0].cancel()  # nobody will answer it


async def test_calls_that_wait_for_room_are_told_when_there_will_be_none(hall: StreamHall) -> None:
    async def never_read(raw: Raw) -> None:
        await raw.be_server()
        await until(lambda: client.paused)
        await asyncio.sleep(0)  # the second call waits now

    await hall.strange_server(never_read)
    client = hall.client(StreamLimits(pause_bytes=100_000))
    first = background(client.call(ECHO, bytes(_MUCH)))
    await until(lambda: client.paused)
    second = background(client.call(ECHO, b""))
    with pytest.raises(StreamLost) as lost:
        await first
    assert lost.value.sent
    with pytest.raises(StreamLost) as lost:
        await second
    assert not lost.value.sent


# ---- silence -----------------------------------------------------------------------------------


async def test_a_server_that_falls_silent_is_noticed(hall: StreamHall) -> None:
    """As when its process was stopped or its host has vanished: the connection stays."""

    async def fall_silent(raw: Raw) -> None:
        await raw.be_server()
        await raw.until_cut()

    await hall.strange_server(fall_silent)
    client = hall.client(StreamLimits(heartbeat_seconds=0.02, silent_heartbeats=3))
    with pytest.raises(StreamLost, match=r"no sign of life for 0\.08 s") as lost:
        await client.call(ECHO, b"")
    assert lost.value.sent


async def test_a_client_that_falls_silent_is_noticed(hall: StreamHall) -> None:
    server = await hall.serve(StreamLimits(heartbeat_seconds=0.02, silent_heartbeats=3))
    raw = await hall.raw()
    await raw.be_client()
    raw.write_call(1, HOLD)
    heartbeats = await raw.until_cut()
    assert heartbeats[:9] == (5).to_bytes(4) + bytes(5)
    assert not server.peers
    assert hall.cancelled == 1
    assert [reason for _, reason in hall.cuts] == ["no sign of life for 0.08 s"]


async def test_both_ends_live_as_long_as_they_have_something_or_nothing_to_say(
    hall: StreamHall,
) -> None:
    limits = StreamLimits(heartbeat_seconds=0.02, silent_heartbeats=3)
    await hall.serve(limits)
    silent = await hall.raw()
    await silent.be_client()
    call = background(hall.client(limits).call(HOLD, b"there"))
    await until(lambda: hall.held == 1)
    again = await hall.raw()
    for raw in (silent, again):  # twice as long as it takes to be found silent
        if raw is again:
            await again.be_client()
        await raw.until_cut()
    assert not call.done()
    hall.release.set()
    assert bytes(await call) == b"there"
    assert hall.finds == 1


async def test_an_end_that_takes_long_to_read_a_long_frame_is_not_dead(hall: StreamHall) -> None:
    read = 0

    async def read_slowly(raw: Raw) -> None:
        """Says nothing, for it is busy: about 0.8 s, and 0.3 s of silence are allowed."""
        nonlocal read
        await raw.be_server()
        while read < 4 * _MUCH:
            read += len(await raw.reader.read(1 << 18))
            await asyncio.sleep(0.002)

    await hall.strange_server(read_slowly)
    client = hall.client(StreamLimits(heartbeat_seconds=0.06))
    # Reset, if a heartbeat of the client was still unread when the server closed.
    with pytest.raises(StreamLost, match=r"closed by the other end|reset by peer"):
        await client.call(ECHO, bytes(4 * _MUCH))
    assert read >= 4 * _MUCH
