"""The scheduler actor as a plain object, without Ray: where it serves streams, and until when."""

import asyncio
import gc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from actors import scheduler as scheduler_module
from actors.call_codec import decode_reading, encode
from actors.scheduler import SchedulerActor
from monitoring import chores as chores_module
from monitoring.task_lines import TaskLines
from task_queue.clock import SystemClock
from task_queue.core.effects import Accepted
from task_queue.core.status import Status
from task_queue.scheduler_api import SchedulerUnavailable
from task_queue.settings import PoolSettings, Settings, settings_to_json
from task_queue.store import open_store
from task_queue.store.protocol import Store, StoreError
from task_queue.stream.endpoint import Endpoint, decode_endpoint
from task_queue.stream.scheduler_stream import SchedulerStream
from task_queue.testing import task_spec
from task_queue.trend_roller import TrendRoller
from tests.store.databases import a_task, inserted

pytestmark = pytest.mark.anyio

#: All of 127.0.0.0/8 is this machine.
_NODE = "127.0.0.3"


class Stage:
    """Scheduler actors over one file, and a stream to each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._actors: list[SchedulerActor] = []
        self._streams: list[SchedulerStream] = []

    def actor(self, **ray: Any) -> SchedulerActor:
        document = {
            "store": {"url": f"sqlite:///{self._folder}/queue.db"},
            "logging": {"level": "ERROR"},
            "ray": ray,
        }
        settings = Settings(pools={"default": PoolSettings()}, **document)  # type: ignore[arg-type]
        self._actors.append(SchedulerActor(settings_to_json(settings)))
        return self._actors[-1]

    def stream(self, actor: SchedulerActor) -> SchedulerStream:
        async def find() -> Endpoint:
            return decode_endpoint(await actor.endpoint())

        self._streams.append(SchedulerStream(find, 0.0))
        return self._streams[-1]

    async def close(self) -> None:
        for stream in self._streams:
            await stream.close()
        for actor in self._actors:
            await actor.stop()


@pytest.fixture
async def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    monkeypatch.setattr(scheduler_module, "get_node_ip_address", lambda: _NODE)
    made = Stage(tmp_path)
    yield made
    await made.close()
    gc.unfreeze()  # what a scheduler has loaded is frozen


async def test_the_first_question_starts_it_and_waits_a_moment_for_the_store(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def open_later(url: str) -> Store:
        tries.append(url)
        if len(tries) == 1:
            raise StoreError("the disk is not there yet")
        return open_store(url)

    monkeypatch.setattr(scheduler_module, "open_store", open_later)
    stream = stage.stream(stage.actor())
    assert isinstance(await stream.submit([task_spec()]), Accepted)
    assert len(tries) == 2


@pytest.mark.parametrize(
    ("ray", "host"),
    [
        ({}, "127.0.0.1"),
        ({"address": "auto"}, _NODE),
        ({"stream_host": "127.0.0.2"}, "127.0.0.2"),
        ({"address": "auto", "stream_host": "127.0.0.2"}, "127.0.0.2"),
        ({"stream_host": "0.0.0.0"}, _NODE),
    ],
)
async def test_callers_are_told_an_address_that_they_can_reach(
    stage: Stage, ray: dict[str, Any], host: str
) -> None:
    actor = stage.actor(**ray)
    assert decode_endpoint(await actor.endpoint()).host == host
    assert isinstance(await stage.stream(actor).submit([task_spec()]), Accepted)


async def test_the_address_is_the_only_one(stage: Stage) -> None:
    port = decode_endpoint(await stage.actor().endpoint()).port
    with pytest.raises(OSError):
        await asyncio.open_connection(_NODE, port)


async def test_after_its_end_nothing_is_served(stage: Stage) -> None:
    actor = stage.actor()
    stream = stage.stream(actor)
    await stream.submit([task_spec()])
    await actor.stop()
    await actor.stop()
    with pytest.raises(SchedulerUnavailable, match="was stopped"):
        await actor.endpoint()
    with pytest.raises(SchedulerUnavailable, match="was stopped"):
        await stream.submit([task_spec()])


async def test_one_that_was_stopped_leaves_the_store_to_the_next(stage: Stage) -> None:
    old = stage.actor()
    await old.endpoint()
    await old.stop()
    following = stage.stream(stage.actor())
    await following.submit([task_spec()])
    with pytest.raises(SchedulerUnavailable, match="was stopped"):
        await old.endpoint()
    assert isinstance(await following.submit([task_spec()]), Accepted)


async def test_one_that_was_replaced_serves_nothing_and_does_not_take_over_again(
    stage: Stage,
) -> None:
    old, new = stage.actor(), stage.actor()
    old_stream, new_stream = stage.stream(old), stage.stream(new)
    await old_stream.submit([task_spec()])
    await new_stream.submit([task_spec()])
    for _ in range(2):
        with pytest.raises(SchedulerUnavailable):
            await old_stream.submit([task_spec()])
    with pytest.raises(SchedulerUnavailable, match="was stopped"):
        await old.endpoint()
    assert isinstance(await new_stream.submit([task_spec()]), Accepted)


async def test_what_ended_is_added_up_for_trends(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler_module, "_ROLL_SECONDS", 0.01)
    store = open_store(f"sqlite:///{tmp_path}/queue.db")
    store.take_over()
    an_hour_ago = SystemClock().now() - 3_600.0
    store.commit(inserted(a_task(1, Status.COMPLETED, finished_at=an_hour_ago)))
    await stage.actor().endpoint()
    async with asyncio.timeout(30.0):
        while store.summed_until() < an_hour_ago:
            await asyncio.sleep(0.01)
    store.close()


async def test_a_fault_in_a_chore_is_logged_counted_and_does_not_end_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tries = asyncio.Semaphore(0)

    async def roll(_roller: TrendRoller) -> int:
        tries.release()
        raise ZeroDivisionError("a fault of ours")

    monkeypatch.setattr(scheduler_module, "_ROLL_SECONDS", 0.0)
    monkeypatch.setattr(chores_module, "AGAIN_SECONDS", 0.0)
    monkeypatch.setattr(TrendRoller, "roll", roll)
    actor = stage.actor()
    await actor.endpoint()
    async with asyncio.timeout(30.0):
        for _ in range(3):
            await tries.acquire()
    failures = decode_reading(await actor.read(encode(None))).chore_failures
    assert failures["trends"] >= 2
    assert failures["prune"] == 0
    logged = capsys.readouterr().err
    assert "chore_failed" in logged and "a fault of ours" in logged and "Traceback" in logged


async def test_a_fault_in_what_tells_of_turns_holds_up_nobody(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("a fault of ours")

    monkeypatch.setattr(TaskLines, "take", fail)
    actor = stage.actor()
    stream = stage.stream(actor)
    for _ in range(5):
        assert isinstance(await stream.submit([task_spec()]), Accepted)
    failures = decode_reading(await actor.read(encode(None))).chore_failures
    assert failures["lines"] >= 5
    assert 1 <= capsys.readouterr().err.count("turn_not_told") < failures["lines"]
