"""Lists, queues, workers, schedules, dead letters and health, through the sync client."""

import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from task_queue import errors, wire
from task_queue.client.client import Client
from task_queue.client.submission import submit_request
from tests.client.example_tasks import add
from tests.client.fake_api import NOW, FakeApi, problem

WORKER = {
    "worker_id": "w1", "status": "active", "pool": "default", "queues": ["default"],
    "hostname": "h", "pid": 1, "capacity": 4, "current_load": 1, "tasks_ended": 9,
    "tasks_failed": 1, "busy_seconds": 2.5, "restarts": 0, "uptime_seconds": 60.0,
    "last_heartbeat_at": NOW, "running": [],
}  # fmt: skip
SCHEDULE = {
    "id": "daily", "name": "math.add", "queue": "default", "cron": "0 6 * * *",
    "interval_seconds": None, "timezone": "UTC", "overlap": "skip", "missed": "run_once",
    "next_run_at": NOW, "last_run_at": None, "last_task_id": None, "runs": 0, "skips": 0,
}  # fmt: skip


def test_a_list_is_read_page_by_page(api: FakeApi, client: Client) -> None:
    client.submit_many("a.task", [(i,) for i in range(250)])
    views = client.list_tasks(queue="default", in_dlq=False)
    assert len(api.requests) == 1  # nothing is asked before it is used
    assert [view.task_id for view in views] == list(api.tasks)
    queries = [dict(request.url.params) for request in api.requests[1:]]
    assert queries[0] == {"queue": "default", "in_dlq": "false", "limit": "100"}
    assert [query.get("cursor") for query in queries] == [None, "100", "200"]


@pytest.mark.parametrize(("limit", "sizes"), [(0, []), (5, ["5"]), (150, ["100", "50"])])
def test_a_limit_is_kept(api: FakeApi, client: Client, limit: int, sizes: list[str]) -> None:
    client.submit_many("a.task", [(i,) for i in range(250)])
    assert len(list(client.list_tasks(limit=limit))) == limit
    assert [request.url.params["limit"] for request in api.requests[1:]] == sizes


def test_search_sends_its_conditions_under_the_names_of_the_api(
    api: FakeApi, client: Client
) -> None:
    since = datetime(2026, 1, 25, 14, tzinfo=UTC)
    found = client.search("cat", worker_id="w1", tag="x", submitted_from=since, submitted_to=NOW)
    assert list(found) == []
    assert api.requests[0].url.path == "/api/v1/search/tasks"
    assert dict(api.requests[0].url.params) == {
        "q": "cat", "worker_id": "w1", "tag": "x", "from": NOW, "to": NOW, "limit": "100",
    }  # fmt: skip


def test_an_unknown_filter_is_refused_at_the_call(api: FakeApi, client: Client) -> None:
    with pytest.raises(TypeError, match=r"'state' is not a filter: use .*status"):
        client.list_tasks(state="FAILED")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="'tag' is not a filter"):
        client.list_tasks(tag="x")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="colour"):
        client.search(colour="red")  # type: ignore[call-arg]


def test_dead_letters(api: FakeApi, client: Client) -> None:
    api.canned["POST /api/v1/dlq/replay"] = {"count": 3, "dry_run": True}
    api.canned["POST /api/v1/dlq/purge"] = {"count": 2, "dry_run": False}
    chosen = wire.TaskFilter(queue="images")
    assert client.dlq_replay(chosen, limit=10, dry_run=True) == wire.CountAnswer(3, True)
    assert client.dlq_replay().count == 3
    assert client.dlq_purge(chosen).count == 2
    assert api.bodies == [
        {"filter": {"queue": "images"}, "limit": 10, "dry_run": True},
        {"filter": {}, "limit": 1000, "dry_run": False},
        {"filter": {"queue": "images"}},
    ]


def test_a_replay_is_repeated_only_as_a_dry_run(api: FakeApi, client: Client) -> None:
    api.canned["POST /api/v1/dlq/replay"] = {"count": 3}
    api.breaks_after = httpx.ReadError("reset")
    assert client.dlq_replay(dry_run=True).count == 3
    api.breaks_after = httpx.ReadError("reset")
    with pytest.raises(errors.QueueUnreachable, match="not known"):
        client.dlq_replay()


def test_queues(api: FakeApi, client: Client) -> None:
    queue = {
        "queue": "q", "paused": False, "queued": 2, "delayed": 1, "running": 0,
        "by_priority": {"5": 2}, "oldest_wait_seconds": 1.5, "pools": ["default"],
    }  # fmt: skip
    api.canned = {
        "GET /api/v1/queues": {"queues": [queue]},
        "POST /api/v1/queues/q/pause": {"queue": "q", "paused": True},
        "POST /api/v1/queues/q/resume": {"queue": "q", "paused": False},
        "POST /api/v1/queues/q/purge": {"count": 2},
    }
    (view,) = client.queues()
    assert isinstance(view, wire.QueueView) and view.by_priority == {"5": 2}
    assert client.pause_queue("q").paused and not client.resume_queue("q").paused
    assert client.purge_queue("q").count == 2


def test_workers(api: FakeApi, client: Client) -> None:
    api.canned = {
        "GET /api/v1/workers": {"workers": [WORKER]},
        "GET /api/v1/workers/w1/status": WORKER,
        "POST /api/v1/workers/w1/pause": {**WORKER, "status": "paused"},
        "POST /api/v1/workers/w1/resume": {"worker_id": "w1", "status": "active"},
        "POST /api/v1/workers/w1/drain": {"worker_id": "w1", "status": "draining"},
    }
    assert client.workers() == [client.worker("w1")]
    assert isinstance(client.worker("w1"), wire.WorkerView)
    states = (client.pause_worker("w1"), client.resume_worker("w1"), client.drain_worker("w1"))
    assert [state.status for state in states] == ["paused", "active", "draining"]


def test_schedules(api: FakeApi, client: Client) -> None:
    api.canned = {
        "GET /api/v1/schedules": {"schedules": [SCHEDULE]},
        "POST /api/v1/schedules": SCHEDULE,
    }
    saved = client.save_schedule(submit_request(add, 1, 2), id="daily", cron="0 6 * * *")
    assert client.schedules() == [saved]
    client.save_schedule("a.task", interval_seconds=60)
    assert api.bodies[0] == {
        "task": {"name": "math.add", "args": [1, 2]}, "id": "daily", "cron": "0 6 * * *",
    }  # fmt: skip
    assert api.bodies[2] == {"task": {"name": "a.task"}, "interval_seconds": 60}
    api.troubles = [httpx.Response(204)]
    client.delete_schedule("daily")
    assert api.paths()[-1] == "DELETE /api/v1/schedules/daily"


def test_views_of_one_task(api: FakeApi, client: Client) -> None:
    api.canned = {
        "GET /api/v1/tasks/t/events": {"events": [{"at": NOW, "kind": "submitted", "attempt": 0}]},
        "GET /api/v1/tasks/t/logs": {"logs": [{"attempt": 1, "text": "hello\n"}]},
        "GET /api/v1/task-types": {"task_types": []},
    }
    assert client.events("t") == [wire.TimelineView(NOW, "submitted", 0)]
    assert client.logs("t") == [wire.LogView(1, "hello\n")]
    assert client.task_types() == []


def test_figures(api: FakeApi, client: Client) -> None:
    api.canned = {
        "GET /api/v1/dashboard/stats": {"a": 1},
        "GET /api/v1/dashboard/queue-depth": {"b": 2},
        "GET /api/v1/analytics/trends": {"c": 3},
    }
    assert (client.stats(), client.queue_depth()) == ({"a": 1}, {"b": 2})
    assert client.trends("24h") == {"c": 3}
    assert dict(api.requests[-1].url.params) == {"window": "24h"}


def test_an_unhealthy_queue_is_an_answer_and_asked_once(api: FakeApi, client: Client) -> None:
    report: dict[str, Any] = {"status": "unhealthy", "checks": {}}
    api.troubles = [httpx.Response(503, content=json.dumps(report))]
    assert client.health() == report
    api.troubles = [problem(503, "the store is away")]
    with pytest.raises(errors.StoreUnavailable, match="store is away"):
        client.health("database")
    api.troubles = [httpx.ConnectError("refused")]
    with pytest.raises(errors.QueueUnreachable):
        client.health()
    assert api.paths() == ["GET /health", "GET /api/v1/health/database", "GET /health"]
