"""Health of a real queue whose parts hang, one after the other, while callers go on asking.

A part that is stopped takes connections and questions and never answers: worse than one that
is gone.
"""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from tests.operations.operated_queue import OperatedQueue, frozen
from tests.until import until

pytestmark = [pytest.mark.ray, pytest.mark.timeout(500)]

#: The API checks each part for 0.8 s; the rest is for a busy machine. A point read of a store that
#: hangs, and all that waits for one, takes 5 s.
_MOST_SECONDS = 4.0
_CALLER_SECONDS = 8.0
_POINT_READ_SECONDS = 30.0
#: The scheduler may be silent for 5 s, and half a second more for who cannot even connect to it.
_MOST_SUBMIT_SECONDS = 15.0
_UNKNOWN_TASK = "/api/v1/tasks/01890a5d-ac96-774b-bcce-b302099a8057"
_TASK = {"name": "task_queue.noop"}
_DATABASE, _REDIS, _WORKERS = (
    f"/api/v1/health/{part}" for part in ("database", "redis", "workers")
)


def test_all_is_well_and_the_fields_are_those_of_the_guide(queue: OperatedQueue) -> None:
    health = _look(queue, "/health", 200)
    assert health.keys() == {"status", "version", "timestamp", "checks"}
    assert {part: check.keys() for part, check in health["checks"].items()} == {
        "database": {"status", "response_time_ms"},
        "redis": {"status", "response_time_ms"},
        "workers": {"status", "active_count", "total_count"},
        "api": {"status", "uptime_seconds"},
    }
    assert [check["status"] for check in health["checks"].values()] == ["healthy"] * 4
    assert health["checks"]["database"]["response_time_ms"] > 0
    assert health["checks"]["redis"]["response_time_ms"] > 0
    database = _look(queue, _DATABASE, 200)
    pool = database["connection_pool"]
    assert database.keys() == {"status", "connection_pool", "query_latency_ms"}
    assert pool["active"] + pool["idle"] == pool["total"] > 0
    redis = _look(queue, _REDIS, 200)
    assert redis.keys() == {"status", "memory_mb", "connected_clients", "ops_per_second"}
    assert redis["memory_mb"] > 0
    assert _look(queue, _WORKERS, 200) == {
        "status": "healthy", "active_workers": 1, "total_workers": 1,
        "healthy_workers": 1, "unhealthy_workers": 0,
    }  # fmt: skip


def test_a_scheduler_that_hangs(queue: OperatedQueue) -> None:
    with frozen(queue.scheduler_processes()), _callers(queue), ThreadPoolExecutor(1) as thread:
        submitting = thread.submit(_submit, queue)
        _until_sick(queue, _WORKERS)
        health = _look(queue, "/health", 503)
        assert health["status"] == health["checks"]["workers"]["status"] == "unhealthy"
        assert health["checks"]["database"]["status"] == "healthy"
        assert "scheduler did not answer" in _look(queue, _WORKERS, 503)["detail"]
        _look(queue, _DATABASE, 200)
        _look(queue, "/health/live", 200)
        late, seconds = submitting.result()
        # Not 503: the call is on its way, and is carried out when the scheduler goes on.
        assert (late.status_code, "may have been done" in late.text) == (504, True), late.text
        assert seconds < _MOST_SUBMIT_SECONDS
    _wait_until_healthy(queue)
    again, _ = _submit(queue)
    assert again.status_code in (200, 201), again.text


def test_a_database_that_hangs(queue: OperatedQueue) -> None:
    httpx.get(f"{queue.url}{_UNKNOWN_TASK}", timeout=30)  # the connection for such reads is there
    with frozen(queue.postgres_processes()), _callers(queue) as waiting:
        _until_sick(queue, _DATABASE)
        health = _look(queue, "/health", 503)
        assert health["status"] == health["checks"]["database"]["status"] == "unhealthy"
        assert health["checks"]["redis"]["status"] == "healthy"
        assert "store did not answer" in _look(queue, _DATABASE, 503)["detail"]
        assert _look(queue, _DATABASE, 503)["connection_pool"]["active"] > 0
        _look(queue, _REDIS, 200)
        _look(queue, "/health/live", 200)  # a restart of the API would help nobody
        point_read = waiting[0].result()
        assert point_read is not None
        assert (point_read.status_code, "did not answer" in point_read.text) == (503, True)
    _wait_until_healthy(queue)


def test_a_redis_that_hangs(queue: OperatedQueue) -> None:
    with frozen(queue.redis_processes()):
        _until_sick(queue, _REDIS)
        health = _look(queue, "/health", 200)  # tasks go on
        assert (health["status"], health["checks"]["redis"]["status"]) == ("degraded", "unhealthy")
        _look(queue, _REDIS, 503)
        assert httpx.post(f"{queue.url}/api/v1/tasks", json=_TASK, timeout=30).status_code == 201
        _look(queue, "/health/live", 200)
    _wait_until_healthy(queue)


def _submit(queue: OperatedQueue) -> tuple[httpx.Response, float]:
    """The answer to a submit with a key, and the seconds that it took."""
    began = time.monotonic()
    task = {**_TASK, "idempotency_key": "while it hangs"}
    answer = httpx.post(f"{queue.url}/api/v1/tasks", json=task, timeout=20)
    return answer, time.monotonic() - began


def _until_sick(queue: OperatedQueue, path: str) -> None:
    """A reading may be kept for 0.5 s (the scheduler's) or 2 s (Redis')."""
    url = f"{queue.url}{path}"
    until(lambda: httpx.get(url, timeout=20).status_code == 503, 20.0, f"{path} to be sick")


def _look(queue: OperatedQueue, path: str, status: int) -> dict[str, Any]:
    """What a health check says, in time."""
    answer = httpx.get(f"{queue.url}{path}", timeout=_MOST_SECONDS)
    assert answer.status_code == status, f"{path}: {answer.text}"
    body: dict[str, Any] = answer.json()
    return body


@contextmanager
def _callers(queue: OperatedQueue) -> Iterator[list[Future[httpx.Response | None]]]:
    """Others that ask meanwhile for what the sick part has to answer: a task first."""
    paths = (_UNKNOWN_TASK, "/api/v1/queues", "/api/v1/tasks?limit=5", "/metrics")
    with ThreadPoolExecutor(len(paths)) as threads:
        seconds = (_POINT_READ_SECONDS, *[_CALLER_SECONDS] * (len(paths) - 1))
        yield [
            threads.submit(_answer, f"{queue.url}{path}", patience)
            for path, patience in zip(paths, seconds, strict=True)
        ]


def _answer(url: str, seconds: float) -> httpx.Response | None:
    """None: it did not come in time, and the caller has gone away."""
    try:
        return httpx.get(url, timeout=seconds)
    except httpx.TimeoutException:
        return None


def _wait_until_healthy(queue: OperatedQueue) -> None:
    def healthy() -> bool:
        answer = httpx.get(f"{queue.url}/health", timeout=20)
        return bool(answer.json()["status"] == "healthy")

    until(healthy, 60.0, "the queue to be healthy again")
