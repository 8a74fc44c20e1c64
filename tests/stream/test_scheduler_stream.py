"""The scheduler's hot calls over streams, while schedulers come and go."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from task_queue.core.effects import Accepted, Grant, Refused
from task_queue.core.events import WorkerPulled
from task_queue.core.settings import Rules
from task_queue.core.spec_runs import SpecRun, SpecRuns
from task_queue.core.status import Status
from task_queue.core.task import TaskSpec
from task_queue.errors import ConfigError
from task_queue.scheduler import Scheduler
from task_queue.scheduler_api import Ended, SchedulerUnavailable
from task_queue.stream.endpoint import Endpoint
from task_queue.stream.handshake import stream_key
from task_queue.stream.limits import StreamLimits
from task_queue.stream.outcome import CallFailed, StreamLost
from task_queue.stream.scheduler_listener import SchedulerListener
from task_queue.stream.scheduler_stream import SchedulerStream
from task_queue.stream.security import security_from
from task_queue.testing import task_spec
from tests.scheduler.hall import Hall, background, leased, succeeded, until
from tests.stream.stream_hall import NONCE, Raw, StreamHall

pytestmark = pytest.mark.anyio

_ENVIRONMENT = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "t"}


class Room:
    """Schedulers that listen, one after the other, and a stream to the latest."""

    def __init__(self) -> None:
        self.hall = Hall()
        self.listener: SchedulerListener | None = None
        self.refusal: Exception | None = None  #: of whoever says where the scheduler is
        self.finds = 0
        self.stream = self.new_stream(5.0)
        self._listeners: list[SchedulerListener] = []
        self._streams: list[SchedulerStream] = []
        self._streams.append(self.stream)

    def new_stream(self, patience_seconds: float) -> SchedulerStream:
        return SchedulerStream(self.find, patience_seconds, _ENVIRONMENT)

    def listen(self, scheduler: object, limits: StreamLimits | None = None) -> SchedulerListener:
        listener = SchedulerListener(
            scheduler, "127.0.0.1", "127.0.0.1", _ENVIRONMENT, limits  # type: ignore[arg-type]
        )  # fmt: skip
        listener.start()
        self.listener = listener
        self._listeners.append(listener)
        return listener

    async def find(self) -> Endpoint:
        self.finds += 1
        if self.refusal is not None:
            raise self.refusal
        if self.listener is None:
            raise StreamLost("no such actor", sent=False)
        return await self.listener.endpoint(5.0)

    async def close(self) -> None:
        await self.stream.close()
        for listener in self._listeners:
            await listener.close()
        self.hall.close()


class Slow:
    """A scheduler that takes its time over a submit."""

    def __init__(self, real: Scheduler) -> None:
        self._real = real
        self.go_on = asyncio.Event()

    async def submit(self, specs: Sequence[TaskSpec], repeated: bool = False) -> Accepted | Refused:
        await self.go_on.wait()
        return await self._real.submit(specs, repeated)


@pytest.fixture
async def room() -> AsyncIterator[Room]:
    made = Room()
    yield made
    await made.close()


class Deaf:
    """A scheduler that does what is asked and is gone before it can say so."""

    def __init__(self, room: Room, real: Scheduler) -> None:
        self._room = room
        self._real = real
        self.asked = 0

    async def submit(self, specs: Sequence[TaskSpec], repeated: bool = False) -> Accepted | Refused:
        await self._real.submit(specs, repeated)
        await self._vanish()
        raise AssertionError

    async def pull(self, event: WorkerPulled) -> Grant:
        await self._real.pull(event)
        await self._vanish()
        raise AssertionError

    async def wait_over(self, task_ids: Sequence[str], timeout_seconds: float) -> None:
        await self._vanish()

    async def _vanish(self) -> None:
        self.asked += 1
        assert self._room.listener is not None
        self._room.listener.close(grace_seconds=0.0)
        self._room.listener = None
        await asyncio.Event().wait()


class Heard:
    """A scheduler that remembers what it was asked."""

    def __init__(self, real: Scheduler) -> None:
        self._real = real
        self.repeated: list[bool] = []
        self.pulls = 0
        self.timeouts: list[float] = []

    async def submit(self, specs: Sequence[TaskSpec], repeated: bool = False) -> Accepted | Refused:
        self.repeated.append(repeated)
        return await self._real.submit(specs, repeated)

    async def pull(self, event: WorkerPulled) -> Grant:
        self.pulls += 1
        return await self._real.pull(event)

    async def wait_over(self, task_ids: Sequence[str], timeout_seconds: float) -> None:
        self.timeouts.append(timeout_seconds)


async def test_tasks_go_in_and_leases_come_out(room: Room) -> None:
    hall, scheduler = room.hall, await room.hall.started()
    room.listen(scheduler)
    await hall.register(scheduler)
    pull = background(room.stream.pull(hall.pull_event()))
    spec = task_spec(priority=9, tags=("a", "b"), idempotency_key="k", arguments=b'{"args":[1]}')
    assert await room.stream.submit([spec]) == Accepted([spec.id])
    grant = await asyncio.wait_for(pull, 30)
    assert leased(grant) == [spec.id]
    assert grant.leases[0].arguments == b'{"args":[1]}'
    assert hall.task(spec.id).spec == spec
    other = await room.stream.submit([task_spec(idempotency_key="k")])
    assert other == Accepted([spec.id], duplicates=[0])
    assert room.finds == 1


async def test_waiting_ends_when_a_task_does(room: Room) -> None:
    hall, scheduler = room.hall, await room.hall.started()
    room.listen(scheduler)
    lease = await hall.running(scheduler)
    waiting = background(room.stream.wait_over([lease.task_id], 30.0))
    await room.stream.wait_over(["unknown"], 30.0)
    assert not waiting.done()
    scheduler.stop()
    await asyncio.wait_for(waiting, 30)


async def test_an_end_is_told_of_what_was_submitted_just_before(room: Room) -> None:
    hall, scheduler = room.hall, await room.hall.started()
    room.listen(scheduler)
    await hall.register(scheduler)
    await room.stream.submit([])  # it connects
    spec = task_spec(idempotency_key="k")
    submitting = background(room.stream.submit([spec]))
    ending = background(room.stream.end_of(spec.id, 30.0))
    assert await submitting == Accepted([spec.id])
    (lease,) = (await room.stream.pull(hall.pull_event())).leases
    await hall.end(scheduler, succeeded(lease))
    end = await asyncio.wait_for(ending, 30)
    assert end == Ended(Status.COMPLETED, hall.clock.now(), None, b"1")
    assert await room.stream.end_of(spec.id, 30.0) is None


async def test_a_refusal_is_an_answer(room: Room) -> None:
    room.listen(await room.hall.started(Rules(max_queue_length=1)))
    answer = await room.stream.submit([task_spec(), task_spec()])
    assert isinstance(answer, Refused)
    assert answer.reason == "queue_full"


async def test_a_scheduler_that_is_not_ready_says_so_at_once(room: Room) -> None:
    scheduler = room.hall.make()
    room.listen(scheduler)
    with pytest.raises(SchedulerUnavailable, match="being loaded"):
        await room.stream.submit([task_spec()])
    await scheduler.started()
    assert isinstance(await room.stream.submit([task_spec()]), Accepted)
    assert room.finds == 1


async def test_so_does_whoever_knows_where_it_is(room: Room) -> None:
    room.refusal = SchedulerUnavailable("the scheduler was stopped")
    with pytest.raises(SchedulerUnavailable, match="was stopped"):
        await room.stream.submit([task_spec()])
    assert room.finds == 1


# ---- the connection is lost while a call is open ------------------------------------------------


async def test_a_submit_whose_answer_was_lost_is_repeated_as_such(room: Room) -> None:
    first = await room.hall.started()
    room.listen(Deaf(room, first))
    spec = task_spec()
    submit = background(room.stream.submit([spec]))
    await until(lambda: room.finds > 1)
    heard = Heard(await room.hall.started())
    room.listen(heard)  # another start, another port, another nonce
    assert await asyncio.wait_for(submit, 30) == Accepted([spec.id], duplicates=[0])
    assert heard.repeated == [True]
    assert isinstance(await room.stream.submit([task_spec()]), Accepted)
    assert heard.repeated == [True, False]


@pytest.mark.parametrize("is_repeated", [False, True])
async def test_tasks_that_are_alike_arrive_each_with_its_id(room: Room, is_repeated: bool) -> None:
    scheduler = await room.hall.started()
    first, other = task_spec(priority=9, tags=("a",)), task_spec(name="test.other")
    ids = [first.id, *(task_spec().id for _ in range(3)), other.id]
    runs = SpecRuns([SpecRun(first, ids[1:4]), SpecRun(other, [])])
    room.listen(Deaf(room, scheduler) if is_repeated else scheduler)
    submit = background(room.stream.submit(runs))
    if is_repeated:
        await until(lambda: room.finds > 1)
        room.listen(await room.hall.started())
    answer = await asyncio.wait_for(submit, 30)
    assert answer == Accepted(ids, duplicates=list(range(5)) if is_repeated else [])
    store = room.hall.open_store()
    stored = [task for task_id in ids if (task := store.get(task_id)) is not None]
    assert [task.spec for task in stored] == list(runs)
    assert list(runs)[:4] == [replace(first, id=task_id) for task_id in ids[:4]]
    assert [task.seq - stored[0].seq for task in stored] == list(range(5))


async def test_a_submit_that_was_never_sent_is_not_called_a_repetition(room: Room) -> None:
    heard = Heard(await room.hall.started())
    submit = background(room.stream.submit([task_spec()]))
    await until(lambda: room.finds > 1)
    room.listen(heard)
    assert isinstance(await asyncio.wait_for(submit, 30), Accepted)
    assert heard.repeated == [False]


async def test_who_repeats_by_himself_says_so(room: Room) -> None:
    heard = Heard(await room.hall.started())
    room.listen(heard)
    spec = task_spec()
    await room.stream.submit([spec])
    assert await room.stream.submit([spec], repeated=True) == Accepted([spec.id], duplicates=[0])
    assert heard.repeated == [False, True]


async def test_a_pull_whose_grant_was_lost_gets_the_same_grant(room: Room) -> None:
    hall, scheduler = room.hall, await room.hall.started()
    await hall.register(scheduler)
    task_id = await hall.submit(scheduler)
    deaf = Deaf(room, scheduler)
    room.listen(deaf)
    pull = background(room.stream.pull(hall.pull_event()))
    await until(lambda: deaf.asked == 1 and room.finds > 1)
    room.listen(scheduler)
    assert leased(await asyncio.wait_for(pull, 30)) == [task_id]


async def test_waiting_again_does_not_take_longer_than_asked(room: Room) -> None:
    scheduler = await room.hall.started()
    room.listen(Deaf(room, scheduler))
    waiting = background(room.stream.wait_over(["t"], 30.0))
    await until(lambda: room.finds > 1)
    heard = Heard(scheduler)
    room.listen(heard)
    await asyncio.wait_for(waiting, 30)
    assert 20.0 < heard.timeouts[0] < 30.0


async def test_patience_has_an_end(room: Room) -> None:
    impatient = room.new_stream(0.25)
    began = asyncio.get_running_loop().time()
    with pytest.raises(SchedulerUnavailable, match="does not answer: no such actor"):
        await impatient.submit([task_spec()])
    assert 0.25 < asyncio.get_running_loop().time() - began < 20
    assert 2 <= room.finds <= 4


async def test_patience_begins_when_the_call_is_lost_and_once_only(room: Room) -> None:
    """A scheduler that dies under each call must not keep its caller for ever."""
    room.listen(Deaf(room, await room.hall.started()))
    patient = room.new_stream(0.25)
    clock = asyncio.get_running_loop().time
    began = clock()
    waiting = background(patient.wait_over(["t"], 30.0))
    while not waiting.done():
        if room.listener is None:
            room.listen(Deaf(room, await room.hall.started()))
        await asyncio.wait({waiting}, timeout=0.01)
        assert clock() - began < 20
    assert clock() - began > 0.25
    # The second, if it is tried between two of them.
    with pytest.raises(SchedulerUnavailable, match=r"closed by the other end|no such actor"):
        await waiting


async def test_a_submit_waits_for_a_scheduler_that_is_busy(room: Room) -> None:
    """Its heartbeats say so."""
    slow = Slow(await room.hall.started())
    room.listen(slow, StreamLimits(heartbeat_seconds=0.05, silent_heartbeats=1_000))
    submitting = background(room.new_stream(0.2).submit([task_spec()]))
    await asyncio.wait({submitting}, timeout=1.5)
    assert not submitting.done()
    slow.go_on.set()
    assert isinstance(await submitting, Accepted)


async def test_a_submit_ends_when_the_scheduler_is_frozen(room: Room) -> None:
    """A process that was stopped keeps its connections, and says nothing."""

    async def freeze(raw: Raw) -> None:
        await raw.be_server(stream_key(security_from(_ENVIRONMENT).secret, NONCE))
        await raw.until_cut()

    hall = StreamHall()
    endpoint = await hall.strange_server(freeze)

    async def find() -> Endpoint:
        return endpoint

    stream = SchedulerStream(find, 0.2, _ENVIRONMENT)
    began = asyncio.get_running_loop().time()
    with pytest.raises(SchedulerUnavailable, match=r"no sign of life for 0\.2 s"):
        await stream.submit([task_spec()])
    assert asyncio.get_running_loop().time() - began < 5, "it waited for the heartbeats to fail"
    await stream.close()
    await hall.close()


async def test_a_host_that_vanished_is_left_for_the_next(room: Room) -> None:
    """Nobody answers there, and nobody says that the connection is over."""
    silent = socket.create_server(("127.0.0.1", 0))
    try:
        limits = StreamLimits(connect_seconds=0.5)
        gone = Endpoint("127.0.0.1", silent.getsockname()[1], b"")
        scheduler = await room.hall.started()
        listener = room.listen(scheduler)
        endpoints = [gone, await listener.endpoint(5.0)]

        async def find() -> Endpoint:
            room.finds += 1
            return endpoints[min(room.finds, 2) - 1]

        stream = SchedulerStream(find, 30.0, _ENVIRONMENT, limits)
        assert isinstance(await stream.submit([task_spec()]), Accepted)
        assert room.finds >= 2  # more, if the next takes half a second to answer
        await stream.close()
    finally:
        silent.close()


async def test_what_cannot_be_done_is_not_repeated(room: Room) -> None:
    room.listen(await room.hall.started(), StreamLimits(max_frame_bytes=1_000))
    with pytest.raises(CallFailed, match="1000 are allowed"):
        await SchedulerStream(
            room.find, 5.0, _ENVIRONMENT, StreamLimits(max_frame_bytes=1_000)
        ).submit([task_spec(arguments=bytes(2_000))])
    assert room.finds == 1


# ---- the listener -------------------------------------------------------------------------------


async def test_a_scheduler_that_stops_closes_its_streams(room: Room) -> None:
    scheduler = await room.hall.started()
    heard = Heard(scheduler)
    listener = room.listen(heard)
    endpoint = await listener.endpoint(5.0)
    await room.hall.register(scheduler)
    pull = background(room.stream.pull(room.hall.pull_event()))
    await until(lambda: heard.pulls == 1)
    scheduler.stop()
    await listener.close()
    with pytest.raises(SchedulerUnavailable, match="was stopped"):
        await pull  # it was told, before the stream was closed
    with pytest.raises(SchedulerUnavailable, match="was stopped"):
        await listener.endpoint(5.0)
    with pytest.raises(OSError):
        await asyncio.open_connection(endpoint.host, endpoint.port)


async def test_an_address_of_another_machine_is_reported(room: Room) -> None:
    troubles: list[BaseException] = []
    listener = SchedulerListener(
        await room.hall.started(), "192.0.2.1", "192.0.2.1", {},
        on_trouble=lambda _what, error: troubles.append(error),
    )  # fmt: skip
    with pytest.raises(SchedulerUnavailable, match="was stopped"):
        await listener.endpoint(0.0)
    listener.start()
    await until(lambda: len(troubles) > 0)
    assert isinstance(troubles[0], OSError)
    with pytest.raises(SchedulerUnavailable, match=r"does not listen at 192\.0\.2\.1"):
        await listener.endpoint(0.01)
    await listener.close()


async def test_a_listener_tries_until_it_works(room: Room, tmp_path: Path) -> None:
    token = tmp_path / "token"
    environment = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
    troubles: list[BaseException] = []
    listener = SchedulerListener(
        await room.hall.started(), "127.0.0.1", "10.0.0.1", environment,
        on_trouble=lambda _what, error: troubles.append(error),
    )  # fmt: skip
    listener.start()
    await until(lambda: len(troubles) > 0)
    assert isinstance(troubles[0], ConfigError)
    token.write_text("t")
    endpoint = await listener.endpoint(5.0)
    assert (endpoint.host, len(endpoint.nonce)) == ("10.0.0.1", 32)
    await listener.close()


async def test_each_start_has_a_nonce_of_its_own(room: Room) -> None:
    scheduler = await room.hall.started()
    first = await room.listen(scheduler).endpoint(5.0)
    second = await room.listen(scheduler).endpoint(5.0)
    assert first.nonce != second.nonce
    assert first.port != second.port


def test_a_stream_may_be_made_without_a_loop_and_used_in_several() -> None:
    rooms: list[Room] = []

    async def find() -> Endpoint:
        return await rooms[-1].find()

    stream = SchedulerStream(find, 5.0, _ENVIRONMENT)

    async def use() -> None:
        rooms.append(Room())
        rooms[-1].listen(await rooms[-1].hall.started())
        assert isinstance(await stream.submit([task_spec()]), Accepted)
        assert isinstance(await stream.submit([task_spec()]), Accepted)
        assert rooms[-1].finds == 1

    with asyncio.Runner() as one, asyncio.Runner() as other:
        for runner in (one, other):
            runner.run(use())
        one.run(rooms[0].close())  # with it goes the client that was left there
        other.run(stream.close())
        other.run(rooms[1].close())
