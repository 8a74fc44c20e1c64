"""Queues, workers and task types: what is shown, and what a person can do to them."""

import pytest

from task_queue.core.events import WorkerDeregistered, WorkerLost
from task_queue.store.query import Pool
from tests.serve_app.api_world import POOLS, TASKS, TYPES, World, problem

pytestmark = pytest.mark.anyio

QUEUES, WORKERS = "/api/v1/queues", "/api/v1/workers"


class TestQueues:
    async def test_all_that_are_known_with_what_they_hold(self, world: World) -> None:
        await world.worker()
        await world.submit(priority=8)
        await world.claim()
        await world.submit(priority=3)
        await world.submit(delay_seconds=60)
        world.clock.advance(2)
        views = {q["queue"]: q for q in (await world.http.get(QUEUES)).json()["queues"]}
        assert sorted(views) == ["default", "gpu", "images"]
        assert views["default"] == {
            "queue": "default", "paused": False, "queued": 1, "delayed": 1, "running": 1,
            "by_priority": {"3": 1}, "oldest_wait_seconds": 2.0, "pools": ["cpu"],
        }  # fmt: skip
        assert views["gpu"]["oldest_wait_seconds"] is None

    async def test_pause_holds_tasks_back_until_resume(self, world: World) -> None:
        await world.worker()
        paused = await world.http.post(f"{QUEUES}/default/pause")
        assert paused.json() == {"queue": "default", "paused": True}
        task_id = await world.submit()
        views = (await world.http.get(QUEUES)).json()["queues"]
        assert [view["paused"] for view in views] == [True, False, False]
        assert (await world.http.get(f"{TASKS}/{task_id}")).json()["status"] == "QUEUED"
        resumed = await world.http.post(f"{QUEUES}/default/resume")
        assert resumed.json() == {"queue": "default", "paused": False}
        await world.complete(task_id)

    async def test_a_change_is_seen_at_once(self, world: World) -> None:
        await world.http.get(QUEUES)  # now the reading is cached, and the clock stands still
        await world.http.post(f"{QUEUES}/gpu/pause")
        views = (await world.http.get(QUEUES)).json()["queues"]
        assert [view["queue"] for view in views if view["paused"]] == ["gpu"]

    async def test_purge_cancels_what_waits(self, world: World) -> None:
        task_id = await world.submit()
        assert (await world.http.post(f"{QUEUES}/default/purge")).json()["count"] == 1
        assert (await world.http.get(f"{TASKS}/{task_id}")).json()["status"] == "CANCELLED"

    @pytest.mark.parametrize("verb", ["pause", "resume", "purge"])
    async def test_a_queue_that_nobody_knows(self, world: World, verb: str) -> None:
        answer = await world.http.post(f"{QUEUES}/defualt/{verb}")
        assert "did you mean 'default'" in problem(answer, 404)

    async def test_task_types(self, world: World) -> None:
        types = (await world.http.get("/api/v1/task-types")).json()["task_types"]
        views = {view["name"]: view for view in types}
        assert views["shop.thumbnail"]["pools"] == ["cpu"]
        assert views["shop.thumbnail"]["queue"] == "images"
        assert views["shop.thumbnail"]["doc"] == "A small copy of a picture."
        assert views["shop.train"]["pools"] == ["cuda"]


class TestWorkers:
    async def test_living_ones(self, world: World) -> None:
        await world.worker(hostname="node-1", pid=42)
        task_id = await world.submit()
        await world.claim()
        world.clock.advance(1)
        (view,) = (await world.http.get(WORKERS)).json()["workers"]
        assert (view["worker_id"], view["status"], view["current_load"]) == ("w1", "active", 1)
        assert (view["running"], view["uptime_seconds"]) == ([task_id], 1.0)
        assert (await world.http.get(f"{WORKERS}/w1/status")).json() == view

    async def test_pause_resume_drain(self, world: World) -> None:
        await world.worker()
        for verb, status in (("pause", "paused"), ("resume", "active"), ("drain", "draining")):
            answer = await world.http.post(f"{WORKERS}/w1/{verb}")
            assert answer.json() == {"worker_id": "w1", "status": status}
            seen = (await world.http.get(f"{WORKERS}/w1/status")).json()
            assert seen["status"] == status
        answer = await world.http.post(f"{WORKERS}/w1/resume")
        assert "draining" in problem(answer, 409)

    async def test_a_lost_one_is_shown_for_a_quarter_of_an_hour(self, world: World) -> None:
        await world.worker()
        await world.scheduler.request(WorkerLost("w1", "w1-process", "it was killed"))
        (view,) = (await world.http.get(WORKERS)).json()["workers"]
        assert (view["status"], view["end_cause"]) == ("lost", "it was killed")
        world.clock.advance(900)
        assert (await world.http.get(WORKERS)).json()["workers"] == []
        assert (await world.http.get(f"{WORKERS}/w1/status")).json()["status"] == "lost"

    async def test_one_that_ended_in_good_order(self, world: World) -> None:
        await world.worker()
        await world.scheduler.request(WorkerDeregistered("w1", "w1-process"))
        assert (await world.http.get(WORKERS)).json()["workers"] == []
        view = (await world.http.get(f"{WORKERS}/w1/status")).json()
        assert (view["status"], view["current_load"]) == ("ended", 0)
        assert "ended at" in problem(await world.http.post(f"{WORKERS}/w1/pause"), 409)

    @pytest.mark.parametrize("path", ["/status", "/pause", "/resume", "/drain"])
    async def test_one_that_never_was(self, world: World, path: str) -> None:
        await world.worker()
        method = "GET" if path == "/status" else "POST"
        answer = await world.http.request(method, f"{WORKERS}/w11{path}")
        assert "did you mean 'w1'" in problem(answer, 404)


async def test_a_queue_that_a_submit_has_just_made_can_be_paused(world: World) -> None:
    await world.scheduler.declare([*POOLS, Pool("any", ("*",), ("shop.collect",))], TYPES)
    world.clock.advance(3)
    assert (await world.http.get("/api/v1/queues")).status_code == 200  # read, and kept for a while
    await world.submit(queue="brand-new")
    answer = await world.http.post("/api/v1/queues/brand-new/pause")
    assert (answer.status_code, answer.json()) == (200, {"queue": "brand-new", "paused": True})
