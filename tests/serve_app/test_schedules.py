"""Schedules: saved, shown, changed, deleted, and what is refused."""

from typing import Any

import pytest

from task_queue.store.query import TaskQuery
from tests.serve_app.api_world import World, problem

pytestmark = pytest.mark.anyio

SCHEDULES = "/api/v1/schedules"
TASK = {"name": "shop.thumbnail", "args": ["cat.png"]}


class TestSaved:
    async def test_cron_in_its_own_time_zone(self, world: World) -> None:
        body = {"id": "n", "task": TASK, "cron": "0 6 * * *", "timezone": "Europe/Berlin"}
        answer = await world.http.post(SCHEDULES, json=body)
        view = answer.json()
        assert (answer.status_code, answer.headers["location"]) == (201, f"{SCHEDULES}/n")
        assert view["next_run_at"] == "2023-11-15T05:00:00.000Z"
        assert (view["name"], view["queue"], view["runs"]) == ("shop.thumbnail", "images", 0)
        assert (await world.http.get(f"{SCHEDULES}/n")).json() == view
        assert (await world.http.get(SCHEDULES)).json() == {"schedules": [view]}

    async def test_an_interval_fires_with_the_arguments(self, world: World) -> None:
        answer = await world.http.post(SCHEDULES, json={"task": TASK, "interval_seconds": 60})
        assert answer.json()["next_run_at"] == "2023-11-14T22:14:20.000Z"
        world.clock.advance(60)
        world.scheduler.tick()
        (task,) = world.store.search(TaskQuery(), 10)
        stored = world.store.get(task.spec.id)
        assert stored is not None
        assert stored.spec.arguments == b'{"args":["cat.png"],"kwargs":{}}'
        seen = (await world.http.get(f"{SCHEDULES}/{answer.json()['id']}")).json()
        assert (seen["runs"], seen["last_task_id"]) == (1, task.spec.id)

    async def test_a_changed_one_keeps_its_history(self, world: World) -> None:
        body = {"id": "n", "task": TASK, "interval_seconds": 60}
        await world.http.post(SCHEDULES, json=body)
        world.clock.advance(60)
        world.scheduler.tick()
        answer = await world.http.post(SCHEDULES, json={**body, "interval_seconds": 30})
        assert (answer.status_code, answer.json()["runs"]) == (200, 1)
        world.clock.advance(30)
        world.scheduler.tick()  # the first task still waits, so nothing overlaps with it
        assert world.accepted() == 1

    async def test_deleted_once(self, world: World) -> None:
        await world.http.post(SCHEDULES, json={"id": "nightly", "task": TASK, "cron": "0 6 * * *"})
        assert "'nightly'" in problem(await world.http.get(f"{SCHEDULES}/nihgtly"), 404)
        answer = await world.http.delete(f"{SCHEDULES}/nightly")
        assert (answer.status_code, answer.content) == (204, b"")
        problem(await world.http.delete(f"{SCHEDULES}/nightly"), 404)

    @pytest.mark.parametrize("schedule_id", ["a/b", "grün 1", "what?#"])
    async def test_any_id_can_be_found_again(self, world: World, schedule_id: str) -> None:
        body = {"id": schedule_id, "task": TASK, "cron": "0 6 * * *"}
        location = (await world.http.post(SCHEDULES, json=body)).headers["location"]
        assert (await world.http.get(location)).json()["id"] == schedule_id


CRON = {"cron": "0 6 * * *"}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"task": TASK}, ["exactly one of cron and interval_seconds"]),
        ({"task": TASK, **CRON, "interval_seconds": 5}, ["exactly one"]),
        ({"task": TASK, "cron": "61 * * * *"}, ["cron:", "five fields"]),
        ({"task": TASK, "cron": "0 0 30 2 *"}, ["cron"]),
        ({"task": TASK, "cron": ""}, ["cron"]),
        ({"task": TASK, **CRON, "timezone": "Berlin"}, ["timezone", "Europe/Berlin"]),
        ({"task": TASK, "interval_seconds": 0.5}, ["interval_seconds"]),
        ({"task": TASK, **CRON, "overlap": "queue"}, ["overlap", "allow"]),
        ({"task": TASK, **CRON, "missed": "all"}, ["missed", "run_once"]),
        ({"task": {"name": "shop.thumbnail"}, **CRON}, ["task.args"]),
        ({"task": {"name": "shop.thumb"}, **CRON}, ["task.name", "shop.thumbnail"]),
        ({"task": {**TASK, "prio": 1}, **CRON}, ["task.prio: unknown", "priority"]),
        ({"task": {**TASK, "delay_seconds": 5}, **CRON}, ["task.delay_seconds"]),
        ({"task": {**TASK, "idempotency_key": "k"}, **CRON}, ["task.idempotency_key"]),
        ({"task": TASK, **CRON, "id": "a\nb"}, ["id:"]),
        ({"taks": TASK, "task": TASK, **CRON}, ["taks: unknown", "'task'"]),
    ],
)
async def test_refused(world: World, body: dict[str, Any], words: list[str]) -> None:
    detail = problem(await world.http.post(SCHEDULES, json=body), 422)
    assert [word for word in words if word not in detail] == [], detail
    assert world.store.schedules() == []
