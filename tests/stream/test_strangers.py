"""Who may not come in: wrong keys, no handshake, other protocols, impostors."""

from random import Random

import pytest

from task_queue.stream.endpoint import Endpoint
from task_queue.stream.handshake import (
    MAGIC,
    MAX_HANDSHAKE_BYTES,
    ClientHandshake,
    HandshakeFailed,
    ServerHandshake,
    new_nonce,
    stream_key,
)
from task_queue.stream.limits import StreamLimits
from task_queue.stream.outcome import StreamLost
from tests.stream.stream_hall import ECHO, HOLD, KEY, NONCE, SECRET, Raw, StreamHall, until

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "key",
    [stream_key(b"other", NONCE), stream_key(SECRET, b"of an earlier start")],
    ids=["secret", "nonce"],
)
async def test_a_wrong_key_opens_nothing(hall: StreamHall, key: bytes) -> None:
    server = await hall.serve()
    raw = await hall.raw()
    handshake = ClientHandshake(key)
    proof = handshake.answer(await raw.frame())
    assert proof is not None
    raw.write(proof)
    raw.write_call(1, HOLD)
    assert await raw.until_cut() == b""  # not even the server's own proof
    await until(lambda: not server.peers)
    assert [reason for _, reason in hall.cuts] == ["it does not know the key"]
    assert hall.held == 0


async def test_a_client_with_a_wrong_secret_or_nonce_is_told(hall: StreamHall) -> None:
    await hall.serve()
    with pytest.raises(StreamLost, match="refused") as lost:
        await hall.client(secret=b"other").call(ECHO, b"")
    assert not lost.value.sent
    hall.endpoint = Endpoint(hall.endpoint.host, hall.endpoint.port, new_nonce())
    with pytest.raises(StreamLost, match="refused"):
        await hall.client().call(ECHO, b"")


async def test_calls_without_a_handshake_are_not_heard(hall: StreamHall) -> None:
    await hall.serve()
    raw = await hall.raw()
    await raw.frame()
    raw.write_call(1, HOLD)
    await raw.until_cut()
    assert hall.held == 0
    assert [reason for _, reason in hall.cuts] == ["it does not speak the protocol of this stream"]


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        bytes(range(128, 256)) * 100,
        (MAX_HANDSHAKE_BYTES + 1).to_bytes(4),  # cut for its length alone
        (1 << 20).to_bytes(4) + bytes(1 << 20),
    ],
)
async def test_garbage_is_cut_at_once(hall: StreamHall, said: bytes) -> None:
    server = await hall.serve()
    raw = await hall.raw()
    await raw.frame()
    raw.writer.write(said)
    await raw.until_cut()
    await until(lambda: not server.peers)
    ((_, reason),) = hall.cuts
    assert f"{MAX_HANDSHAKE_BYTES} are allowed" in reason


async def test_who_says_nothing_is_cut_after_a_while(hall: StreamHall) -> None:
    await hall.serve(StreamLimits(handshake_seconds=0.05))
    raw = await hall.raw()
    await raw.frame()
    assert await raw.until_cut() == b""
    assert [reason for _, reason in hall.cuts] == ["no handshake within 0.05 s"]


async def test_who_is_in_stays_longer_than_a_handshake_may_take(hall: StreamHall) -> None:
    await hall.serve(StreamLimits(handshake_seconds=2.0, heartbeat_seconds=60.0))
    raw = await hall.raw()
    await raw.be_client()
    stranger = await hall.raw()  # its time begins later, so when it is over the other's was
    await stranger.until_cut()
    raw.write_call(1, ECHO, b"here")
    assert (await raw.frame())[5:] == b"here"


async def test_frames_after_the_handshake_have_a_limit_too(hall: StreamHall) -> None:
    await hall.serve(StreamLimits(max_frame_bytes=1_000))
    raw = await hall.raw()
    await raw.be_client()
    raw.writer.write((1_001).to_bytes(4))
    await raw.until_cut()
    assert "a frame of 1001 bytes came where 1000 are allowed" in hall.cuts[0][1]


async def test_a_frame_without_a_head_is_cut(hall: StreamHall) -> None:
    await hall.serve()
    raw = await hall.raw()
    await raw.be_client()
    raw.write(b"1234")
    await raw.until_cut()
    assert "a frame is too short" in hall.cuts[0][1]


async def test_an_impostor_gets_no_calls(hall: StreamHall) -> None:
    """Something else listens at the port now, and cannot prove that it is the scheduler."""
    heard = b""

    async def pretend(raw: Raw) -> None:
        nonlocal heard
        raw.write(ServerHandshake(b"guess").opening())
        await raw.frame()
        raw.write(bytes(32))
        heard = await raw.until_cut()

    await hall.strange_server(pretend)
    with pytest.raises(StreamLost, match="refused: it does not know the key"):
        await hall.client().call(ECHO, b"secret")
    assert heard == b""


@pytest.mark.parametrize("said", [b"SSH-2.0-OpenSSH_9.6\r\n", b"TQS0" + bytes(32), MAGIC])
async def test_a_client_does_not_talk_to_another_protocol(hall: StreamHall, said: bytes) -> None:
    async def pretend(raw: Raw) -> None:
        raw.write(said)
        await raw.until_cut()

    await hall.strange_server(pretend)
    with pytest.raises(StreamLost, match="no stream of a scheduler, or one of another version"):
        await hall.client().call(ECHO, b"")


async def test_a_server_that_says_nothing_is_given_up(hall: StreamHall) -> None:
    async def say_nothing(raw: Raw) -> None:
        await raw.until_cut()

    await hall.strange_server(say_nothing)
    with pytest.raises(StreamLost, match=r"no connection within 0\.05 s"):
        await hall.client(StreamLimits(connect_seconds=0.05)).call(ECHO, b"")


async def test_an_answer_where_the_server_is_may_take_too_long(hall: StreamHall) -> None:
    client = hall.client(StreamLimits(connect_seconds=0.05))
    hall.may_find.clear()
    with pytest.raises(StreamLost, match=r"no connection within 0\.05 s"):
        await client.call(ECHO, b"")


# ---- the proofs themselves ---------------------------------------------------------------------


def test_a_proof_is_good_for_one_connection_only() -> None:
    first, second, client = ServerHandshake(KEY), ServerHandshake(KEY), ClientHandshake(KEY)
    proof = client.answer(first.opening())
    assert proof is not None
    assert client.answer(first.answer(proof)) is None
    with pytest.raises(HandshakeFailed):
        second.answer(proof)


def test_a_proof_cannot_be_sent_back_to_its_maker() -> None:
    client = ClientHandshake(KEY)
    proof = client.answer(ServerHandshake(KEY).opening())
    assert proof is not None
    with pytest.raises(HandshakeFailed):
        client.answer(proof[32:])


def test_neither_key_nor_secret_is_in_what_is_said() -> None:
    server, client = ServerHandshake(KEY), ClientHandshake(KEY)
    opening = server.opening()
    proof = client.answer(opening)
    assert proof is not None
    said = opening + proof + server.answer(proof)
    assert KEY not in said
    assert SECRET not in said


async def test_any_junk_is_cut_and_the_others_are_served_on(hall: StreamHall) -> None:
    """Random bytes before the handshake, and random frames and calls after it."""
    server = await hall.serve()
    client = hall.client()
    chance = Random(7)
    for round_ in range(30):
        raw = await hall.raw()
        if round_ % 2:
            await raw.be_client()
            raw.write_call(round_, chance.randrange(256), chance.randbytes(200))
            raw.writer.write(b"\xff" + chance.randbytes(3_000))
        else:
            await raw.frame()
            raw.writer.write(b"\xff" + chance.randbytes(chance.randrange(3, 3_000)))
        await raw.until_cut()
    assert bytes(await client.call(ECHO, b"here")) == b"here"
    await until(lambda: len(server.peers) == 1)
