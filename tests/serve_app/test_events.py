"""The event stream: order, resuming, filters, heartbeats, its end."""

import json
from typing import Any

import pytest

from task_queue.store.protocol import StoreError
from tests.serve_app.api_world import Between, World, problem
from tests.serve_app.conftest import MakeWorld

pytestmark = pytest.mark.anyio

EVENTS = "/api/v1/events"


def frames(text: str) -> list[dict[str, str]]:
    """The frames of a stream, each a dict of its fields; comments are under ""."""
    parsed = []
    for block in text.split("\n\n")[:-1]:
        fields = (line.partition(": ") if line[0] != ":" else ("", "", line) for line in
                  block.split("\n"))  # fmt: skip
        parsed.append({name: value for name, _, value in fields})
    return parsed


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(f["data"]) for f in frames(text) if f.get("event") == "task"]


async def ended(world: World, *queues: str) -> list[str]:
    """Tasks that end one second after another."""
    ids = []
    for queue in queues:
        world.clock.advance(1)
        ids.append(await world.submit(queue=queue))
        await world.complete(ids[-1])
    return ids


async def test_begins_now_and_lasts_half_a_minute(world: World) -> None:
    await world.worker()
    await ended(world, "default")
    begun = world.clock.now()
    answer = await world.http.get(EVENTS)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-store"
    assert events(answer.text) == []
    assert world.clock.now() - begun == 30.0
    assert [f[""] for f in frames(answer.text) if "" in f] == [": heartbeat"] * 2


async def test_resumes_after_any_event(world: World) -> None:
    await world.worker()
    ids = await ended(world, "default", "images", "default")
    everything = await world.http.get(EVENTS, headers={"Last-Event-ID": "0.0-0"})
    assert [event["task_id"] for event in events(everything.text)] == ids
    told = [frame for frame in frames(everything.text) if frame.get("event") == "task"]
    assert json.loads(told[1]["data"]) == {
        "task_id": ids[1], "name": "shop.collect", "queue": "images", "status": "COMPLETED",
        "at": "2023-11-14T22:13:22.000Z",
    }  # fmt: skip
    later = await world.http.get(EVENTS, headers={"Last-Event-ID": told[0]["id"]})
    assert [event["task_id"] for event in events(later.text)] == ids[1:]


async def test_a_filter_moves_the_place_on(world: World) -> None:
    await world.worker()
    ids = await ended(world, "images", "default")
    query = {"queue": "images"}
    first = await world.http.get(EVENTS, params=query, headers={"Last-Event-ID": "0.0-0"})
    assert [event["task_id"] for event in events(first.text)] == ids[:1]
    everything = await world.http.get(EVENTS, headers={"Last-Event-ID": "0.0-0"})
    last = [f["id"] for f in frames(everything.text) if f.get("event") == "task"][-1]
    assert frames(first.text)[-1]["id"] == last


async def test_the_first_frame_gives_a_place_to_resume_from(world: World) -> None:
    await world.worker()
    await ended(world, "default")
    place = frames((await world.http.get(EVENTS)).text)[0]["id"]
    await world.worker("w2")
    second = await world.submit()
    (lease,) = await world.claim(worker_id="w2")
    assert lease.task_id == second
    await world.http.post(f"/api/v1/tasks/{await world.submit()}/cancel")
    answer = await world.http.get(EVENTS, headers={"Last-Event-ID": place})
    assert [event["status"] for event in events(answer.text)] == ["CANCELLED"]


async def test_more_than_one_page_at_once(world: World) -> None:
    answer = await world.http.post(
        "/api/v1/tasks/batch", json={"tasks": [{"name": "shop.collect"}] * 1_200}
    )
    assert (await world.http.post("/api/v1/queues/default/purge")).json()["count"] == 1_200
    told = await world.http.get(EVENTS, headers={"Last-Event-ID": "0.0-0"})
    seen = [event["task_id"] for event in events(told.text)]
    assert sorted(seen) == sorted(answer.json()["task_ids"])


async def test_ends_when_the_store_goes_away(make_world: MakeWorld) -> None:
    class GoesAway(Between):
        looks = 0

        def ended_after(self, *question: Any) -> Any:
            self.looks += 1
            if self.looks > 2:
                raise StoreError("gone")
            return self.real.ended_after(*question)

    world = await make_world(reader=GoesAway)
    begun = world.clock.now()
    answer = await world.http.get(EVENTS)
    assert len(frames(answer.text)) == 1
    assert world.clock.now() - begun == 0.5


@pytest.mark.parametrize(
    "word", ["x", "1.0", "nan-1", "inf-1", "1.0--1", "1.0-x", "1.0-" + "9" * 30]
)
async def test_a_foreign_place(world: World, word: str) -> None:
    answer = await world.http.get(EVENTS, headers={"Last-Event-ID": word})
    assert "Last-Event-ID" in problem(answer, 422)


async def test_an_unknown_filter(world: World) -> None:
    assert "quue: unknown" in problem(await world.http.get(f"{EVENTS}?quue=a"), 422)
